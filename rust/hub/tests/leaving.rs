//! Peers that die, go, or take a name over.

use super::*;
use crate::wire::{FailureKind, Ran};

#[test]
fn a_worker_that_dies_takes_its_calls_with_it() {
    let mut world = World::new();
    let (a, b) = (world.join("a", &[]), world.join("b", &[]));
    let worker = world.join("w", &["add"]);
    world.forget();
    world.say(a, call(1, "add"));
    world.say(b, call(2, "add"));
    world.forget();
    world.leave(worker);
    let sent = world.sent();
    assert_eq!(sent.len(), 2);
    for ((to, frame), (caller, id)) in sent.iter().zip([("a", 1), ("b", 2)]) {
        assert_eq!((to.as_str(), frame.id), (caller, id));
        assert_eq!(frame.fields.text(Key::Worker), Some("w"));
        let failure = failure_of(frame);
        assert_eq!((failure.kind, failure.ran), (FailureKind::Disconnected, Ran::Maybe));
        assert_eq!(failure.worker.as_deref(), Some("w"));
    }
    world.assert_idle();
    world.leave(worker);
    world.quiet();
}

#[test]
fn what_was_not_sent_yet_goes_to_another() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let slow = world.join_narrow("w1", &["add"], 1);
    world.forget();
    for id in 1..=3 {
        world.say(caller, call(id, "add"));
    }
    world.say(caller, flagged(Flags::ONEWAY, call(4, "add")));
    assert_eq!(world.sent_to("w1").len(), 1);
    assert_eq!(world.hub.gauges().queued, 3);
    let other = world.join("w2", &["add"]);
    world.forget();
    world.leave(slow);
    let sent = world.sent();
    let to: Vec<(&str, Kind)> = sent.iter().map(|(to, frame)| (to.as_str(), frame.kind)).collect();
    let moved = ("w2", Kind::Call);
    assert_eq!(to, [moved, moved, moved, ("c", Kind::Failure)]);
    assert_eq!(sent[3].1.id, 1, "only what had been sent fails");
    world.say(other, answer(sent[1].1.id));
    assert_eq!(world.only("c").id, 3);
    world.say(other, answer(sent[0].1.id));
    assert_eq!(world.only("c").id, 2);
    world.assert_idle();
}

#[test]
fn what_was_meant_for_one_goes_to_no_other() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let slow = world.join_narrow("w1", &["add"], 0);
    world.join("w2", &["add"]);
    world.forget();
    world.say(caller, call_to(1, "add", &["w1"]));
    world.quiet();
    world.leave(slow);
    let failure = failure_of(&world.only("c"));
    assert_eq!((failure.kind, failure.ran), (FailureKind::Disconnected, Ran::No));
    world.assert_idle();
}

#[test]
fn nobody_left_to_run_it() {
    let mut world = World::new();
    let caller = world.join("c", &["add"]);
    let slow = world.join_narrow("w1", &["add"], 0);
    world.forget();
    world.say(caller, call(1, "add"));
    world.leave(slow);
    let failure = failure_of(&world.only("c"));
    assert_eq!((failure.kind, failure.ran), (FailureKind::Disconnected, Ran::No));
}

#[test]
fn a_caller_that_dies_is_a_cancel() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join_narrow("w", &["add"], 1);
    world.forget();
    world.say(caller, call(1, "add"));
    world.say(caller, call(2, "add"));
    let leg = world.only("w");
    world.leave(caller);
    assert_eq!(world.only("w"), Frame::new(Kind::Cancel, leg.id));
    world.assert_idle();
    world.say(worker, answer(leg.id));
    world.credit(worker, 5);
    world.quiet();
}

#[test]
fn what_was_sent_and_forgotten_is_run_all_the_same() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join_narrow("w", &["add"], 0);
    world.forget();
    let note = Frame { format: Format::Pickle, ..flagged(Flags::ONEWAY, call(1, "add")) };
    world.say(caller, note);
    world.leave(caller);
    world.forget();
    world.credit(worker, 1);
    let leg = world.only("w");
    assert_eq!(leg.fields.origin(), Some(("c", true)), "as it was when the call came");
    world.assert_idle();
}

#[test]
fn a_worker_that_is_about_to_go_gets_nothing_more() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let going = world.join_narrow("w1", &["add"], 1);
    world.forget();
    world.say(caller, call(1, "add"));
    world.say(caller, call(2, "add"));
    world.say(caller, call_to(3, "add", &["w1"]));
    let running = world.only("w1");
    world.join("w2", &["add"]);
    world.forget();
    world.say(going, Frame::new(Kind::Leaving, 9));
    let sent = world.sent();
    assert_eq!((sent[0].0.as_str(), sent[0].1.kind), ("w2", Kind::Call));
    let failure = failure_of(&sent[1].1);
    assert_eq!((sent[1].1.id, failure.kind, failure.ran), (3, FailureKind::Stopping, Ran::No));
    assert_eq!(sent[2], ("w1".into(), Frame::new(Kind::Answer, 9)));
    world.say(going, answer(running.id));
    assert_eq!(world.only("c").id, 1, "what runs is finished");
    world.credit(going, 5);
    world.say(caller, call(4, "add"));
    assert_eq!(world.only("w2").kind, Kind::Call);
}

#[test]
fn the_newest_connection_takes_the_name_over() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let old = world.join("w", &["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    world.forget();
    let hello = Hello { incarnation: ByteArray::new([8; 16]), ..hello("w", &["add", "sub"]) };
    let new = world.join_as(Joining { handle: "new".into(), ..joining(hello) });
    let closed = world.out.iter().find_map(|action| match action {
        Action::Close(handle, why) => Some((handle.clone(), why.clone())),
        _ => None,
    });
    let (handle, why) = closed.unwrap();
    assert_eq!((handle.as_str(), why.kind), ("w", FailureKind::Evicted));
    assert!(why.message.contains("\"w\""), "{}", why.message);
    assert_eq!(failure_of(&world.sent_to("c")[0]).ran, Ran::Maybe);
    // The old connection may still say something, and then goes.
    world.say(old, answer(1));
    world.say(old, call(2, "add"));
    world.leave(old);
    world.quiet();
    world.say(caller, call_to(3, "sub", &["w"]));
    let leg = world.only("new");
    world.say(new, answer(leg.id));
    assert_eq!(world.only("c").id, 3);
    assert_eq!(world.hub.members().len(), 2);
}

#[test]
fn a_node_that_comes_back_replaces_itself() {
    let mut world = World::new();
    world.join("w", &["add"]);
    world.forget();
    world.join_as(Joining { handle: "again".into(), ..joining(hello("w", &["add"])) });
    let why = world.out.iter().find_map(|action| match action {
        Action::Close(_, why) => Some(why.kind),
        _ => None,
    });
    assert_eq!(why, Some(FailureKind::Disconnected), "so that it does not count as evicted");
}

#[test]
fn a_name_goes_only_to_who_has_proven_to_be_the_same() {
    let own = Identity::Certificate(vec![1]);
    let another = Identity::Certificate(vec![2]);
    for (old, new, may) in [
        (Identity::Nobody, Identity::Nobody, true),
        (Identity::Nobody, Identity::Token, true),
        (Identity::Token, Identity::Token, true),
        (Identity::Token, Identity::Nobody, false),
        (own.clone(), own.clone(), true),
        (own.clone(), another.clone(), false),
        (own.clone(), Identity::Token, false),
        (own, Identity::Nobody, false),
    ] {
        let mut world = World::new();
        let what = format!("{old:?} {new:?}");
        let caller = world.join("c", &[]);
        let first = world.join_as(Joining { identity: old, ..joining(hello("w", &["add"])) });
        world.forget();
        let newer = Hello { incarnation: ByteArray::new([8; 16]), ..hello("w", &["add"]) };
        let second = Joining { handle: "new".into(), identity: new, ..joining(newer) };
        let joined = world.hub.join(second, &mut world.out);
        assert_eq!(joined.is_ok(), may, "{what}");
        if let Err(failure) = joined {
            assert_eq!(failure.kind, FailureKind::Authentication, "{what}");
            assert!(failure.message.contains("\"w\""), "{}", failure.message);
            world.quiet();
            world.say(caller, call(1, "add"));
            let leg = world.only("w");
            world.say(first, answer(leg.id));
            assert_eq!(world.only("c").kind, Kind::Answer, "the old one stays");
        }
    }
}
