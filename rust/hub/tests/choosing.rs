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
