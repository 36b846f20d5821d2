//! Plain sockets and TLS keep the rules of a link, and reading keeps them with links that do not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::BytesMut;

#[cfg(target_os = "linux")]
use super::Bell;
use super::socket::connect;
use super::tls::secured;
use super::{Address, Link, Listener, MaybeUninitSlice, Trust, receive};

/// A path that no other test uses.
pub(super) fn path() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("daffi-link-{}-{count}", std::process::id()))
}

pub(super) async fn pair(address: Address) -> (Box<dyn Link>, Box<dyn Link>) {
    let listener = Listener::bind(&address).await.unwrap();
    let address = match (address, listener.port()) {
        (Address::Tcp(host, _), Some(port)) => Address::Tcp(host, port),
        (address, _) => address,
    };
    let (near, far) = tokio::join!(connect(&address), listener.accept());
    (near.unwrap(), far.unwrap())
}

/// Both ends of a connection.
type Ends = (Box<dyn Link>, Box<dyn Link>);

/// Plain ones, as they are and lendable: those keep the same rules.
async fn plain_pairs() -> Vec<Ends> {
    let mut pairs = Vec::new();
    for lendable in [false, true] {
        let before = pairs.len();
        pairs.push(pair(Address::Tcp("127.0.0.1".into(), 0)).await);
        if cfg!(unix) {
            pairs.push(pair(Address::Unix(path())).await);
        }
        lend(pairs.get(before..).unwrap(), lendable);
    }
    pairs
}

/// Those, and some that speak TLS.
async fn pairs() -> Vec<Ends> {
    let mut pairs = plain_pairs().await;
    for lendable in [false, true] {
        let secured = vec![secured(Address::Tcp("127.0.0.1".into(), 0)).await];
        lend(&secured, lendable);
        pairs.extend(secured);
    }
    pairs
}

fn lend(pairs: &[Ends], lendable: bool) {
    for (near, far) in pairs.iter().filter(|_| lendable) {
        let made = (near.make_lendable(), far.make_lendable());
        assert_eq!(made.0, made.1);
    }
}

pub(super) async fn read(link: &dyn Link, room: usize) -> io::Result<Vec<u8>> {
    loop {
        poll_fn(|context| link.poll_readable(context)).await?;
        let mut buffer = BytesMut::new();
        match receive(link, &mut [], &mut buffer, room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return result.map(|_| buffer.to_vec()),
        }
    }
}

pub(super) async fn write(link: &dyn Link, bytes: &[u8]) {
    poll_fn(|context| link.poll_writable(context)).await.unwrap();
    assert_eq!(link.try_write(&[IoSlice::new(bytes)]).unwrap(), bytes.len());
}

/// Whether nothing comes any more; TLS can tell an end from a cut.
fn is_over(read: io::Result<Vec<u8>>) -> bool {
    read.map_or_else(|error| error.kind() == ErrorKind::UnexpectedEof, |bytes| bytes.is_empty())
}

#[tokio::test]
async fn short_reads_and_writes_lose_nothing() {
    for (near, far) in pairs().await {
        for round in 0..100_u8 {
            write(&*near, &[round; 10]).await;
            assert_eq!(read(&*far, 7).await.unwrap(), [round; 7]);
            assert_eq!(read(&*far, 7).await.unwrap(), [round; 3]);
            write(&*far, &[round]).await;
            assert_eq!(read(&*near, 7).await.unwrap(), [round]);
        }
    }
}

#[tokio::test]
async fn one_direction_ends_and_the_other_goes_on() {
    for (near, far) in pairs().await {
        write(&*near, b"last").await;
        near.try_finish().unwrap();
        assert_eq!(read(&*far, 100).await.unwrap(), b"last");
        assert_eq!(read(&*far, 100).await.unwrap(), b"");
        assert_eq!(read(&*far, 100).await.unwrap(), b"", "the end stays the end");
        write(&*far, b"still here").await;
        assert_eq!(read(&*near, 100).await.unwrap(), b"still here");
        assert!(near.try_write(&[IoSlice::new(b"more")]).is_err());
        far.try_finish().unwrap();
        assert_eq!(read(&*near, 100).await.unwrap(), b"");
    }
}

#[tokio::test]
async fn closing_wakes_whoever_reads() {
    for (near, far) in pairs().await {
        let reading = async { read(&*near, 1).await };
        let closing = async { near.close() };
        let (read, ()) = tokio::join!(reading, closing);
        assert!(is_over(read));
        near.close();
        drop(far);
    }
}

#[tokio::test]
async fn room_to_write_is_told_of() {
    for (near, far) in pairs().await {
        for _ in 0..3 {
            let mut sent = 0;
            loop {
                match near.try_write(&[IoSlice::new(&[7; 65536])]) {
                    Ok(count) => sent += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            let reading = async {
                while sent > 0 {
                    sent -= read(&*far, sent.min(65536)).await.unwrap().len();
                }
            };
            let waiting = async {
                loop {
                    poll_fn(|context| near.poll_writable(context)).await?;
                    // What was held back goes on.
                    match near.try_write(&[]) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        result => return result,
                    }
                }
            };
            let both = async { tokio::join!(waiting, reading).0 };
            let patience = std::time::Duration::from_secs(20);
            tokio::time::timeout(patience, both).await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn who_was_told_to_wait_is_told_though_others_wrote_meanwhile() {
    for (near, far) in plain_pairs().await {
        let patience = std::time::Duration::from_secs(20);
        for _ in 0..20 {
            let mut sent = 0;
            while let Ok(count) = near.try_write(&[IoSlice::new(&[7; 65536])]) {
                sent += count;
            }
            while sent > 0 {
                sent -= read(&*far, sent.min(65536)).await.unwrap().len();
                // Somebody else, who does not wait.
                if sent > 0 && near.try_write(&[IoSlice::new(b"!")]).is_ok() {
                    sent += 1;
                }
            }
            let waiting = poll_fn(|context| near.poll_writable(context));
            tokio::time::timeout(patience, waiting).await.unwrap().unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_came_while_it_was_lent_is_told_of_afterwards() {
    for (near, far) in pairs().await {
        let patience = std::time::Duration::from_secs(5);
        let bell = Bell::new().unwrap();
        if !near.lend() {
            assert!(near.make_lendable() && near.lend());
        }
        for _ in 0..20 {
            // Heard of by the runtime, so that the epoll in between has seen it as well.
            near.take_back();
            write(&*far, b"before").await;
            assert_eq!(read(&*near, 100).await.unwrap(), b"before");
            let nothing = receive(&*near, &mut [], &mut BytesMut::new(), 1).unwrap_err();
            assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
            assert!(near.lend());
            write(&*far, b"first").await;
            near.await_readable(&bell, patience).unwrap();
            // Found without having been told of.
            let mut buffer = BytesMut::new();
            assert_eq!(receive(&*near, &mut [], &mut buffer, 2).unwrap(), (0, 2));
            near.take_back();
            let rest = tokio::time::timeout(patience, read(&*near, 100)).await;
            assert_eq!(rest.unwrap().unwrap(), b"rst");
            assert!(near.lend());
        }
        near.close();
        near.await_readable(&bell, patience).unwrap();
        near.take_back();
        assert!(is_over(read(&*near, 100).await));
    }
}

#[tokio::test]
async fn a_connection_that_was_reset_stays_failed() {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1".into(), 0)).await.unwrap();
    let to = ("127.0.0.1", listener.port().unwrap());
    let (rude, link) = tokio::join!(tokio::net::TcpStream::connect(to), listener.accept());
    let (rude, link) = (rude.unwrap(), link.unwrap());
    socket2::SockRef::from(&rude).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(rude);
    for _ in 0..3 {
        assert_eq!(read(&*link, 10).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn nothing_is_held_back() {
    for (near, _far) in pairs().await {
        assert_eq!(near.try_write(&[]).unwrap(), 0);
    }
}

#[tokio::test]
async fn who_is_on_this_machine_is_near() {
    for (near, far) in pairs().await {
        let proven = near.identity().is_some();
        let trust = if proven { Trust::Proven } else { Trust::Near };
        assert_eq!((near.trust(), far.trust()), (trust, Trust::Near));
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_find_a_socket_left_behind_one_gets_its_path() {
    for _ in 0..300 {
        let path = path();
        let together = std::sync::Arc::new(tokio::sync::Barrier::new(4));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (address, together) = (Address::Unix(path.clone()), together.clone());
                tokio::spawn(async move {
                    together.wait().await;
                    Listener::bind(&address).await
                })
            })
            .collect();
        let mut bound = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(listener) => bound.push(listener),
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}"),
            }
        }
        assert_eq!(bound.len(), 1);
        connect(&Address::Unix(path.clone())).await.unwrap();
        bound.clear();
        assert!(!path.exists(), "the file goes with its listener");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_lets_nobody_in_for_now_is_live() {
    let path = path();
    let address = socket2::SockAddr::unix(&path).unwrap();
    let stream = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
    let server = stream().unwrap();
    server.bind(&address).unwrap();
    server.listen(0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = stream().unwrap();
        client.set_nonblocking(true).unwrap();
        let full = client.connect(&address).is_err();
        waiting.push(client);
        if full || waiting.len() > 10 {
            break;
        }
    }
    let refused = Listener::bind(&Address::Unix(path.clone())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    assert!(path.exists());
    std::fs::remove_file(&path).unwrap();
}

/// Says that it read so many bytes, and notes how much room it was given.
#[derive(Debug)]
struct Boaster(usize, AtomicUsize);

impl Link for Boaster {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        let room = slices.iter().map(|slice| slice.len()).sum();
        self.1.store(room, Ordering::Relaxed);
        for slice in slices {
            slice.fill(MaybeUninit::new(b'x'));
        }
        Ok(self.0)
    }

    fn try_write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_finish(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {}

    fn trust(&self) -> Trust {
        Trust::Never
    }

    fn peer(&self) -> String {
        "a boaster".into()
    }
}

#[test]
fn a_read_gets_the_room_it_was_given_and_no_more() {
    for (direct, room) in [(0, 5), (3, 0), (3, 5)] {
        let mut first = vec![MaybeUninit::new(0); direct];
        let mut buffer = BytesMut::with_capacity(1000);
        buffer.extend_from_slice(b"old");
        let honest = Boaster(direct + room, AtomicUsize::new(0));
        let counts = receive(&honest, &mut first, &mut buffer, room).unwrap();
        assert_eq!((counts, buffer.len()), ((direct, room), 3 + room));
        assert_eq!(honest.1.load(Ordering::Relaxed), direct + room);
        let boaster = Boaster(direct + room + 1, AtomicUsize::new(0));
        let refused = receive(&boaster, &mut first, &mut buffer, room).unwrap_err();
        assert_eq!((refused.kind(), buffer.len()), (ErrorKind::InvalidData, 3 + room));
    }
    let (link, mut buffer) = (Boaster(0, AtomicUsize::new(0)), BytesMut::with_capacity(1000));
    let refused = receive(&link, &mut [], &mut buffer, 0).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "that would look like the end");
}
