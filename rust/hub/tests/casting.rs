//! One call to many.

use super::*;
use crate::wire::{FailureKind, Ran, Targets};

fn cast(id: u64, receivers: &[&str]) -> Frame {
    flagged(Flags::CAST, call_to(id, "add", receivers))
}

/// The targets that the caller was told, and the legs.
fn legs(world: &mut World, caller: &str) -> (Vec<String>, Vec<(String, Frame)>) {
    let mut sent = world.sent();
    let (to, targets) = sent.remove(0);
    assert_eq!((to.as_str(), targets.kind), (caller, Kind::Targets));
    (Targets::decode(&targets.body).unwrap().0, sent)
}

#[test]
fn a_cast_goes_to_all_others_and_comes_back_in_parts() {
    let mut world = World::new();
    let caller = world.join("c", &["add"]);
    let workers = ["w1", "w2", "w3"].map(|name| world.join(name, &["add"]));
    world.join("other", &["sub"]);
    world.forget();
    world.say(caller, cast(4, &[]));
    let (targets, legs) = legs(&mut world, "c");
    assert_eq!(targets, ["w1", "w2", "w3"]);
    assert_eq!(legs.len(), 3);
    assert!(legs.iter().all(|(_, leg)| !leg.flags.has(Flags::CAST)), "a leg is a call");
    for (worker, (name, leg)) in workers.into_iter().zip(&legs) {
        world.say(worker, answer(leg.id));
        let part = world.only("c");
        assert_eq!((part.id, part.fields.text(Key::Worker)), (4, Some(name.as_str())));
        assert!(part.flags.has(Flags::PART));
    }
    world.assert_idle();
}

/// Of what this one is sent, what leaves at once.
fn hurried(world: &World, name: &str) -> Vec<bool> {
    let sent = world.out.iter().filter_map(|action| match action {
        Action::Send(to, _) => Some((to, true)),
        Action::SendLater(to, _) => Some((to, false)),
        _ => None,
    });
    sent.filter(|(to, _)| *to == name).map(|(_, now)| now).collect()
}

#[test]
fn only_the_last_answer_is_in_a_hurry() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let workers = ["w1", "w2", "w3"].map(|name| world.join(name, &["add"]));
    world.forget();
    world.say(caller, cast(4, &[]));
    assert_eq!((hurried(&world, "c"), hurried(&world, "w3")), (vec![false], vec![true]));
    let (_, legs) = legs(&mut world, "c");
    for (worker, (_, leg)) in workers.into_iter().zip(&legs) {
        world.say(worker, answer(leg.id));
    }
    assert_eq!(hurried(&world, "c"), [false, false, true]);
}

#[test]
fn shortly_before_it_is_too_late_no_answer_waits_for_another() {
    let timed = |left: Duration| {
        let one = cast(4, &[]);
        let fields = one.fields.without(&[]).number(Key::Deadline, left.as_micros() as u64);
        one.with_fields(fields.build())
    };
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let workers = ["w1", "w2", "w3"].map(|name| world.join(name, &["add"]));
    world.forget();
    world.say(caller, timed(Duration::from_secs(5)));
    assert_eq!(hurried(&world, "c"), [false]);
    let (_, legs) = legs(&mut world, "c");
    for (nth, (worker, (_, leg))) in workers.into_iter().zip(&legs).take(2).enumerate() {
        world.say(worker, answer(leg.id));
        assert_eq!(hurried(&world, "c"), [nth == 1]);
        world.forget();
        world.wait(Duration::from_millis(4600));
    }
    world.say(caller, Frame { id: 5, ..timed(Duration::from_millis(400)) });
    assert_eq!(hurried(&world, "c"), [true]);
}

#[test]
fn a_worker_cannot_speak_for_another() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w1", &["add"]);
    world.forget();
    world.say(caller, cast(4, &[]));
    let (_, legs) = legs(&mut world, "c");
    let fields = FieldsBuilder::new().text(Key::Worker, "w2").build();
    world.say(worker, flagged(Flags::TEXT, answer(legs[0].1.id)).with_fields(fields));
    let part = world.only("c");
    assert_eq!(part.fields.text(Key::Worker), Some("w1"));
    assert_eq!(part.flags, Flags::PART.with(Flags::TEXT));
}

#[test]
fn only_a_cast_has_parts() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join("w1", &["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    let leg = world.only("w1");
    world.say(worker, flagged(Flags::PART, answer(leg.id)));
    assert_eq!(world.only("c").flags, Flags::NONE);
}

#[test]
fn receivers_are_asked_once_each_or_nobody() {
    let mut world = World::new();
    let caller = world.join("c", &["add"]);
    world.join("w1", &["add"]);
    world.join("w2", &["add"]);
    world.forget();
    world.say(caller, cast(1, &["w2", "c", "w2"]));
    let (targets, asked) = legs(&mut world, "c");
    assert_eq!(targets, ["w2", "c"]);
    assert_eq!(asked.len(), 2);
    world.say(caller, cast(2, &["w1", "gone"]));
    let failed = world.only("c");
    assert!(!failed.flags.has(Flags::PART), "the whole cast");
    assert_eq!(failure_of(&failed).kind, FailureKind::Unreachable);
}

#[test]
fn a_cast_that_nobody_waits_for_has_no_targets() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let workers = ["w1", "w2"].map(|name| world.join(name, &["add"]));
    world.forget();
    world.say(caller, flagged(Flags::ONEWAY, cast(1, &[])));
    let legs = world.sent();
    assert_eq!(legs.len(), 2);
    world.assert_idle();
    world.say(workers[0], answer(legs[0].1.id));
    world.quiet();
}

#[test]
fn a_cancelled_cast_is_cancelled_everywhere() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let workers = ["w1", "w2"].map(|name| world.join(name, &["add"]));
    world.join_narrow("w3", &["add"], 0);
    world.forget();
    world.say(caller, cast(1, &[]));
    let (targets, legs) = legs(&mut world, "c");
    assert_eq!((targets.len(), legs.len()), (3, 2), "the third waits for credit");
    world.say(workers[0], answer(legs[0].1.id));
    world.forget();
    world.say(caller, Frame::new(Kind::Cancel, 1));
    assert_eq!(world.only("w2"), Frame::new(Kind::Cancel, legs[1].1.id));
    world.assert_idle();
}

#[test]
fn a_worker_that_dies_is_a_part() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let sent = world.join("w1", &["add"]);
    let waiting = world.join_narrow("w2", &["add"], 0);
    world.join("w3", &["add"]);
    world.forget();
    world.say(caller, cast(1, &[]));
    world.forget();
    for (worker, name, ran) in [(sent, "w1", Ran::Maybe), (waiting, "w2", Ran::No)] {
        world.leave(worker);
        let part = world.only("c");
        assert_eq!((part.id, part.fields.text(Key::Worker)), (1, Some(name)));
        assert!(part.flags.has(Flags::PART) && !part.flags.has(Flags::CAST));
        let failure = failure_of(&part);
        assert_eq!((failure.kind, failure.ran), (FailureKind::Disconnected, ran));
        assert_eq!(failure.worker.as_deref(), Some(name));
    }
    assert_eq!(world.hub.gauges().routes, 1, "no leg goes to another worker");
}

#[test]
fn a_leg_that_waits_too_long_is_a_part() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    world.join("w1", &["add"]);
    let late = world.join_narrow("w2", &["add"], 0);
    world.forget();
    let fields = FieldsBuilder::new().text(Key::Function, "add").number(Key::Deadline, 1000);
    world.say(caller, cast(1, &[]).with_fields(fields.build()));
    world.forget();
    world.wait(Duration::from_millis(2));
    world.credit(late, 1);
    let part = world.only("c");
    assert_eq!(part.fields.text(Key::Worker), Some("w2"));
    assert!(part.flags.has(Flags::PART));
    assert_eq!(failure_of(&part).kind, FailureKind::Timeout);
}

#[test]
fn credit_for_a_cast_comes_back_once_and_with_the_slowest() {
    for flags in [Flags::NONE, Flags::ONEWAY] {
        let limits = Limits { calls: 4, ..WIDE };
        let mut world = World::with(Balance::RoundRobin, limits);
        let caller = world.join("c", &[]);
        world.join("w1", &["add"]);
        let slow = ["w2", "w3"].map(|name| world.join_narrow(name, &["add"], 0));
        world.forget();
        for id in 0..4 {
            world.say(caller, flagged(flags, cast(id, &[])));
        }
        let credits = |world: &mut World| {
            let sent = world.sent();
            let to_caller =
                sent.iter().filter(|(to, frame)| to == "c" && frame.kind == Kind::Credit);
            to_caller.count()
        };
        assert_eq!(credits(&mut world), 0, "{flags:?}");
        assert!(world.try_say(caller, flagged(flags, cast(9, &[]))).is_err());
        world.credit(slow[0], 4);
        assert_eq!(credits(&mut world), 0, "{flags:?}");
        world.credit(slow[1], 3);
        assert_eq!(credits(&mut world), 3, "{flags:?}");
        world.leave(slow[1]);
        assert_eq!(credits(&mut world), 1, "{flags:?}");
    }
}
