//! From the call to its answer, and who may say what.

use serde_bytes::ByteBuf;

use super::*;
use crate::wire::{FailureKind, MAX_FIELDS, Ran};

#[test]
fn ids_are_rewritten_on_each_hop() {
    let mut world = World::new();
    let (a, b) = (world.join("a", &[]), world.join("b", &[]));
    let worker = world.join("w", &["add"]);
    world.forget();
    world.say(a, call(5, "add").with_body(&b"[[1],{}]"[..]));
    world.say(b, call(5, "add").with_body(&b"[[2],{}]"[..]));
    let legs = world.sent_to("w");
    assert_eq!(&legs[0].body[..], b"[[1],{}]");
    assert_ne!(legs[0].id, legs[1].id);
    assert_eq!(world.hub.gauges().routes, 2);
    world.say(worker, answer(legs[1].id));
    assert_eq!(world.only("b"), answer(5));
    world.say(worker, Frame { kind: Kind::Failure, ..answer(legs[0].id) });
    assert_eq!((world.only("a").id, world.hub.gauges().routes), (5, 0));
}

#[test]
fn the_origin_is_the_servers_word() {
    let mut world = World::new();
    let (near, far) = (world.join("near", &[]), world.join_untrusted("far", &[]));
    world.join("w", &["add"]);
    world.forget();
    for (caller, name, trusted) in [(near, "near", true), (far, "far", false)] {
        let fields = FieldsBuilder::new().text(Key::Function, "add").origin("somebody", true);
        let fields = fields.number(Key::Chain, 9).raw(0x90, b"later").build();
        world.say(caller, call(1, "add").with_fields(fields));
        let leg = world.only("w");
        assert_eq!(leg.fields.origin(), Some((name, trusted)));
        let origins = leg.fields.iter().filter(|(key, _)| *key == Key::Origin as u8).count();
        assert_eq!(origins, 1);
        assert_eq!(leg.fields.number(Key::Chain), Some(9));
        assert!(leg.fields.iter().any(|(key, value)| (key, value) == (0x90, b"later")));
    }
}

#[test]
fn late_answers_and_answers_of_others_are_dropped() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["add"]);
    let liar = world.join("liar", &[]);
    world.forget();
    world.say(caller, call(1, "add"));
    let leg = world.only("w");
    world.say(liar, answer(leg.id));
    world.say(caller, answer(leg.id));
    world.say(worker, answer(leg.id + 1));
    world.quiet();
    world.say(worker, answer(leg.id));
    assert_eq!(world.only("c").id, 1);
    world.say(worker, answer(leg.id));
    world.quiet();
}

#[test]
fn a_late_large_answer_is_told_to_stop() {
    let mut world = World::new();
    let worker = world.join("w", &[]);
    world.forget();
    let fields = FieldsBuilder::new().number(Key::Transfer, 3).number(Key::Total, 100).build();
    world.say(worker, answer(77).with_fields(fields));
    let stop = Credit::Offset { id: 3, upto: Credit::UNWANTED };
    assert_eq!(Credit::read(&world.only("w")), Ok(stop));
    world.assert_idle();
}

#[test]
fn a_cancel_reaches_the_worker_and_only_from_the_caller() {
    let mut world = World::new();
    let (caller, other) = (world.join("c", &[]), world.join("o", &[]));
    let worker = world.join("w", &["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    let leg = world.only("w");
    world.say(other, Frame::new(Kind::Cancel, 1));
    world.quiet();
    world.say(caller, Frame::new(Kind::Cancel, 1));
    assert_eq!(world.only("w"), Frame::new(Kind::Cancel, leg.id));
    world.assert_idle();
    world.say(worker, answer(leg.id));
    world.say(caller, Frame::new(Kind::Cancel, 1));
    world.quiet();
}

#[test]
fn an_id_in_use_is_refused_and_may_be_used_again_later() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    let leg = world.only("w");
    assert!(matches!(world.try_say(caller, call(1, "add")), Err(WireError::Malformed(_))));
    world.say(worker, answer(leg.id));
    world.forget();
    world.say(caller, call(1, "add"));
    assert_eq!(world.only("w").kind, Kind::Call);
}

#[test]
fn pickles_of_untrusted_callers_are_refused() {
    let mut world = World::new();
    let far = world.join_untrusted("far", &[]);
    world.join("w", &["add"]);
    world.forget();
    for kind in [Kind::Call, Kind::Open] {
        world.say(far, Frame { kind, format: Format::Pickle, ..call(1, "add") });
        let failure = failure_of(&world.only("far"));
        assert_eq!((failure.kind, failure.ran), (FailureKind::SerdeNotAllowed, Ran::No));
        assert!(failure.message.contains("allow_pickle"), "{}", failure.message);
    }
    world.assert_idle();
}

#[test]
fn pickles_of_untrusted_workers_are_refused() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let far = world.join_untrusted("far", &["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    let leg = world.only("far");
    world.say(far, Frame { format: Format::Pickle, ..answer(leg.id) });
    let failed = world.only("c");
    assert_eq!(failed.fields.text(Key::Worker), Some("far"));
    let failure = failure_of(&failed);
    assert_eq!((failure.kind, failure.ran), (FailureKind::SerdeNotAllowed, Ran::Yes));

    world.say(caller, call(2, "add"));
    let leg = world.only("far");
    let bad = ByteBuf::from(b"\x80\x05N.".to_vec());
    let raised = Failure::new(FailureKind::Raised, Ran::Yes, "no").by("far");
    let with_pickle = Failure { pickle: Some(bad.clone()), ..raised.clone() };
    world.say(far, Frame::new(Kind::Failure, leg.id).with_body(with_pickle.encode()));
    assert_eq!(failure_of(&world.only("c")), raised);
    world.say(caller, call(3, "add"));
    let leg = world.only("far");
    world.say(far, Frame::new(Kind::Failure, leg.id).with_body(&b"\xc1"[..]));
    assert_eq!(failure_of(&world.only("c")).kind, FailureKind::Lost);

    let near = world.join("near", &["sub"]);
    world.forget();
    world.say(caller, call(4, "sub"));
    let leg = world.only("near");
    world.say(near, Frame::new(Kind::Failure, leg.id).with_body(with_pickle.encode()));
    assert_eq!(failure_of(&world.only("c")).pickle, Some(bad));
    world.assert_idle();
}

#[test]
fn whoever_may_not_answer_with_a_pickle_is_not_called_with_one() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    world.join_untrusted("far", &["add"]);
    world.forget();
    let pickled = |frame| Frame { format: Format::Pickle, ..frame };
    world.say(caller, pickled(call(1, "add")));
    let failed = world.only("c");
    assert_eq!((failed.fields.text(Key::Worker), failed.flags), (Some("far"), Flags::NONE));
    let failure = failure_of(&failed);
    assert_eq!((failure.kind, failure.ran), (FailureKind::SerdeNotAllowed, Ran::No));
    // It may be told something, where no pickle comes back.
    world.say(caller, flagged(Flags::ONEWAY, pickled(call(2, "add"))));
    assert_eq!(world.only("far").kind, Kind::Call);
    world.say(caller, pickled(Frame { kind: Kind::Open, ..call(3, "add") }));
    assert_eq!(world.only("far").kind, Kind::Open);
    world.say(caller, Frame::new(Kind::Cancel, 3));
    assert_eq!(world.only("far").kind, Kind::Cancel);

    let near = world.join("near", &["add"]);
    world.forget();
    world.say(caller, flagged(Flags::CAST, pickled(call(4, "add"))));
    let sent = world.sent();
    let names: Vec<_> = sent.iter().map(|(to, frame)| (to.as_str(), frame.kind)).collect();
    assert_eq!(names, [("c", Kind::Targets), ("c", Kind::Failure), ("near", Kind::Call)]);
    assert_eq!((failure_of(&sent[1].1).kind, sent[1].1.flags), (failure.kind, Flags::PART));
    world.say(near, pickled(answer(sent[2].1.id)));
    assert_eq!(world.only("c").flags, Flags::PART);
    world.assert_idle();
}

#[test]
fn a_server_that_stops_takes_nothing_new_and_finishes_what_runs() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    let leg = world.only("w");
    world.hub.stop();
    world.say(caller, call(2, "add"));
    let failure = failure_of(&world.only("c"));
    assert_eq!((failure.kind, failure.ran), (FailureKind::Stopping, Ran::No));
    world.say(worker, answer(leg.id));
    assert_eq!(world.only("c").id, 1);
}

#[test]
fn what_comes_at_the_wrong_time_is_an_error() {
    let mut world = World::new();
    let peer = world.join("p", &[]);
    world.forget();
    for kind in [
        Kind::Hello,
        Kind::Welcome,
        Kind::Challenge,
        Kind::Proof,
        Kind::Goodbye,
        Kind::Targets,
        Kind::Presence,
    ] {
        assert!(matches!(world.try_say(peer, Frame::new(kind, 0)), Err(WireError::Malformed(_))));
    }
    for kind in [Kind::Announce, Kind::Ask] {
        let refused = world.try_say(peer, Frame::new(kind, 1).with_body(&b"\xc1"[..]));
        assert!(matches!(refused, Err(WireError::Body(..))), "{kind:?}");
    }
    world.say(peer, Frame::new(Kind::Ping, 0));
    world.quiet();
}

#[test]
fn no_room_is_left_for_fields_that_no_router_could_pass_on() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w".repeat(255).as_str(), &["add"]);
    world.forget();
    let fill = |len| {
        let fields = FieldsBuilder::new().text(Key::Function, "add");
        call(1, "add").with_fields(fields.raw(0x90, &vec![0; len - 9]).build())
    };
    let refused = world.try_say(caller, fill(MAX_FIELDS + 1));
    assert!(matches!(refused, Err(WireError::Malformed(_))));
    world.say(caller, fill(MAX_FIELDS));
    let leg = world.sent().remove(0).1;
    assert!(leg.fields.as_bytes().len() <= usize::from(u16::MAX));
    world.say(worker, answer(leg.id));
}

#[test]
fn what_is_attached_travels_with_its_frame() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let local = world.join_local(&["add"]);
    world.forget();
    let message = Message { frame: call(1, "add"), rest: Some("arguments") };
    world.hub.message(caller, message, world.now, &mut world.out).unwrap();
    let Some(Action::Send(to, Message { frame, rest: Some("arguments") })) = world.out.pop() else {
        panic!("{:?}", world.out);
    };
    assert_eq!(to, "hub");
    let message = Message { frame: answer(frame.id), rest: Some("result") };
    world.hub.message(local, message, world.now, &mut world.out).unwrap();
    assert!(matches!(world.out.pop(), Some(Action::Send(_, Message { rest: Some("result"), .. }))));
}
