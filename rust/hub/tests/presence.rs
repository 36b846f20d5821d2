//! Who is here, who hears of it, and questions.

use super::*;
use crate::wire::{Announcement, FailureKind, MAX_NAME, Member, Question};

fn heard(world: &mut World, name: &str) -> Vec<Presence> {
    let frames = world.sent_to(name);
    frames.iter().map(|frame| Presence::decode(&frame.body).unwrap()).collect()
}

fn ask(id: u64, question: &Question) -> Frame {
    Frame::new(Kind::Ask, id).with_body(question.encode())
}

fn announce(id: u64, names: &[&str], more: bool) -> Frame {
    let announcement = Announcement { functions: functions(names), more };
    Frame::new(Kind::Announce, id).with_body(announcement.encode())
}

fn offered(world: &World, member: usize) -> Vec<String> {
    let Member(_, functions) = &world.hub.members()[member];
    functions.iter().map(|function| function.name().to_owned()).collect()
}

#[test]
fn who_listens_hears_of_everybody_the_server_first() {
    let mut world = World::new();
    world.join("a", &[]);
    world.forget();
    let listener = world.join_as(joining(Hello { watch: true, ..hello("l", &[]) }));
    let here = |name: &str| Presence(true, name.into());
    assert_eq!(heard(&mut world, "l"), [here("hub"), here("a")]);
    let b = world.join("b", &[]);
    assert_eq!(heard(&mut world, "l"), [here("b")]);
    world.leave(b);
    assert_eq!(heard(&mut world, "l"), [Presence(false, "b".into())]);
    world.say(listener, Frame::new(Kind::Watch, 0));
    world.quiet();
    world.leave(listener);
    assert!(world.sent().is_empty(), "nobody listens any more");
}

#[test]
fn listening_may_begin_later() {
    let mut world = World::new();
    let late = world.join("late", &[]);
    world.join_local(&["own"]);
    world.join("a", &[]);
    world.forget();
    world.say(late, Frame::new(Kind::Watch, 0));
    let names: Vec<String> = heard(&mut world, "late").into_iter().map(|p| p.1).collect();
    assert_eq!(names, ["hub", "a"], "the server once, itself never");
}

#[test]
fn a_name_taken_over_goes_and_comes() {
    let mut world = World::new();
    world.join_as(joining(Hello { watch: true, ..hello("l", &[]) }));
    world.join("a", &[]);
    world.forget();
    world.join("a", &[]);
    assert_eq!(heard(&mut world, "l"), [Presence(false, "a".into()), Presence(true, "a".into())]);
}

#[test]
fn the_servers_own_listeners_hear_of_all_but_itself() {
    let mut world = World::new();
    world.join_local(&["own"]);
    assert_eq!(world.events(), []);
    let a = world.join("a", &[]);
    assert_eq!(world.events(), [Presence(true, "a".into())]);
    world.leave(a);
    assert_eq!(world.events(), [Presence(false, "a".into())]);
}

#[test]
fn members_are_told_with_what_they_offer_in_order_of_arrival() {
    let mut world = World::new();
    world.join("b", &["add", "sub"]);
    let a = world.join("a", &[]);
    world.forget();
    world.say(a, ask(3, &Question::Members { from: 0 }));
    let told = world.only("a");
    assert_eq!((told.kind, told.id, told.format), (Kind::Answer, 3, Format::MsgPack));
    let expected =
        vec![Member("b".into(), functions(&["add", "sub"])), Member("a".into(), Vec::new())];
    assert_eq!(Member::decode_list(&told.body), Ok(expected));
}

#[test]
fn questions_wait_until_they_are_true() {
    let mut world = World::new();
    let asker = world.join("asker", &[]);
    world.forget();
    let names = vec!["a".to_owned(), "hub".to_owned(), "b".to_owned()];
    world.say(asker, ask(1, &Question::WaitMembers { names }));
    world.say(asker, ask(2, &Question::WaitFunction { name: "add".into() }));
    world.say(asker, ask(3, &Question::WaitMembers { names: vec!["hub".into()] }));
    assert_eq!(world.only("asker"), Frame::new(Kind::Answer, 3), "the server is here");
    let a = world.join("a", &[]);
    assert!(world.sent().is_empty());
    world.leave(a);
    world.forget();
    let b = world.join("b", &[]);
    assert!(world.sent().is_empty(), "all at once, not one after another");
    world.join("a", &[]);
    assert_eq!(world.only("asker").id, 1);
    world.say(b, announce(9, &["add"], false));
    let answers = world.sent();
    assert!(answers.contains(&("asker".into(), Frame::new(Kind::Answer, 2))));
    assert!(answers.contains(&("b".into(), Frame::new(Kind::Answer, 9))));
    world.assert_idle();
}

#[test]
fn questions_are_dropped_with_whoever_asked() {
    let mut world = World::new();
    let (a, b) = (world.join("a", &[]), world.join("b", &[]));
    world.forget();
    let question = Question::WaitFunction { name: "add".into() };
    world.say(a, ask(1, &question));
    world.say(b, ask(1, &question));
    world.say(a, Frame::new(Kind::Cancel, 1));
    assert_eq!(world.hub.gauges().questions, 1);
    world.leave(b);
    world.assert_idle();
    world.join("w", &["add"]);
    assert!(world.sent().is_empty());
}

#[test]
fn nobody_asks_without_end() {
    let mut world = World::new();
    let asker = world.join("asker", &[]);
    world.forget();
    let question = Question::WaitFunction { name: "never".into() };
    for id in 0..1024 {
        world.say(asker, ask(id, &question));
    }
    world.quiet();
    world.say(asker, ask(1024, &question));
    assert_eq!(failure_of(&world.only("asker")).kind, FailureKind::Overloaded);
}

#[test]
fn announcing_replaces_or_adds() {
    let mut world = World::new();
    let worker = world.join("w", &["old", "kept"]);
    let caller = world.join("c", &[]);
    world.forget();
    world.say(worker, announce(1, &["kept", "new"], false));
    assert_eq!(world.only("w"), Frame::new(Kind::Answer, 1));
    assert_eq!(offered(&world, 0), ["kept", "new"]);
    world.say(worker, announce(2, &["more", "new"], true));
    assert_eq!(offered(&world, 0), ["kept", "new", "more"]);
    world.forget();
    world.say(caller, call(1, "old"));
    assert_eq!(failure_of(&world.only("c")).kind, FailureKind::Unreachable);
    world.say(caller, call(2, "more"));
    assert_eq!(world.only("w").kind, Kind::Call);
    world.say(worker, Frame::new(Kind::Leaving, 3));
    world.forget();
    world.say(caller, call(3, "more"));
    assert_eq!(failure_of(&world.only("c")).kind, FailureKind::Unreachable);
}

#[test]
fn the_servers_own_functions_may_change() {
    let mut world = World::new();
    let local = world.join_local(&["add"]);
    let asker = world.join("asker", &[]);
    world.forget();
    world.say(asker, ask(1, &Question::WaitFunction { name: "sub".into() }));
    world.hub.announce(local, functions(&["sub"]), &mut world.out);
    assert_eq!(world.only("asker").id, 1);
    assert_eq!(offered(&world, 0), ["sub"]);
    assert_eq!(world.hub.handles(), ["hub", "asker"]);
}

#[test]
fn names_have_their_limits() {
    let mut world = World::new();
    let long = "n".repeat(MAX_NAME + 1);
    for name in ["", "line\nbreak", "\u{7f}", &long, "hub"] {
        let refused = world.hub.join(joining(hello(name, &[])), &mut world.out).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Protocol, "{name:?}");
        assert!(refused.message.contains("name"), "{}", refused.message);
    }
    assert!(world.hub.join(joining(hello("ok", &["a\0b"])), &mut world.out).is_err());
    world.quiet();
    assert_eq!(world.hub.members(), []);
    let peer = world.join("größer als 「a」", &[&"n".repeat(MAX_NAME)]);
    let refused = world.try_say(peer, announce(1, &[""], true));
    assert!(matches!(refused, Err(WireError::Body("announcement", _))));
}
