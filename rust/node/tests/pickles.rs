//! Pickles from a server that is not trusted, which may say what it likes.

use std::sync::Arc;

use serde_bytes::ByteBuf;

use super::talking::{Bell, Functions, call, options};
use super::{Bare, PATIENCE, failure, large, welcome};
use crate::link::{Address, Listener};
use crate::node::{Call, Client, ClientOptions, Pace, VecLandings};
use crate::wire::{
    Credit, Failure, FailureKind, FieldsBuilder, Flags, Format, Frame, Key, Kind, PREAMBLE, Ran,
    Welcome,
};

const PICKLE: &[u8] = b"\x80\x05N.";

/// A client, and the server that it has connected to.
async fn connected(allow_pickle: Option<bool>, welcome: Welcome) -> (Bare, Arc<Client>) {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1".into(), 0)).await.unwrap();
    let address = Address::Tcp("127.0.0.1".into(), listener.port().unwrap());
    let options = ClientOptions { allow_pickle, ..options("worker", &address) };
    let client = Client::new(options, Arc::<Functions>::default(), Arc::new(VecLandings));
    let server = async {
        let mut bare = Bare::new(listener.accept().await.unwrap());
        bare.hear_preamble().await;
        assert_eq!(bare.hear().await.unwrap().kind, Kind::Hello);
        let welcome = Frame::new(Kind::Welcome, 0).with_body(welcome.encode());
        bare.say(&[&PREAMBLE[..], &welcome.encode()].concat()).await;
        bare
    };
    let (server, connected) = tokio::join!(server, client.connect(None));
    connected.unwrap();
    (server, client)
}

fn pickled(frame: Frame) -> Frame {
    Frame { format: Format::Pickle, ..frame.with_body(PICKLE) }
}

fn pickled_call(function: &str) -> Call<'_> {
    Call { format: Format::Pickle, ..call(function, PICKLE) }
}

/// The next thing that counts.
async fn heard(server: &mut Bare) -> Frame {
    loop {
        match server.hear_more().await.unwrap() {
            frame if frame.kind == Kind::Credit => {}
            frame => return frame,
        }
    }
}

fn refused(frame: Frame, text: &str) {
    let failure = failure(&frame.into());
    assert_eq!((failure.kind, failure.ran), (FailureKind::SerdeNotAllowed, Ran::No));
    assert!(failure.message.contains(text), "{}", failure.message);
}

#[tokio::test]
async fn a_worker_never_gets_to_see_them() {
    // Whatever the server says of the caller; and one that is trusted, of a caller who is not.
    for (allowed, vouched, text) in
        [(Some(false), true, "allow_pickle"), (Some(true), false, "token=")]
    {
        let (mut server, client) = connected(allowed, welcome("evil", 10)).await;
        let fields = || FieldsBuilder::new().text(Key::Function, "echo").origin("c", vouched);
        let call = |id| pickled(Frame::new(Kind::Call, id).with_fields(fields().build()));
        server.say(&call(1).encode()).await;
        refused(heard(&mut server).await, text);
        // Nobody waits for this one, and its place is free again.
        server.say(&Frame { flags: Flags::ONEWAY, ..call(2) }.encode()).await;

        let open = Frame::new(Kind::Open, 3).with_fields(fields().build());
        server.say(&open.encode()).await;
        server.say(&pickled(Frame::new(Kind::Item, 3)).encode()).await;
        let failed = heard(&mut server).await;
        assert_eq!(failed.id, 3);
        refused(failed, text);
        // Without acknowledgements an item that fails is logged, and the stream goes on.
        let fields = fields().build();
        let open = Frame { flags: Flags::ONEWAY, ..Frame::new(Kind::Open, 4) };
        server.say(&open.with_fields(fields).encode()).await;
        for _ in 0..100 {
            server.say(&pickled(Frame::new(Kind::Item, 4)).encode()).await;
        }
        server.say(&Frame::new(Kind::End, 4).encode()).await;
        assert_eq!(heard(&mut server).await.kind, Kind::Answer);
        let stats = client.stats();
        assert_eq!((stats.running, stats.queued, stats.streams), (0, 0, 0));
        client.stop(PATIENCE, 0).await;
    }
}

#[tokio::test]
async fn a_caller_never_gets_to_see_them() {
    let (mut server, client) = connected(Some(false), welcome("evil", 10)).await;
    let bell = Arc::new(Bell::default());
    let raised = Failure {
        pickle: Some(ByteBuf::from(PICKLE)),
        ..Failure::new(FailureKind::Raised, Ran::Yes, "as it says")
    };
    let part = |frame: Frame| {
        let fields = FieldsBuilder::new().text(Key::Worker, "w").build();
        Frame { flags: frame.flags.with(Flags::PART), ..frame }.with_fields(fields)
    };
    for cast in [false, true] {
        let answers = [
            (pickled(Frame::new(Kind::Answer, 0)), FailureKind::SerdeNotAllowed),
            (pickled(Frame::new(Kind::Failure, 0)), FailureKind::SerdeNotAllowed),
            (Frame::new(Kind::Failure, 0).with_body(raised.encode()), FailureKind::Raised),
        ];
        for (answer, kind) in answers {
            let mut made = call("f", b"");
            made.target.cast = cast;
            let pending = client.start(made, Kind::Call, bell.clone()).unwrap();
            let id = heard(&mut server).await.id;
            let answer = Frame { id, ..answer };
            let answer = if cast { part(answer) } else { answer };
            if cast {
                let targets = crate::wire::Targets(vec!["w".into()]);
                server.say(&targets.frame(id).encode()).await;
            }
            server.say(&answer.encode()).await;
            while !pending.slot.is_ended() {
                tokio::time::timeout(PATIENCE, bell.0.notified()).await.unwrap();
            }
            let outcome = match cast {
                true => pending.slot.take_parts().came.remove(0).1,
                false => pending.slot.take().unwrap(),
            };
            let failure = outcome.unwrap_err();
            assert_eq!((failure.kind, failure.pickle), (kind, None), "{cast}");
        }
    }
    client.stop(PATIENCE, 0).await;
}

#[tokio::test]
async fn a_call_whose_pickles_would_be_refused_is_not_sent() {
    let text = "PICKLE is refused: use another";
    let unread = Welcome { no_pickle: Some(text.into()), ..welcome("router", 10) };
    for (allowed, welcome, text) in
        [(None, unread, text), (Some(false), welcome("router", 10), "allow_pickle=False")]
    {
        let by_them = welcome.no_pickle.is_some();
        let (mut server, client) = connected(allowed, welcome).await;
        let bell = Arc::new(Bell::default());
        let refused = |failure: Failure| {
            assert_eq!((failure.kind, failure.ran), (FailureKind::SerdeNotAllowed, Ran::No));
            assert!(failure.message.contains(text), "{}", failure.message);
        };
        refused(client.start(pickled_call("f"), Kind::Call, bell.clone()).unwrap_err());
        // Whatever has no answer with a payload need not fear one.
        let open = client.start(pickled_call("f"), Kind::Open, bell.clone());
        let post = client.post(pickled_call("g"), bell.clone(), None);
        if by_them {
            refused(open.unwrap_err());
            refused(post.unwrap_err());
        } else {
            assert_eq!(heard(&mut server).await.kind, Kind::Open);
            post.as_ref().unwrap().send(|session| session.flush(Pace::Now));
            assert_eq!(heard(&mut server).await.fields.text(Key::Function), Some("g"));
            drop((open.unwrap(), post.unwrap()));
        }
        client.start(call("h", b""), Kind::Call, bell.clone()).unwrap();
        assert_eq!(heard(&mut server).await.fields.text(Key::Function), Some("h"));
        client.abandon();
    }
}

#[tokio::test]
async fn large_ones_are_refused_too() {
    let (mut server, client) = connected(Some(false), welcome("evil", 10)).await;
    let message = large(Kind::Call, 1, &[200_000]);
    let fields = message.frame.fields.without(&[]).origin("c", true);
    let fields = fields.number(Key::Transfer, 1).number(Key::Total, 200_000).build();
    let first = vec![0; 65_536];
    server.say(&message.frame.clone().with_fields(fields).with_body(first).encode()).await;
    loop {
        let frame = server.hear_more().await.unwrap();
        if frame.kind == Kind::Failure {
            break refused(frame, "allow_pickle");
        }
        if let Ok(Credit::Offset { id: 1, upto: 200_000 }) = Credit::read(&frame) {
            let rest = vec![0; 200_000 - 65_536];
            server.say(&Frame::new(Kind::Piece, 1).with_body(rest).encode()).await;
        }
    }
    client.stop(PATIENCE, 0).await;
}
