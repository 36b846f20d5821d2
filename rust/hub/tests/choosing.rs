//! Who gets a call.

use std::collections::HashMap;

use super::*;
use crate::wire::{FailureKind, Ran};

fn counts(world: &mut World) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for (to, frame) in world.sent() {
        assert_eq!(frame.kind, Kind::Call);
        *counts.entry(to).or_default() += 1;
    }
    counts
}

#[test]
fn three_workers_and_thirty_calls_are_ten_each() {
    for callers in [1, 30] {
        let mut world = World::new();
        for name in ["w1", "w2", "w3"] {
            world.join(name, &["add"]);
        }
        let keys: Vec<PeerKey> =
            (0..callers).map(|n| world.join(&format!("c{n}"), &["other"])).collect();
        world.forget();
        for n in 0..30 {
            world.say(keys[n % callers], call(n as u64, "add"));
        }
        let counts = counts(&mut world);
        assert_eq!(counts.len(), 3, "{callers}");
        assert!(counts.values().all(|count| *count == 10), "{callers}: {counts:?}");
    }
}

#[test]
fn turns_survive_comings_and_goings() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let first = world.join("w1", &["add"]);
    world.join("w2", &["add"]);
    world.join("w3", &["add"]);
    world.forget();
    let ask = |world: &mut World, id| {
        world.say(caller, call(id, "add"));
        world.sent()[0].0.clone()
    };
    assert_eq!([ask(&mut world, 1), ask(&mut world, 2)], ["w1", "w2"]);
    world.leave(first);
    world.forget();
    assert_eq!([ask(&mut world, 3), ask(&mut world, 4)], ["w3", "w2"]);
    world.join("w4", &["add"]);
    world.forget();
    assert_eq!([ask(&mut world, 5), ask(&mut world, 6), ask(&mut world, 7)], ["w3", "w4", "w2"]);
}

#[test]
fn the_caller_itself_is_never_picked_unless_it_is_named() {
    let mut world = World::new();
    let both = world.join("both", &["add"]);
    world.say(both, call(1, "add"));
    world.forget();
    world.say(both, call(2, "add"));
    assert_eq!(failure_of(&world.only("both")).kind, FailureKind::Unreachable);
    world.join("w", &["add"]);
    world.forget();
    for id in 3..9 {
        world.say(both, call(id, "add"));
        assert_eq!(world.only("w").kind, Kind::Call);
    }
    world.say(both, call_to(9, "add", &["both"]));
    assert_eq!(world.only("both").kind, Kind::Call);
}

#[test]
fn least_pending_goes_to_who_has_least_to_do() {
    let mut world = World::with(Balance::LeastPending, WIDE);
    let caller = world.join("c", &[]);
    let workers = ["w1", "w2", "w3"].map(|name| world.join(name, &["add"]));
    world.forget();
    let mut ids = Vec::new();
    for id in 0..3 {
        world.say(caller, call(id, "add"));
        ids.extend(world.sent());
    }
    let names: Vec<&str> = ids.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(names, ["w1", "w2", "w3"], "in turn among equals");
    world.say(workers[1], answer(ids[1].1.id));
    world.forget();
    for id in 10..13 {
        world.say(caller, call(id, "add"));
        ids.extend(world.sent());
    }
    assert_eq!(ids[3].0, "w2", "who has answered is next");
    let mut last: Vec<&str> = ids[4..].iter().map(|(to, _)| to.as_str()).collect();
    last.sort_unstable();
    assert!(last.windows(2).all(|pair| pair[0] != pair[1]), "{last:?}");
}

#[test]
fn a_named_receiver_gets_every_call() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    world.join("w1", &["add"]);
    world.join("w2", &["add"]);
    world.forget();
    for id in 0..5 {
        world.say(caller, call_to(id, "add", &["w2"]));
        let frame = world.only("w2");
        assert_eq!(frame.fields.receivers().count(), 0, "the worker need not know");
    }
}

#[test]
fn nobody_to_run_it_is_said_at_once_and_to_the_point() {
    let mut world = World::new();
    let caller = world.join("c", &["own"]);
    let worker = world.join("w", &["add"]);
    world.forget();
    let cases = [
        (call(1, "sub"), "nobody offers \"sub\""),
        (call_to(2, "add", &["x"]), "no member is called \"x\""),
        (call_to(3, "sub", &["w"]), "\"w\" does not offer \"sub\""),
        (Frame::new(Kind::Call, 4), "nobody offers \"\""),
    ];
    for (frame, text) in cases {
        let id = frame.id;
        world.say(caller, frame);
        let failed = world.only("c");
        let failure = failure_of(&failed);
        assert_eq!((failed.id, failure.kind, failure.ran), (id, FailureKind::Unreachable, Ran::No));
        assert!(failure.message.contains(text), "{}", failure.message);
        assert!(failure.message.contains("c (own), w (add)"), "{}", failure.message);
    }
    world.leave(worker);
    world.forget();
    world.say(caller, flagged(Flags::ONEWAY, call(5, "add")));
    let failed = world.only("c");
    assert!(failed.flags.has(Flags::ONEWAY), "so that it can be logged");
    world.assert_idle();
}

#[test]
fn the_list_of_who_is_here_is_cut() {
    let mut world = World::new();
    let many: Vec<String> = (0..60).map(|n| format!("f{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let caller = world.join("first", &many);
    for n in 0..60 {
        world.join(&format!("m{n}"), &[]);
    }
    world.forget();
    world.say(caller, call(1, "sub"));
    let text = failure_of(&world.only("first")).message;
    assert!(text.contains("f49, ...") && !text.contains("f50"), "{text}");
    assert!(text.contains("m48 (nothing), ...") && !text.contains("m49"), "{text}");
}

#[test]
fn only_a_cast_has_several_receivers() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    world.join("w1", &["add"]);
    world.join("w2", &["add"]);
    world.forget();
    let refused = world.try_say(caller, call_to(1, "add", &["w1", "w2"]));
    assert!(matches!(refused, Err(WireError::Malformed(_))));
    let open = Frame { kind: Kind::Open, ..flagged(Flags::CAST, call(1, "add")) };
    assert!(matches!(world.try_say(caller, open), Err(WireError::Malformed(_))));
    world.quiet();
    world.assert_idle();
}

fn written(format: Format, frame: Frame) -> Frame {
    Frame { format, ..frame }
}

/// A worker that no pickle reaches.
fn join_page(world: &mut World, offers: &[&str]) -> PeerKey {
    let page = Hello { formats: vec![2], ..hello("page", offers) };
    world.join_as(Joining { pickles: Pickles::Never, ..joining(page) })
}

#[test]
fn a_call_goes_to_those_who_can_read_it_and_whose_answer_passes() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    join_page(&mut world, &["add"]);
    world.join_as(joining(Hello { formats: vec![2], ..hello("plain", &["add"]) }));
    world.join_untrusted("far", &["add"]);
    world.join_as(joining(Hello { formats: Vec::new(), ..hello("silent", &["add"]) }));
    world.join("near", &["add"]);
    world.forget();
    let mut id = 0;
    let mut called = |frame: Frame| {
        let mut names = Vec::new();
        for _ in 0..10 {
            id += 1;
            world.say(caller, Frame { id, ..frame.clone() });
            names.extend(world.sent().into_iter().map(|(to, _)| to));
        }
        names.sort();
        names.dedup();
        names
    };
    let pickled = written(Format::Pickle, call(0, "add"));
    assert_eq!(called(pickled.clone()), ["near", "silent"]);
    // No pickle comes back of these.
    assert_eq!(called(flagged(Flags::ONEWAY, pickled.clone())), ["far", "near", "silent"]);
    assert_eq!(called(Frame { kind: Kind::Open, ..pickled }), ["far", "near", "silent"]);
    assert_eq!(called(written(Format::MsgPack, call(0, "add"))), ["far", "near", "silent"]);
    assert_eq!(called(call(0, "add")), ["far", "near", "page", "plain", "silent"]);
    let nothing = written(Format::Nothing, Frame { kind: Kind::Open, ..call(0, "add") });
    assert_eq!(called(nothing), ["far", "near", "page", "plain", "silent"]);
}

#[test]
fn the_least_busy_of_those_who_can_read_a_call_gets_it() {
    let mut world = World::with(Balance::LeastPending, WIDE);
    let caller = world.join("c", &[]);
    join_page(&mut world, &["add"]);
    world.join("near", &["add", "own"]);
    world.join("other", &["add"]);
    world.forget();
    world.say(caller, call(1, "own"));
    assert_eq!(world.only("near").kind, Kind::Call);
    world.say(caller, written(Format::Pickle, call(2, "add")));
    assert_eq!(world.only("other").kind, Kind::Call);
    world.say(caller, call(3, "add"));
    assert_eq!(world.only("page").kind, Kind::Call);
}

#[test]
fn where_nobody_can_read_a_call_its_caller_hears_why() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    join_page(&mut world, &["add"]);
    world.forget();
    for frame in [call(1, "add"), flagged(Flags::ONEWAY, call(2, "add"))] {
        world.say(caller, written(Format::Pickle, frame));
        let failure = failure_of(&world.only("c"));
        assert_eq!((failure.kind, failure.ran), (FailureKind::SerdeNotAllowed, Ran::No));
        assert!(failure.message.contains("\"page\""), "{}", failure.message);
    }
    world.assert_idle();
}

#[test]
fn what_waited_for_a_worker_that_leaves_goes_to_one_that_can_read_it() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let slow = world.join_narrow("slow", &["add"], 1);
    world.forget();
    for id in [1, 2] {
        world.say(caller, written(Format::Pickle, call(id, "add")));
    }
    assert_eq!(world.only("slow").kind, Kind::Call);
    join_page(&mut world, &["add"]);
    world.join("near", &["add"]);
    world.forget();
    world.leave(slow);
    let calls = world.sent().into_iter().filter(|(_, frame)| frame.kind == Kind::Call);
    assert_eq!(calls.map(|(to, _)| to).collect::<Vec<_>>(), ["near"]);
}
