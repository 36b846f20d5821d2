//! Credit for calls: windows, ledgers, and calls that wait.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::hub::{Ledger, Window};
use crate::wire::{FailureKind, Ran, WHOLE};

fn limits(calls: u32, bytes: u64) -> Limits {
    Limits { max_message: 1 << 30, calls, bytes }
}

#[test]
fn a_worker_without_credit_is_waited_for_in_order() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join_narrow("w", &["add"], 2);
    world.forget();
    for id in 0..5 {
        world.say(caller, call(id, "add").with_body(vec![id as u8]));
    }
    let bodies = |frames: Vec<Frame>| frames.iter().map(|f| f.body[0]).collect::<Vec<_>>();
    assert_eq!(bodies(world.sent_to("w")), [0, 1]);
    assert_eq!((world.hub.gauges().routes, world.hub.gauges().queued), (5, 3));
    world.credit(worker, 1);
    assert_eq!(bodies(world.sent_to("w")), [2]);
    world.credit(worker, 5);
    assert_eq!(bodies(world.sent_to("w")), [3, 4]);
    assert_eq!(world.hub.gauges().queued, 0);
}

#[test]
fn a_deadline_goes_on_while_a_call_waits() {
    let mut world = World::new();
    let caller = world.join("c", &[]);
    let worker = world.join_narrow("w", &["add"], 0);
    world.forget();
    for (id, deadline) in [(1, 5000), (2, 1000), (3, 2000)] {
        let fields = FieldsBuilder::new().text(Key::Function, "add");
        let fields = fields.number(Key::Deadline, deadline).build();
        world.say(caller, call(id, "add").with_fields(fields));
    }
    world.say(caller, flagged(Flags::ONEWAY, call(4, "add")));
    world.wait(Duration::from_millis(2));
    world.credit(worker, 4);
    let sent = world.sent();
    let left: Vec<_> =
        sent.iter().map(|(to, f)| (to.as_str(), f.fields.number(Key::Deadline))).collect();
    assert_eq!(left, [("w", Some(3000)), ("c", None), ("w", Some(0)), ("w", None)]);
    let late = failure_of(&sent[1].1);
    assert_eq!((sent[1].1.id, late.kind, late.ran), (2, FailureKind::Timeout, Ran::No));
    assert_eq!(world.hub.gauges().routes, 2);
}

#[test]
fn the_caller_gets_its_credit_back_when_a_call_leaves() {
    let mut world = World::with(Balance::RoundRobin, limits(8, 1 << 20));
    let caller = world.join("c", &[]);
    let worker = world.join_narrow("w", &["add"], 1);
    world.forget();
    for id in 0..8 {
        world.say(caller, call(id, "add").with_body(vec![0; 10]));
    }
    assert_eq!(world.sent_to("w").len(), 1, "the first left, which is less than a quarter");
    let refused = world.try_say(caller, call(9, "add"));
    assert_eq!(refused, Err(WireError::Malformed("a call without credit")));
    world.credit(worker, 1);
    let sent = world.sent();
    let credit = Credit::read(&sent[1].1);
    assert_eq!((sent[1].0.as_str(), credit), ("c", Ok(Credit::Calls { calls: 2, bytes: 20 })));
}

#[test]
fn calls_that_go_nowhere_give_their_credit_back() {
    let mut world = World::with(Balance::RoundRobin, limits(4, 1 << 20));
    let caller = world.join("c", &[]);
    world.join_narrow("w", &["add"], 0);
    world.forget();
    for id in 0..20 {
        world.say(caller, call(2 * id, "sub"));
        world.say(caller, call(2 * id + 1, "add"));
        world.say(caller, Frame::new(Kind::Cancel, 2 * id + 1));
    }
    let credits = world.sent_to("c").iter().filter(|f| f.kind == Kind::Credit).count();
    assert_eq!(credits, 40);
}

#[test]
fn large_calls_count_as_much_as_fits_into_a_frame() {
    let mut world = World::with(Balance::RoundRobin, limits(100, 4 * WHOLE as u64));
    let caller = world.join("c", &[]);
    world.join_local(&["add"]);
    world.forget();
    let fields = FieldsBuilder::new().text(Key::Function, "add");
    let fields = fields.number(Key::Transfer, 1).number(Key::Total, 500).build();
    let passing = call(1, "add").with_fields(fields).with_body(vec![0; 100]);
    assert_eq!(Message::<()>::from(passing.clone()).weight(), WHOLE);
    assert_eq!(Message { frame: call(1, "add"), rest: Some(()) }.weight(), WHOLE);
    assert_eq!(Message::<()>::from(call(1, "add").with_body(vec![0; 7])).weight(), 7);
    world.say(caller, passing);
    let leg = world.only("hub");
    world.hub.begun(leg.id, &mut world.out);
    let whole = Credit::Calls { calls: 1, bytes: WHOLE as u64 };
    assert_eq!(Credit::read(&world.only("c")), Ok(whole));
}

#[test]
fn the_servers_own_functions_give_credit_when_they_begin() {
    let mut world = World::with(Balance::RoundRobin, limits(2, 1 << 20));
    let caller = world.join("c", &[]);
    let local = world.join_local(&["add"]);
    world.forget();
    world.say(caller, call(1, "add"));
    world.say(caller, flagged(Flags::ONEWAY, call(2, "add")));
    let legs = world.sent_to("hub");
    assert_eq!((legs.len(), world.hub.gauges().routes), (2, 2));
    world.hub.begun(legs[0].id, &mut world.out);
    assert_eq!(world.only("c").kind, Kind::Credit);
    world.hub.begun(legs[0].id, &mut world.out);
    world.quiet();
    world.say(local, answer(legs[0].id));
    assert_eq!(world.only("c").kind, Kind::Answer);
    world.hub.begun(legs[1].id, &mut world.out);
    assert_eq!(world.only("c").kind, Kind::Credit);
    world.hub.begun(legs[1].id, &mut world.out);
    world.quiet();
    world.assert_idle();

    // An answer without a beginning gives it as well, and a cancel.
    world.say(caller, call(3, "add"));
    let leg = world.only("hub");
    world.say(local, answer(leg.id));
    assert_eq!(world.sent_to("c").len(), 2);
    world.say(caller, call(4, "add"));
    let leg = world.only("hub");
    world.say(caller, Frame::new(Kind::Cancel, 4));
    let sent = world.sent();
    assert!(sent.contains(&("hub".into(), Frame::new(Kind::Cancel, leg.id))));
    assert!(sent.iter().any(|(to, f)| to == "c" && f.kind == Kind::Credit));
    world.assert_idle();
}

#[test]
fn the_last_bytes_may_be_overdrawn_once() {
    let mut window = Window::new(&limits(10, 100));
    assert!(window.take(99) && window.is_open() && window.take(5000));
    assert!(!window.is_open() && !window.take(0));
    window.give(2, 4999);
    assert!(!window.is_open(), "what was overdrawn is owed");
    window.give(0, 100);
    assert!(window.take(1) && !Window::default().take(0));
    let mut few = Window::new(&limits(1, u64::MAX));
    assert!(few.take(1) && !few.take(1));
    few.give(u32::MAX, u64::MAX);
    few.give(u32::MAX, u64::MAX);
    assert!(few.take(usize::MAX));
}

#[test]
fn credit_is_given_back_a_quarter_at_a_time() {
    let mut ledger = Ledger::new(limits(8, 1000));
    assert_eq!(ledger.note(10), None);
    assert_eq!(ledger.note(10), Some(Credit::Calls { calls: 2, bytes: 20 }));
    assert_eq!(ledger.note(250), Some(Credit::Calls { calls: 1, bytes: 250 }));
    let mut tiny = Ledger::new(limits(1, 1));
    assert!(tiny.take(1) && !tiny.take(1));
    assert!(tiny.note(1).is_some());
}

proptest! {
    #[test]
    fn a_sender_that_keeps_to_its_window_is_never_refused_and_never_stuck(
        calls in 1..20_u32,
        bytes in 1..2000_u64,
        sizes in vec(0..900_usize, 1..300),
        begun in vec(any::<bool>(), 300),
    ) {
        let limits = limits(calls, bytes);
        let (mut window, mut ledger) = (Window::new(&limits), Ledger::new(limits));
        let mut held = std::collections::VecDeque::new();
        let mut turns = begun.into_iter().cycle();
        for size in sizes {
            while !window.is_open() || turns.next() == Some(true) && !held.is_empty() {
                prop_assert!(!held.is_empty(), "no credit, and nobody who could give some");
                let credit = held.pop_front().and_then(|size| ledger.note(size));
                if let Some(Credit::Calls { calls, bytes }) = credit {
                    window.give(calls, bytes);
                }
            }
            prop_assert!(window.take(size));
            prop_assert!(ledger.take(size));
            held.push_back(size);
            prop_assert!(held.len() <= calls as usize);
            let most = bytes as usize + 900;
            prop_assert!(held.iter().sum::<usize>() <= most);
        }
    }
}
