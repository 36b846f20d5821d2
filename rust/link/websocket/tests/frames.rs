use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};

use bytes::BytesMut;
use proptest::prelude::*;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::{Message, WebSocket as Reference};

use super::super::{End, WebSocket};
use super::{Script, binary, control, frame_to, read_all, scripted};
use crate::link::tls::secured;
use crate::link::{Address, Link, MAX_SLICES, Parting, Trust};

const ENDS: [End; 2] = [End::Client, End::Server];

/// What somebody else's WebSocket understands of what we wrote; the last word too.
fn understood(end: End, bytes: Vec<u8>) -> Vec<Message> {
    let role = if end == End::Server { Role::Client } else { Role::Server };
    let stream = std::io::Cursor::new(bytes);
    let mut reference = Reference::from_raw_socket(Readable(stream), role, None);
    std::iter::from_fn(|| reference.read().ok()).collect()
}

struct Readable(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Readable {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Readable {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The code and the reason that it was closed with.
fn closed_with(end: End, script: &Script) -> Option<(u16, String)> {
    understood(end, script.taken()).into_iter().find_map(|message| match message {
        Message::Close(Some(frame)) => Some((frame.code.into(), frame.reason.to_string())),
        _ => None,
    })
}

fn write(link: &WebSocket, slices: &[&[u8]]) -> std::io::Result<usize> {
    let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
    link.try_write(&slices)
}

#[derive(Debug, Clone)]
enum Sent {
    /// A message in so many frames, with a ping between each two.
    Message(Vec<Vec<u8>>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    prop_oneof![
        4 => (prop::collection::vec(bytes(300), 1..5), any::<bool>())
            .prop_map(|(parts, pings)| Sent::Message(parts, pings)),
        1 => prop::collection::vec(bytes(20_000), 1..2)
            .prop_map(|parts| Sent::Message(parts, false)),
        1 => bytes(126).prop_map(Sent::Ping),
        1 => bytes(126).prop_map(Sent::Pong),
    ]
}

fn encoded(end: End, all: &[Sent]) -> (Vec<u8>, Vec<u8>, Option<Vec<u8>>) {
    let (mut bytes, mut payload, mut pinged) = (Vec::new(), Vec::new(), None);
    for sent in all {
        match sent {
            Sent::Message(parts, pings) => {
                for (number, part) in parts.iter().enumerate() {
                    let kind = if number == 0 { Data::Binary } else { Data::Continue };
                    let last = number + 1 == parts.len();
                    bytes.extend(frame_to(end, OpCode::Data(kind), last, part));
                    payload.extend_from_slice(part);
                    if *pings && !last {
                        bytes.extend(control(end, Control::Ping, b"between"));
                        pinged = Some(b"between".to_vec());
                    }
                }
            }
            Sent::Ping(body) => {
                bytes.extend(control(end, Control::Ping, body));
                pinged = Some(body.clone());
            }
            Sent::Pong(body) => bytes.extend(control(end, Control::Pong, body)),
        }
    }
    (bytes, payload, pinged)
}

fn split(mut bytes: Vec<u8>, sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut portions = Vec::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let rest = bytes.split_off((*size).min(bytes.len()));
        portions.push(std::mem::replace(&mut bytes, rest));
    }
    portions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_bytes(
        all in prop::collection::vec(sent(), 1..8),
        sizes in prop::collection::vec(prop_oneof![1..20_usize, 1..9000_usize], 1..6),
        direct in prop_oneof![Just(0), 1..100_usize, Just(50_000)],
        room in 1..9000_usize,
        end in prop::sample::select(&ENDS[..]),
    ) {
        let (bytes, payload, pinged) = encoded(end, &all);
        let (link, script) = scripted(end, split(bytes, &sizes));
        let (read, over) = read_all(&link, direct, room);
        prop_assert_eq!(read, payload);
        prop_assert!(over.is_none());
        prop_assert_eq!(link.try_write(&[]).unwrap(), 0);
        let answered = understood(end, script.taken()).pop();
        prop_assert_eq!(answered, pinged.map(|body| Message::Pong(body.into())));
    }

    #[test]
    fn garbage_only_ends_it(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        whole in any::<bool>(),
        end in prop::sample::select(&ENDS[..]),
    ) {
        let before = if whole { binary(end, b"before") } else { Vec::new() };
        let (link, script) = scripted(end, vec![[before, bytes].concat()]);
        script.0.lock().unwrap().ended = true;
        let (read, over) = read_all(&link, 0, 64);
        let first: &[u8] = if whole { b"before" } else { b"" };
        prop_assert!(read.starts_with(first));
        let over = over.unwrap();
        // It stays as it is.
        let (more, again) = read_all(&link, 0, 64);
        prop_assert!(more.is_empty());
        prop_assert_eq!(again.unwrap().is_ok(), over.is_ok());
    }

    #[test]
    fn a_message_is_taken_whole_or_not_at_all(
        messages in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..12), 1..6),
        most in 1..500_usize,
        end in prop::sample::select(&ENDS[..]),
    ) {
        let (link, script) = scripted(end, Vec::new());
        script.0.lock().unwrap().most = Some(most);
        let mut sent = Vec::new();
        for message in &messages {
            script.0.lock().unwrap().writes = Some(2);
            let slices: Vec<&[u8]> = message.iter().map(|part| &part[..]).collect();
            let whole = message.concat();
            loop {
                match write(&link, &slices) {
                    Ok(count) => {
                        prop_assert_eq!(count, whole.len());
                        break;
                    }
                    Err(error) => prop_assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                script.0.lock().unwrap().writes = Some(2);
            }
            sent.push(Message::Binary(whole.into()));
        }
        script.0.lock().unwrap().writes = None;
        prop_assert_eq!(link.try_write(&[]).unwrap(), 0);
        prop_assert_eq!(understood(end, script.taken()), sent);
    }
}

#[test]
fn as_many_slices_as_there_may_be_are_one_message() {
    for end in ENDS {
        let (link, script) = scripted(end, Vec::new());
        let slices = vec![&b"ab"[..]; MAX_SLICES];
        assert_eq!(write(&link, &slices).unwrap(), 2 * MAX_SLICES);
        assert_eq!(link.try_write(&[]).unwrap(), 0);
        let whole = Message::Binary(slices.concat().into());
        assert_eq!(understood(end, script.taken()), [whole]);
    }
}

#[test]
fn what_is_held_back_is_told_of() {
    for end in ENDS {
        let (link, script) = scripted(end, vec![control(end, Control::Ping, b"there?")]);
        script.0.lock().unwrap().writes = Some(0);
        assert!(read_all(&link, 0, 10).1.is_none());
        assert_eq!(link.try_write(&[]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(write(&link, &[b"more"]).unwrap_err().kind(), ErrorKind::WouldBlock);
        script.0.lock().unwrap().writes = None;
        assert_eq!(link.try_write(&[]).unwrap(), 0);
        assert_eq!(understood(end, script.taken()), [Message::Pong(b"there?"[..].into())]);
    }
}

/// A browser can't get at what ties a proof to TLS, so it ties none; but a certificate still counts,
/// and a pickle never does.
#[tokio::test]
async fn what_is_below_proves_who_it_is_and_binds_nothing() {
    let (below, _far) = secured(Address::Tcp("127.0.0.1".into(), 0)).await;
    let (identity, peer) = (below.identity(), below.peer());
    assert!(identity.is_some() && below.binding().is_some());
    let link = WebSocket::new(End::Client, below, BytesMut::new());
    assert_eq!((link.identity(), link.binding()), (identity, None));
    assert_eq!(link.trust(), Trust::Never);
    assert!(link.peer().contains(&peer));
}

#[test]
fn of_many_pings_the_last_is_answered() {
    let end = End::Server;
    let pings: Vec<u8> = (0..200).flat_map(|n: u8| control(end, Control::Ping, &[n])).collect();
    let (link, script) = scripted(end, vec![pings]);
    script.0.lock().unwrap().writes = Some(0);
    assert!(read_all(&link, 0, 10).1.is_none());
    script.0.lock().unwrap().writes = None;
    link.try_write(&[]).unwrap();
    assert_eq!(understood(end, script.taken()), [Message::Pong(vec![199].into())]);
}

#[tokio::test]
async fn half_a_frame_is_nothing_to_read() {
    let end = End::Server;
    let mut frame = binary(end, b"whole");
    let rest = frame.split_off(3);
    let (link, script) = scripted(end, vec![frame]);
    let (read, over) = read_all(&link, 0, 10);
    assert!(read.is_empty() && over.is_none());
    let polled = poll_fn(|context| std::task::Poll::Ready(link.poll_readable(context))).await;
    assert!(polled.is_pending());
    script.0.lock().unwrap().coming.push_back(rest);
    assert_eq!(read_all(&link, 0, 10).0, b"whole");
}

#[test]
fn whoever_breaks_the_rules_is_told_which() {
    let end = End::Server;
    let long = |len: u64| [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat();
    let half = |opcode, payload: &[u8]| frame_to(end, opcode, false, payload);
    let goes_on = frame_to(end, OpCode::Data(Data::Continue), true, b"x");
    let mut goes_on_long = long(1 << 24);
    goes_on_long[0] = 0x80;
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("no mask", 1002, binary(End::Client, b"x")),
        ("text", 1003, frame_to(end, OpCode::Data(Data::Text), true, b"hi")),
        ("a reserved bit", 1002, vec![0xc2, 0x80, 1, 2, 3, 4]),
        ("a reserved kind of data", 1002, vec![0x83, 0x80, 1, 2, 3, 4]),
        ("a reserved kind of control", 1002, vec![0x8b, 0x80, 1, 2, 3, 4]),
        ("a beginning that goes on", 1002, goes_on),
        (
            "one inside another",
            1002,
            [half(OpCode::Data(Data::Binary), b"a"), binary(end, b"b")].concat(),
        ),
        ("half a ping", 1002, half(OpCode::Control(Control::Ping), b"a")),
        ("a long ping", 1002, vec![0x89, 0xfe, 0, 126, 0, 0, 0, 0]),
        ("a roundabout length", 1002, vec![0x82, 0xfe, 0, 1, 0, 0, 0, 0, 9]),
        ("too large", 1009, long(1 << 25)),
        ("far too large", 1009, long(1 << 62)),
        ("absurdly large", 1009, long(u64::MAX)),
        (
            "too large together",
            1009,
            [half(OpCode::Data(Data::Binary), b"a"), goes_on_long].concat(),
        ),
        ("half a code", 1002, control(end, Control::Close, &[3])),
        ("no such code", 1002, control(end, Control::Close, &1005_u16.to_be_bytes())),
        ("a reason that is no text", 1007, control(end, Control::Close, &[3, 232, 0xff, 0xfe])),
        (
            "nothing but pings",
            1008,
            (0..1100).flat_map(|_| control(end, Control::Ping, b"")).collect(),
        ),
        (
            "nothing but empty frames",
            1008,
            [half(OpCode::Data(Data::Binary), b"")]
                .into_iter()
                .chain((0..1100).map(|_| half(OpCode::Data(Data::Continue), b"")))
                .flatten()
                .collect(),
        ),
    ];
    for (what, code, bytes) in cases {
        let (link, script) = scripted(end, vec![bytes]);
        let (_, over) = read_all(&link, 0, 100);
        assert_eq!(over.unwrap().unwrap_err().kind(), ErrorKind::InvalidData, "{what}");
        let (told, reason) = closed_with(end, script).unwrap();
        assert_eq!(told, code, "{what}");
        assert!(!reason.is_empty(), "{what}");
        assert_eq!(write(&link, &[b"x"]).unwrap_err().kind(), ErrorKind::BrokenPipe, "{what}");
    }
}

#[test]
fn a_server_that_masks_breaks_the_rules_too() {
    let (link, script) = scripted(End::Client, vec![binary(End::Server, b"x")]);
    assert!(read_all(&link, 0, 100).1.unwrap().is_err());
    assert_eq!(closed_with(End::Client, script).unwrap().0, 1002);
}

#[test]
fn what_was_said_last_is_said_back() {
    for end in ENDS {
        for (body, orderly) in [
            (&[][..], true),
            (&[3, 232], true),
            (&[3, 233, b'b', b'y', b'e'], true),
            (&[3, 234, b'n', b'o'], false),
            (&[0x0f, 0xa0], false),
        ] {
            let last = control(end, Control::Close, body);
            let (link, script) = scripted(end, vec![binary(end, b"said"), last]);
            let (read, over) = read_all(&link, 0, 100);
            assert_eq!(read, b"said");
            match over.unwrap() {
                Ok(()) => assert!(orderly),
                Err(error) => {
                    assert!(!orderly);
                    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
                }
            }
            let code = body.first_chunk::<2>().map_or(1000, |code| u16::from_be_bytes(*code));
            assert_eq!(closed_with(end, script), Some((code, String::new())));
        }
    }
}

#[test]
fn an_end_without_a_last_word_is_no_orderly_one() {
    let (link, script) = scripted(End::Server, vec![binary(End::Server, b"x")]);
    script.0.lock().unwrap().ended = true;
    let (read, over) = read_all(&link, 0, 100);
    assert_eq!(read, b"x");
    assert_eq!(over.unwrap().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn the_last_word_says_why_and_comes_last() {
    let long = "é".repeat(100);
    for (end, parting, why, code) in [
        (End::Server, Some((Parting::Leaving, "stopped")), "stopped", CloseCode::Away),
        (End::Client, Some((Parting::Leaving, "stopped")), "stopped", CloseCode::Normal),
        (End::Server, Some((Parting::Fault, "no")), "no", CloseCode::Protocol),
        (End::Client, Some((Parting::Done, &long)), &long[..122], CloseCode::Normal),
        (End::Server, None, "", CloseCode::Normal),
    ] {
        let (link, script) = scripted(end, Vec::new());
        if let Some((parting, why)) = parting {
            link.explain(parting, why);
        }
        write(&link, &[b"goodbye"]).unwrap();
        link.try_finish().unwrap();
        link.try_finish().unwrap();
        let mut said = understood(end, script.taken());
        let Some(Message::Close(Some(last))) = said.pop() else { panic!("{said:?}") };
        assert_eq!((last.code, last.reason.as_str()), (code, why));
        assert_eq!(said, [Message::Binary(b"goodbye"[..].into())]);
    }
}
