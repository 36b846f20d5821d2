//! Large messages that pass through in pieces.

use super::*;
use crate::wire::{FailureKind, WHOLE};

fn large(frame: Frame, transfer: u64, total: u64) -> Frame {
    let fields = frame.fields.iter();
    let fields = fields.fold(FieldsBuilder::new(), |b, (key, value)| b.raw(key, value));
    let fields = fields.number(Key::Transfer, transfer).number(Key::Total, total);
    frame.with_fields(fields.build()).with_body(vec![0; 10])
}

fn piece(id: u64, len: usize) -> Frame {
    Frame::new(Kind::Piece, id).with_body(vec![1; len])
}

fn allow(id: u64, upto: u64) -> Frame {
    Credit::Offset { id, upto }.frame()
}

fn stop(id: u64) -> Frame {
    allow(id, Credit::UNWANTED)
}

fn transfer_of(frame: &Frame) -> u64 {
    frame.fields.number(Key::Transfer).unwrap()
}

#[test]
fn a_large_call_and_its_large_answer() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["echo"]);
    world.forget();
    world.say(caller, large(call(1, "echo"), 50, 100));
    let leg = world.only("w");
    let there = transfer_of(&leg);
    assert_eq!((leg.fields.number(Key::Total), leg.body.len()), (Some(100), 10));
    world.say(worker, allow(there, 60));
    assert_eq!(world.only("c"), allow(50, 60));
    world.say(caller, piece(50, 50));
    assert_eq!(world.only("w"), piece(there, 50));
    world.say(worker, allow(there, 1000));
    assert_eq!(world.only("c"), allow(50, 1000));
    assert_eq!(world.hub.gauges().transfers, 1);
    world.say(caller, piece(50, 40));
    assert_eq!(world.only("w"), piece(there, 40));
    assert_eq!(world.hub.gauges().transfers, 0);

    world.say(worker, large(answer(leg.id), 7, 20));
    let back = world.only("c");
    assert_eq!((back.id, back.fields.text(Key::Worker)), (1, Some("w")));
    assert_eq!(world.hub.gauges().routes, 0);
    world.say(caller, allow(transfer_of(&back), 20));
    assert_eq!(world.only("w"), allow(7, 20));
    world.say(worker, piece(7, 10));
    assert_eq!(world.only("c"), piece(transfer_of(&back), 10));
    world.assert_idle();
}

#[test]
fn a_cast_is_uploaded_once_at_the_pace_of_the_slowest() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let keys = ["w1", "w2"].map(|name| world.join(name, &["echo"]));
    let busy = world.join_narrow("w3", &["echo"], 0);
    world.forget();
    world.say(caller, large(flagged(Flags::CAST, call(1, "echo")), 50, 110));
    let sent = world.sent();
    let ids: Vec<u64> = sent[1..].iter().map(|(_, leg)| transfer_of(leg)).collect();
    assert_eq!(ids.len(), 2);
    world.say(keys[0], allow(ids[0], 110));
    world.say(keys[1], allow(ids[1], 60));
    assert!(world.sent().is_empty(), "the third has not even got its beginning");
    world.credit(busy, 1);
    let third = transfer_of(&world.only("w3"));
    world.say(busy, allow(third, 80));
    assert_eq!(world.only("c"), allow(50, 60));
    world.say(caller, piece(50, 50));
    let to: Vec<String> = world.sent().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, ["w1", "w2", "w3"]);
    // The slowest wants no more of it, then the next slowest dies.
    world.say(keys[1], stop(ids[1]));
    assert_eq!(world.only("c"), allow(50, 80));
    world.leave(busy);
    let sent = world.sent();
    assert!(sent.contains(&("c".into(), allow(50, 110))), "{sent:?}");
    world.say(caller, piece(50, 50));
    assert_eq!(world.only("w1").body.len(), 50);
    assert_eq!(world.hub.gauges().transfers, 0);
}

#[test]
fn nobody_wants_the_rest() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["echo"]);
    world.forget();
    world.say(caller, large(call(1, "echo"), 50, 100));
    let there = transfer_of(&world.only("w"));
    world.say(caller, allow(there, 100));
    world.quiet();
    world.say(worker, stop(there));
    assert_eq!(world.only("c"), stop(50));
    world.say(caller, piece(50, 5));
    world.say(worker, stop(there));
    world.quiet();
    assert_eq!(world.hub.gauges().transfers, 0);
}

#[test]
fn a_source_that_gives_up_or_dies_aborts() {
    for dies in [true, false] {
        let mut world = World::new();
        let caller = world.join("c", &[]);
        world.join("w", &["echo"]);
        let busy = world.join_narrow("slow", &["echo"], 0);
        world.forget();
        world.say(caller, large(flagged(Flags::CAST, call(1, "echo")), 50, 100));
        let leg = world.sent().remove(1).1;
        if dies {
            world.leave(caller);
        } else {
            world.say(caller, Frame::new(Kind::Abort, 50));
            world.say(caller, Frame::new(Kind::Cancel, 1));
        }
        let abort = Frame::new(Kind::Abort, transfer_of(&leg));
        assert_eq!(world.sent_to("w"), [abort, Frame::new(Kind::Cancel, leg.id)]);
        world.credit(busy, 1);
        world.quiet();
        world.assert_idle();
    }
}

#[test]
fn a_worker_that_dies_in_its_answer_aborts_it() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["echo"]);
    world.forget();
    world.say(caller, call(1, "echo"));
    let leg = world.only("w");
    world.say(worker, large(answer(leg.id), 7, 20));
    let back = transfer_of(&world.only("c"));
    world.leave(worker);
    assert_eq!(world.only("c"), Frame::new(Kind::Abort, back));
    world.assert_idle();
}

#[test]
fn a_large_call_that_never_left_tells_its_source_to_stop() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    world.forget();
    world.say(caller, large(call(1, "echo"), 50, 100));
    let sent = world.sent_to("c");
    assert_eq!(sent[0], stop(50));
    assert_eq!(failure_of(&sent[1]).kind, FailureKind::Unreachable);

    let busy = world.join_narrow("w", &["echo"], 0);
    world.forget();
    let fields = FieldsBuilder::new().text(Key::Function, "echo").number(Key::Deadline, 5);
    world.say(caller, large(call(2, "echo").with_fields(fields.build()), 51, 100));
    world.say(caller, large(call(3, "echo"), 52, 100));
    world.say(caller, Frame::new(Kind::Cancel, 3));
    assert_eq!(world.only("c"), stop(52));
    world.wait(Duration::from_secs(1));
    world.credit(busy, 1);
    let sent = world.sent_to("c");
    assert_eq!(sent[0], stop(51));
    assert_eq!(failure_of(&sent[1]).kind, FailureKind::Timeout);
    world.assert_idle();
}

#[test]
fn a_large_call_that_waits_moves_with_its_pieces() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let busy = world.join_narrow("w1", &["echo"], 0);
    world.forget();
    world.say(caller, large(call(1, "echo"), 50, 100));
    let other = world.join("w2", &["echo"]);
    world.forget();
    world.leave(busy);
    let there = transfer_of(&world.only("w2"));
    world.say(other, allow(there, 100));
    assert_eq!(world.only("c"), allow(50, 100));
    world.say(caller, piece(50, 90));
    assert_eq!(world.only("w2"), piece(there, 90));
}

#[test]
fn large_items_of_a_stream() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w", &["feed"]);
    world.forget();
    world.say(caller, Frame { kind: Kind::Open, ..call(1, "feed") });
    let leg = world.only("w").id;
    world.say(worker, Credit::Items { id: leg, upto: 1 }.frame());
    world.forget();
    world.say(caller, large(Frame::new(Kind::Item, 1), 50, 30));
    let there = transfer_of(&world.only("w"));
    world.say(worker, allow(there, 30));
    assert_eq!(world.only("c"), allow(50, 30));
    world.say(caller, piece(50, 20));
    assert_eq!(world.only("w"), piece(there, 20));
    assert_eq!(world.hub.gauges().transfers, 0);
}

#[test]
fn sources_keep_to_what_was_allowed() {
    let start = || {
        let mut world = World::new();
        let caller = world.join("c", &[]);
        let worker = world.join("w", &["echo"]);
        world.forget();
        world.say(caller, large(call(1, "echo"), 50, 100));
        let there = transfer_of(&world.only("w"));
        (world, caller, worker, there)
    };
    let (mut world, caller, ..) = start();
    assert!(world.try_say(caller, piece(50, 1)).is_err(), "nothing is allowed yet");
    let (mut world, caller, worker, there) = start();
    world.say(worker, allow(there, 1000));
    assert!(world.try_say(caller, piece(50, 91)).is_err(), "more than it announced");
    let (mut world, caller, worker, there) = start();
    world.say(worker, allow(there, 50));
    assert!(world.try_say(caller, piece(50, 0)).is_err(), "an empty piece");
    let (mut world, caller, ..) = start();
    assert!(world.try_say(caller, large(call(2, "echo"), 50, 100)).is_err(), "an id in use");
    for total in [0, 9, 10] {
        assert!(world.try_say(caller, large(call(2, "echo"), 51, total)).is_err(), "{total}");
    }
    let first = large(call(2, "echo"), 51, 1 << 20).with_body(vec![0; WHOLE + 1]);
    assert!(world.try_say(caller, first).is_err(), "a first piece that is too large");
    assert!(world.try_say(caller, large(Frame::new(Kind::Ask, 2), 51, 100)).is_err());
}
