//! Clients of a server that is nothing but frames.

use std::sync::Arc;
use std::time::Instant;

use super::talking::{Bell, Functions, call, options};
use super::{Bare, PATIENCE, pattern, welcome};
use crate::hub::Lost;
use crate::link::{Address, Listener};
use crate::node::{Client, ClientOptions, STRANDED, VecLandings};
use crate::wire::{Credit, FailureKind, FieldsBuilder, Format, Frame, Key, Kind, PREAMBLE, WHOLE};

/// A server that lets one call wait, and what it hears.
async fn narrow(listener: &Listener) -> Bare {
    let mut bare = Bare::new(listener.accept().await.unwrap());
    bare.hear_preamble().await;
    assert_eq!(bare.hear().await.unwrap().kind, Kind::Hello);
    let welcome = Frame::new(Kind::Welcome, 0).with_body(welcome("narrow", 1).encode());
    bare.say(&[&PREAMBLE[..], &welcome.encode()].concat()).await;
    bare
}

async fn connected() -> (Listener, Bare, Arc<Client>) {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1".into(), 0)).await.unwrap();
    let address = Address::Tcp("127.0.0.1".into(), listener.port().unwrap());
    let options = ClientOptions { reconnect: true, ..options("caller", &address) };
    let caller = Client::new(options, Arc::<Functions>::default(), Arc::new(VecLandings));
    let (server, connected) = tokio::join!(narrow(&listener), caller.connect(None));
    connected.unwrap();
    (listener, server, caller)
}

#[tokio::test]
async fn what_waited_for_room_has_its_time_to_wait_for_a_connection_all_the_same() {
    let (listener, mut server, caller) = connected().await;
    let bell = Arc::new(Bell::default());
    let start = || caller.start(call("f", b""), Kind::Call, bell.clone()).unwrap();
    let (sent, unsent) = (start(), start());
    assert_eq!(server.hear_more().await.unwrap().kind, Kind::Call);
    assert_eq!(unsent.stranded_until(), None, "it has a connection, without room");
    let broken = Instant::now();
    server.link.close();
    drop(listener);
    tokio::time::timeout(PATIENCE, bell.0.notified()).await.unwrap();
    assert_eq!(sent.slot.take().unwrap().unwrap_err().kind, FailureKind::Disconnected);
    let until = unsent.stranded_until().unwrap();
    assert!(until >= broken + STRANDED, "its time begins when the connection breaks");
    assert_eq!(unsent.cancel(), Some(Lost::NoConnection));
    caller.stop(PATIENCE, 0).await;
}

#[tokio::test]
async fn the_rest_of_an_answer_that_nobody_waits_for_is_not_wanted() {
    let (_listener, mut server, caller) = connected().await;
    let bell = Arc::new(Bell::default());
    let pending = caller.start(call("f", b""), Kind::Call, bell.clone()).unwrap();
    let id = server.hear_more().await.unwrap().id;
    let begin = |transfer| {
        let fields = FieldsBuilder::new().number(Key::Transfer, transfer);
        let fields = fields.number(Key::Total, 1 << 20).build();
        let answer = Frame { format: Format::Opaque, ..Frame::new(Kind::Answer, id) };
        answer.with_fields(fields).with_body(pattern(WHOLE)).encode()
    };
    let offset = |frame: Frame| match Credit::read(&frame) {
        Ok(Credit::Offset { id, upto }) => (id, upto),
        other => panic!("{frame:?} is {other:?}"),
    };
    server.say(&begin(1)).await;
    assert_eq!(offset(server.hear_more().await.unwrap()), (1, 1 << 20));
    // Half a piece: the rest of it is skipped.
    let piece = Frame::new(Kind::Piece, 1).with_body(pattern(5000)).encode();
    let (now, later) = piece.split_at(2000);
    server.say(now).await;
    assert_eq!(pending.cancel(), Some(Lost::Sent));
    assert_eq!(offset(server.hear_more().await.unwrap()), (1, Credit::UNWANTED));
    assert_eq!(server.hear_more().await.unwrap().kind, Kind::Cancel);
    server.say(&[later, &begin(2)].concat()).await;
    assert_eq!(offset(server.hear_more().await.unwrap()), (2, Credit::UNWANTED));
    assert_eq!(caller.stats().transfers, 0);
    caller.stop(PATIENCE, 0).await;
}
