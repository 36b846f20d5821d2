//! What is counted of calls, by member and by function.

use super::*;
use crate::hub::Action;
use crate::wire::{FunctionStats, Question};

fn counted(world: &World, name: &str) -> Vec<FunctionStats> {
    let mut members = world.hub.by_member(0).map(|(_, member)| member);
    members.find(|member| member.name == name).unwrap().functions
}

fn row(name: &str, calls: u64, errors: u64, in_flight: u64) -> FunctionStats {
    FunctionStats(name.into(), calls, errors, in_flight)
}

#[test]
fn calls_are_counted_by_member_and_function() {
    let mut world = World::new();
    let caller = world.join("caller", &[]);
    let worker = world.join("worker", &["add", "sub"]);
    for (id, function) in [(1, "add"), (2, "add"), (3, "sub")] {
        world.say(caller, call(id, function));
    }
    assert_eq!(counted(&world, "worker"), [row("add", 0, 0, 2), row("sub", 0, 0, 1)]);
    let sent = world.sent();
    let ids: Vec<u64> = sent.iter().filter(|(to, _)| to == "worker").map(|(_, f)| f.id).collect();
    world.say(worker, answer(ids[0]));
    let failure = Failure::new(crate::wire::FailureKind::Raised, crate::wire::Ran::Yes, "no");
    world.say(worker, Frame::new(Kind::Failure, ids[1]).with_body(failure.encode()));
    world.say(caller, flagged(Flags::ONEWAY, call(4, "sub")));
    assert_eq!(counted(&world, "worker"), [row("add", 2, 1, 0), row("sub", 1, 0, 1)]);
    assert_eq!(counted(&world, "caller"), []);
    let Gauges { calls, errors, .. } = world.hub.gauges();
    assert_eq!((calls, errors), (3, 1));
}

#[test]
fn what_a_member_took_along_failed_and_stays_counted() {
    let mut world = World::new();
    let caller = world.join("caller", &[]);
    let worker = world.join("worker", &["add"]);
    world.say(caller, call(1, "add"));
    world.leave(worker);
    assert_eq!(world.hub.functions(), [row("add", 1, 1, 0)]);
    world.join("worker", &["add"]);
    assert_eq!(counted(&world, "worker"), [], "it begins anew");
    assert_eq!(world.hub.functions(), [row("add", 1, 1, 0)]);
}

#[test]
fn items_of_a_stream_are_calls() {
    let mut world = World::new();
    let caller = world.join("caller", &[]);
    let worker = world.join("worker", &["take"]);
    world.say(caller, Frame { kind: Kind::Open, ..call(1, "take") });
    let id = world.sent().pop().unwrap().1.id;
    world.say(worker, Credit::Items { id, upto: 2 }.frame());
    world.say(caller, Frame::new(Kind::Item, 1));
    world.say(caller, Frame::new(Kind::Item, 1));
    assert_eq!(counted(&world, "worker"), [row("take", 2, 0, 1)]);
    world.say(caller, Frame::new(Kind::End, 1));
    world.say(worker, answer(id));
    assert_eq!(counted(&world, "worker"), [row("take", 2, 0, 0)]);
}

#[test]
fn there_is_an_end_to_the_names_that_are_counted() {
    let mut world = World::new();
    let names: Vec<String> = (0..1100).map(|number| format!("f{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let caller = world.join("caller", &[]);
    world.join("worker", &names);
    for (id, name) in (1..).zip(&names) {
        world.say(caller, call(id, name));
    }
    let rows = counted(&world, "worker");
    assert_eq!((rows.len(), rows.last()), (1001, Some(&row("...", 0, 0, 100))));
}

#[test]
fn the_owner_answers_who_asks_what_is_counted() {
    let mut world = World::new();
    let asker = world.join("asker", &[]);
    world.forget();
    let question =
        |id, from| Frame::new(Kind::Ask, id).with_body(Question::Stats { from }.encode());
    world.say(asker, question(3, 5));
    match world.out.as_slice() {
        [Action::Stats(to, 3, 5)] => assert_eq!(to, "asker"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_that_is_not_known_is_refused_and_nothing_else() {
    let mut world = World::new();
    let asker = world.join("asker", &[]);
    world.forget();
    let body = [&b"\x81\xa3ask\xa7"[..], b"weather"].concat();
    world.say(asker, Frame::new(Kind::Ask, 3).with_body(body));
    let failure = failure_of(&world.only("asker"));
    assert_eq!(failure.kind, crate::wire::FailureKind::Protocol);
    assert!(failure.message.contains("weather"), "{}", failure.message);
}
