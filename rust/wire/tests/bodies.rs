//! Bodies that we write ourselves, and the first bytes of strangers.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_bytes::{ByteArray, ByteBuf};

use crate::wire::{
    Announcement, Credit, Failure, FailureKind, Flags, Frame, Function, Greeter, Hello, Kind,
    Limits, Member, PREAMBLE, Presence, Question, Ran, Targets, Welcome, WireError, refusal_for,
};

const FAILURES: [FailureKind; 14] = [
    FailureKind::Raised,
    FailureKind::Disconnected,
    FailureKind::Evicted,
    FailureKind::Unreachable,
    FailureKind::Timeout,
    FailureKind::Overloaded,
    FailureKind::TooLarge,
    FailureKind::SerdeNotAllowed,
    FailureKind::Serialization,
    FailureKind::Cancelled,
    FailureKind::Stopping,
    FailureKind::Protocol,
    FailureKind::Authentication,
    FailureKind::Lost,
];

fn some_bytes() -> impl Strategy<Value = Option<ByteBuf>> {
    option::of(vec(any::<u8>(), 0..50).prop_map(ByteBuf::from))
}

fn some_failure() -> impl Strategy<Value = Failure> {
    let kind = prop::sample::select(FAILURES.to_vec());
    let ran = prop::sample::select(vec![Ran::No, Ran::Yes, Ran::Maybe]);
    let blobs = (some_bytes(), some_bytes());
    (kind, ran, any::<String>(), ".*", ".*", blobs, option::of(".*")).prop_map(
        |(kind, ran, message, type_name, traceback, (args, pickle), worker)| Failure {
            kind,
            ran,
            message,
            type_name,
            traceback,
            args,
            worker,
            pickle,
        },
    )
}

fn some_functions() -> impl Strategy<Value = Vec<Function>> {
    vec((".*", ".*", ".*").prop_map(|(name, signature, doc)| Function(name, signature, doc)), 0..5)
}

fn some_limits() -> impl Strategy<Value = Limits> {
    any::<(u64, u32, u64)>().prop_map(|(max_message, calls, bytes)| Limits {
        max_message,
        calls,
        bytes,
    })
}

fn some_hello() -> impl Strategy<Value = Hello> {
    let lists = (some_functions(), vec(any::<u8>(), 0..6), vec(".*", 0..3));
    (".*", any::<[u8; 16]>(), lists, some_limits(), any::<bool>()).prop_map(
        |(name, incarnation, (functions, formats, capabilities), limits, watch)| Hello {
            name,
            incarnation: ByteArray::new(incarnation),
            functions,
            formats,
            capabilities,
            limits,
            watch,
        },
    )
}

fn some_question() -> impl Strategy<Value = Question> {
    prop_oneof![
        any::<u64>().prop_map(|from| Question::Members { from }),
        vec(".*", 0..4).prop_map(|names| Question::WaitMembers { names }),
        ".*".prop_map(|name| Question::WaitFunction { name }),
        any::<u64>().prop_map(|from| Question::Stats { from }),
    ]
}

fn some_credit() -> impl Strategy<Value = Credit> {
    let id = 0..crate::wire::MAX_ID;
    prop_oneof![
        any::<(u32, u64)>().prop_map(|(calls, bytes)| Credit::Calls { calls, bytes }),
        (id.clone(), any::<u64>()).prop_map(|(id, upto)| Credit::Items { id, upto }),
        (id, any::<u64>()).prop_map(|(id, upto)| Credit::Offset { id, upto }),
    ]
}

proptest! {
    #[test]
    fn failures_come_back(failure in some_failure()) {
        prop_assert_eq!(Failure::decode(&failure.encode()), Ok(failure));
    }

    #[test]
    fn greetings_come_back(hello in some_hello()) {
        let welcome = Welcome {
            name: hello.name.clone(),
            incarnation: hello.incarnation,
            capabilities: hello.capabilities.clone(),
            limits: hello.limits,
            proof: hello.watch.then(|| [7; 32].into()),
            no_pickle: hello.watch.then(|| hello.name.clone()),
        };
        let greeter = Greeter { name: hello.name.clone(), incarnation: hello.incarnation };
        prop_assert_eq!(Greeter::decode(&hello.encode()), Ok(greeter));
        prop_assert_eq!(Welcome::decode(&welcome.encode()), Ok(welcome));
        prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }

    #[test]
    fn what_members_say_comes_back(
        functions in some_functions(),
        more in any::<bool>(),
        question in some_question(),
        names in vec(".*", 0..5),
    ) {
        let announced = Announcement { functions: functions.clone(), more };
        prop_assert_eq!(Announcement::decode(&announced.encode()), Ok(announced));
        prop_assert_eq!(Question::decode(&question.encode()), Ok(question));
        let members: Vec<Member> =
            names.iter().map(|name| Member(name.clone(), functions.clone())).collect();
        prop_assert_eq!(Member::decode_list(&Member::encode_list(&members)), Ok(members));
        let targets = Targets(names.clone());
        prop_assert_eq!(Targets::decode(&targets.frame(7).body), Ok(targets));
        for name in names {
            let presence = Presence(more, name);
            prop_assert_eq!(Presence::decode(&presence.frame().body), Ok(presence));
        }
    }

    #[test]
    fn credit_comes_back(credit in some_credit()) {
        prop_assert_eq!(Credit::read(&credit.frame()), Ok(credit));
    }

    #[test]
    fn garbage_is_refused_or_read(body in vec(any::<u8>(), 0..300), flags in 0..3) {
        let _ = Failure::decode(&body);
        let _ = Hello::decode(&body);
        let _ = Welcome::decode(&body);
        let _ = Announcement::decode(&body);
        let _ = Question::decode(&body);
        let _ = Member::decode_list(&body);
        let _ = Presence::decode(&body);
        let _ = Targets::decode(&body);
        let flags = [Flags::NONE, Flags::ONEWAY, Flags::CAST][flags as usize];
        let frame = Frame { flags, ..Frame::new(Kind::Credit, 1).with_body(body) };
        let _ = Credit::read(&frame);
    }

    #[test]
    fn a_body_cut_off_is_refused(hello in some_hello(), place in any::<prop::sample::Index>()) {
        let body = hello.encode();
        let cut = body.slice(..place.index(body.len()));
        prop_assert!(matches!(Hello::decode(&cut), Err(WireError::Body("hello", _))));
    }
}

#[test]
fn announced_counts_are_not_believed() {
    // Arrays and maps of 2^32 - 1, and a string and bytes of 4 GiB, in a few bytes each.
    for start in [0xdd_u8, 0xdf, 0xdb, 0xc6] {
        let body = [start, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(Targets::decode(&body).is_err());
        assert!(Member::decode_list(&body).is_err());
        assert!(Hello::decode(&body).is_err());
        assert!(Failure::decode(&body).is_err());
    }
    // A million arrays in one another.
    let deep = vec![0x91; 1_000_000];
    assert!(Member::decode_list(&deep).is_err());
    let mut ignored = b"\x81\xa5other".to_vec();
    ignored.extend(deep);
    assert!(Failure::decode(&ignored).is_err());
}

#[test]
fn what_later_versions_say_is_read_as_far_as_it_goes() {
    let body = b"\x84\xa4kind\xa7strange\xa3ran\xa7perhaps\xa7message\xa2hm\xa5later\x91\xc3";
    let failure = Failure::decode(body).unwrap();
    assert_eq!(failure, Failure::new(FailureKind::Lost, Ran::Maybe, "hm"));
}

#[test]
fn long_texts_lose_their_middle() {
    let long = format!("begin{}end", "ü".repeat(100_000));
    let failure = Failure {
        traceback: long.clone(),
        args: Some(ByteBuf::from(vec![0; 65_537])),
        pickle: Some(ByteBuf::from(vec![0; 65_536])),
        ..Failure::new(FailureKind::Raised, Ran::Yes, long)
    };
    let body = failure.encode();
    assert!(body.len() < 256 * 1024);
    let read = Failure::decode(&body).unwrap();
    for text in [read.message, read.traceback] {
        assert!(text.len() <= 65_536 && text.len() > 65_000, "{}", text.len());
        assert!(text.starts_with("beginü") && text.ends_with("üend") && text.contains("cut"));
    }
    assert_eq!((read.args, read.pickle.map(|p| p.len())), (None, Some(65_536)));
}

#[test]
fn credit_needs_its_numbers() {
    for (flags, len) in [(Flags::NONE, 15), (Flags::ONEWAY, 7), (Flags::CAST, 0)] {
        let frame = Frame { flags, ..Frame::new(Kind::Credit, 0).with_body(vec![0; len]) };
        assert!(matches!(Credit::read(&frame), Err(WireError::Malformed(_))));
    }
    let many = [&u64::MAX.to_le_bytes()[..], &1_u64.to_le_bytes()].concat();
    let frame = Frame::new(Kind::Credit, 0).with_body(many);
    assert_eq!(Credit::read(&frame), Ok(Credit::Calls { calls: u32::MAX, bytes: 1 }));
}

#[test]
fn strangers_are_answered_in_their_own_language() {
    assert_eq!(refusal_for(&[0x16, 3, 1, 2, 0, 1]), Some(&[0x15, 3, 1, 0, 2, 2, 40][..]));
    for bytes in [&b"\x00\x01"[..], b"\xda\x00", b"\xdaff\x00", b"\r\n", b"\xff"] {
        assert!(refusal_for(bytes).unwrap().ends_with(b"\r\n"), "{bytes:?}");
    }
    for len in 0..PREAMBLE.len() {
        assert_eq!(refusal_for(&PREAMBLE[..len]), None);
    }
    let later = [0xda, b'f', b'f', b'i', 2, 9, 0, 0];
    assert_eq!(refusal_for(&later), None, "another version is one of ours");
}

#[test]
fn a_failure_says_who_ran_it() {
    let failure = Failure::new(FailureKind::Raised, Ran::Yes, "no").by("w");
    assert_eq!(Failure::decode(&failure.encode()).unwrap().worker.as_deref(), Some("w"));
    assert_eq!(Bytes::from(failure.encode().to_vec()), failure.encode());
}
