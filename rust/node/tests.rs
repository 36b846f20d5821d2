//! Nodes with functions in Rust, and connections over links that make the most of their rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod alone;
mod arriving;
mod challenge;
mod endings;
mod gate;
#[cfg(target_os = "linux")]
mod leading;
mod leaving;
mod looping;
mod odd;
mod pickles;
mod rules;
mod spares;
mod stopping;
mod streams;
mod talking;
mod trust;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::session::{Parts, Role, Session};
use super::{Large, Message, Source, VecLanding, VecLandings};
use crate::link::{Address, Link, Listener, connect, receive};
use crate::wire::{
    Decoder, Failure, FieldsBuilder, Format, Frame, Hello, Key, Kind, Limits, MAX_FRAME, PREAMBLE,
    PREAMBLE_LEN, Segment, Welcome,
};

/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A path that no other test uses.
fn path() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("daffi-node-{}-{count}", std::process::id()))
}

/// Where servers of a test listen: over TCP, and where there are any, over Unix sockets.
fn addresses() -> Vec<Address> {
    let mut addresses = vec![Address::Tcp("127.0.0.1".into(), 0)];
    if cfg!(unix) {
        addresses.push(Address::Unix(path()));
    }
    addresses
}

/// Two ends of one connection.
async fn pair(address: Address) -> (Box<dyn Link>, Box<dyn Link>) {
    let listener = Listener::bind(&address).await.unwrap();
    let address = match (address, listener.port()) {
        (Address::Tcp(host, _), Some(port)) => Address::Tcp(host, port),
        (address, _) => address,
    };
    let dial = address.into();
    let (near, far) = tokio::join!(connect(&dial), listener.accept());
    (near.unwrap(), far.unwrap())
}

async fn tcp() -> (Box<dyn Link>, Box<dyn Link>) {
    pair(Address::Tcp("127.0.0.1".into(), 0)).await
}

/// What a server says that lets so many calls wait.
fn welcome(name: &str, calls: u32) -> Welcome {
    Welcome {
        name: name.into(),
        incarnation: [7; 16].into(),
        capabilities: Vec::new(),
        limits: Limits { max_message: 1 << 20, calls, bytes: 1 << 20 },
        proof: None,
        no_pickle: None,
    }
}

/// Bytes that tell where they are.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// A call with a body that does not fit into one frame, in segments of these lengths.
fn large(kind: Kind, id: u64, lens: &[usize]) -> Message {
    let bytes = Bytes::from(pattern(lens.iter().sum()));
    let mut rest = bytes.clone();
    let parts: Vec<Bytes> = lens.iter().map(|len| rest.split_to(*len)).collect();
    let segments: Vec<Segment> =
        lens.iter().map(|len| Segment { len: *len as u64, read_only: false }).collect();
    let fields = FieldsBuilder::new().text(Key::Function, "f");
    let fields = if lens.len() > 1 { fields.layout(&segments) } else { fields };
    let frame =
        Frame { format: Format::Pickle, ..Frame::new(kind, id).with_fields(fields.build()) };
    Message { frame, rest: Some(Large::Source(Source::new(parts))) }
}

/// The bytes of a message that came.
fn body(message: Message) -> Vec<u8> {
    match message.rest {
        Some(Large::Landed(landing)) => {
            landing.into_any().downcast::<VecLanding>().unwrap().segments.concat()
        }
        Some(Large::Source(_)) => panic!("it came, and is to be sent"),
        None => message.frame.body.to_vec(),
    }
}

fn failure(message: &Message) -> Failure {
    assert_eq!(message.frame.kind, Kind::Failure, "{message:?}");
    Failure::decode(&message.frame.body).unwrap()
}

/// What a connection brought, and how it ended.
struct Heard {
    session: Arc<Session>,
    messages: UnboundedReceiver<Message>,
    ended: UnboundedReceiver<Failure>,
}

struct Listening(UnboundedSender<Message>, UnboundedSender<Failure>);

impl Role for Listening {
    fn burst(&self, _: &Arc<Session>, messages: &mut Vec<Message>) -> Result<(), Failure> {
        for message in messages.drain(..) {
            // Fails once the test is over.
            let _ = self.0.send(message);
        }
        Ok(())
    }

    fn ended(&self, _: &Arc<Session>, why: &Failure) {
        let _ = self.1.send(why.clone());
    }
}

impl Heard {
    /// A session over this link whose task does not run yet.
    fn idle(link: Box<dyn Link>) -> Self {
        let (messages, heard) = unbounded_channel();
        let (ended, end) = unbounded_channel();
        let session = Session::new(Parts {
            link,
            decoder: Decoder::new(MAX_FRAME),
            role: Box::new(Listening(messages, ended)),
            landings: Arc::new(VecLandings),
            assemble: true,
            max_message: 1 << 30,
            name: "here".into(),
        });
        Self { session, messages: heard, ended: end }
    }

    fn on(link: Box<dyn Link>) -> Self {
        let heard = Self::idle(link);
        tokio::spawn(Arc::clone(&heard.session).drive());
        heard
    }

    /// The next message. Where the connection ends instead, the test fails with the reason.
    async fn next(&mut self) -> Message {
        let next = async {
            tokio::select! {
                biased;
                message = self.messages.recv() => message.unwrap(),
                why = self.ended.recv() => panic!("it ended instead: {:?}", why.unwrap()),
            }
        };
        tokio::time::timeout(PATIENCE, next).await.unwrap()
    }

    async fn end(&mut self) -> Failure {
        tokio::time::timeout(PATIENCE, self.ended.recv()).await.unwrap().unwrap()
    }
}

/// The other end of a connection without a session: bytes, and the frames in them.
struct Bare {
    link: Box<dyn Link>,
    decoder: Decoder,
}

impl Bare {
    fn new(link: Box<dyn Link>) -> Self {
        Self { link, decoder: Decoder::new(MAX_FRAME) }
    }

    /// A member without functions.
    async fn join(address: &Address) -> Self {
        let mut bare = Self::new(connect(&address.clone().into()).await.unwrap());
        let hello = Hello {
            name: "bare".into(),
            incarnation: [7; 16].into(),
            functions: Vec::new(),
            formats: vec![2],
            capabilities: Vec::new(),
            limits: Limits { max_message: 1 << 20, calls: 1, bytes: 1 << 20 },
            watch: false,
        };
        let hello = Frame::new(Kind::Hello, 0).with_body(hello.encode());
        bare.say(&[&PREAMBLE[..], &hello.encode()].concat()).await;
        bare.hear_preamble().await;
        assert_eq!(bare.hear().await.unwrap().kind, Kind::Welcome);
        bare
    }

    async fn say(&self, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            std::future::poll_fn(|context| self.link.poll_writable(context)).await.unwrap();
            match self.link.try_write(&[std::io::IoSlice::new(left)]) {
                Ok(count) => left = &left[count..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
    }

    /// Reads what comes before the first frame.
    async fn hear_preamble(&mut self) {
        while self.decoder.buffer().len() < PREAMBLE_LEN {
            std::future::poll_fn(|context| self.link.poll_readable(context)).await.unwrap();
            match receive(&*self.link, &mut [], self.decoder.buffer(), 65536) {
                Ok(counts) => assert_ne!(counts, (0, 0), "the end"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        assert_eq!(self.decoder.buffer().split_to(PREAMBLE_LEN), PREAMBLE[..]);
    }

    /// The next frame, or nothing at the orderly end.
    async fn hear(&mut self) -> Option<Frame> {
        let reading = async {
            loop {
                if let Some(frame) = self.decoder.next_frame().unwrap() {
                    return Some(frame);
                }
                std::future::poll_fn(|context| self.link.poll_readable(context)).await.unwrap();
                match receive(&*self.link, &mut [], self.decoder.buffer(), 65536) {
                    Ok((_, 0)) => return None,
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap()
    }

    /// The next frame that is no heartbeat.
    async fn hear_more(&mut self) -> Option<Frame> {
        loop {
            match self.hear().await {
                Some(frame) if frame.kind == Kind::Ping => {}
                heard => return heard,
            }
        }
    }
}
