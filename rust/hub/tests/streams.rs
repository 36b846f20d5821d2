//! Streams that pass through.

use super::*;
use crate::wire::{FailureKind, Ran};

fn open(id: u64) -> Frame {
    Frame { kind: Kind::Open, ..call(id, "feed") }
}

fn item(id: u64) -> Frame {
    let item = Frame::new(Kind::Item, id).with_body(&b"item"[..]);
    Frame { format: Format::Opaque, ..item }
}

fn allow(id: u64, upto: u64) -> Frame {
    Credit::Items { id, upto }.frame()
}

struct Open {
    world: World,
    caller: PeerKey,
    worker: PeerKey,
    leg: u64,
}

fn opened(flags: Flags) -> Open {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w1", &["feed"]);
    world.forget();
    world.say(caller, flagged(flags, open(3)));
    world.join("w2", &["feed"]);
    let leg = world.sent()[0].1.clone();
    assert_eq!(leg.kind, Kind::Open);
    Open { world, caller, worker, leg: leg.id }
}

#[test]
fn items_stay_with_the_worker_that_was_picked() {
    for flags in [Flags::NONE, Flags::ONEWAY] {
        let Open { mut world, caller, worker, leg } = opened(flags);
        world.say(worker, allow(leg, 2));
        assert_eq!(world.only("c"), allow(3, 2));
        for _ in 0..2 {
            world.say(caller, item(3));
            assert_eq!(world.only("w1"), item(leg));
        }
        world.say(worker, allow(leg, 3));
        world.forget();
        world.say(caller, flagged(Flags::TEXT, item(3)));
        assert!(world.only("w1").flags.has(Flags::TEXT));
        world.say(caller, Frame::new(Kind::End, 3));
        assert_eq!(world.only("w1"), Frame::new(Kind::End, leg));
        assert_eq!(world.hub.gauges().routes, 1, "it is not over before its worker says so");
        world.say(worker, Frame::new(Kind::Answer, leg));
        assert_eq!(world.only("c"), Frame::new(Kind::Answer, 3));
        world.assert_idle();
    }
}

#[test]
fn a_stream_starts_with_no_allowance() {
    let Open { mut world, caller, worker, leg } = opened(Flags::NONE);
    assert!(matches!(world.try_say(caller, item(3)), Err(WireError::Malformed(_))));
    let Open { mut world, caller, .. } = {
        world.say(worker, allow(leg, 1));
        Open { world, caller, worker, leg }
    };
    assert!(world.try_say(caller, item(3)).is_err(), "the refused one was counted");
}

#[test]
fn only_the_worker_allows_items() {
    let Open { mut world, caller, worker, leg } = opened(Flags::NONE);
    world.say(caller, allow(leg, 9));
    world.say(worker, allow(leg + 1, 9));
    world.quiet();
    world.say(worker, allow(leg, 4));
    world.say(worker, allow(leg, 2));
    assert_eq!(world.sent_to("c").len(), 2);
    for _ in 0..4 {
        world.say(caller, item(3));
    }
    assert_eq!(world.sent_to("w1").len(), 4, "what was allowed stays allowed");
}

#[test]
fn a_failing_item_ends_the_stream() {
    let Open { mut world, caller, worker, leg } = opened(Flags::NONE);
    world.say(worker, allow(leg, 5));
    world.forget();
    let body = Failure::new(FailureKind::Raised, Ran::Yes, "no").encode();
    world.say(worker, Frame::new(Kind::Failure, leg).with_body(body));
    assert_eq!(failure_of(&world.only("c")).kind, FailureKind::Raised);
    world.assert_idle();
    // What was already on its way.
    world.say(caller, item(3));
    world.say(caller, Frame::new(Kind::End, 3));
    world.quiet();
}

#[test]
fn a_stream_whose_worker_goes_fails() {
    let Open { mut world, caller, worker, leg } = opened(Flags::ONEWAY);
    world.say(worker, allow(leg, 5));
    world.forget();
    world.leave(worker);
    let failed = world.only("c");
    assert_eq!((failed.id, failure_of(&failed).kind), (3, FailureKind::Disconnected));
    world.say(caller, item(3));
    world.quiet();
    world.assert_idle();
}

#[test]
fn a_stream_whose_caller_goes_is_cancelled() {
    for gone in [true, false] {
        let Open { mut world, caller, leg, .. } = opened(Flags::ONEWAY);
        if gone {
            world.leave(caller);
        } else {
            world.say(caller, Frame::new(Kind::Cancel, 3));
        }
        assert_eq!(world.only("w1"), Frame::new(Kind::Cancel, leg));
        world.assert_idle();
    }
}

#[test]
fn an_end_waits_for_its_beginning() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let busy = world.join_narrow("w1", &["feed"], 0);
    world.forget();
    world.say(caller, open(3));
    world.say(caller, Frame::new(Kind::End, 3));
    world.say(caller, open(4));
    world.say(caller, Frame::new(Kind::End, 4));
    world.quiet();
    world.credit(busy, 1);
    let sent = world.sent_to("w1");
    assert_eq!(sent.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::Open, Kind::End]);
    assert_eq!(sent[0].id, sent[1].id);
    world.join("w2", &["feed"]);
    world.forget();
    world.leave(busy);
    let sent: Vec<(String, Kind)> = world.sent().into_iter().map(|(to, f)| (to, f.kind)).collect();
    let to_other = [("w2".into(), Kind::Open), ("w2".into(), Kind::End)];
    assert_eq!(sent[..2], to_other, "the same at another worker");
}

#[test]
fn pickled_items_of_the_untrusted_end_the_stream() {
    let mut world = World::new();
    let far = world.join_untrusted("far", &[]);
    let worker = world.join("w", &["feed"]);
    world.forget();
    world.say(far, open(3));
    let leg = world.only("w").id;
    world.say(worker, allow(leg, 9));
    world.forget();
    world.say(far, Frame { format: Format::Pickle, ..item(3) });
    let sent = world.sent();
    assert_eq!(failure_of(&sent[0].1).kind, FailureKind::SerdeNotAllowed);
    assert_eq!(sent[1], ("w".into(), Frame::new(Kind::Cancel, leg)));
    world.assert_idle();
}
