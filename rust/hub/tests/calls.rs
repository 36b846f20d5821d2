//! The caller's side.

use super::*;
use crate::hub::{Calls, Lost, Window};
use crate::wire::Question;

fn window(calls: u32) -> Window {
    Window::new(&Limits { calls, bytes: 1000, max_message: 0 })
}

fn start(calls: &mut Calls<u64, ()>) -> (u64, bool) {
    let id = calls.next_id();
    let message = call(id, "add").with_body(vec![0; 10]).into();
    (id, calls.start(id, id * 100, message, false).is_some())
}

fn ids(messages: &[Message<()>]) -> Vec<u64> {
    messages.iter().map(|message| message.frame.id).collect()
}

#[test]
fn ids_are_never_used_again() {
    let mut calls: Calls<(), ()> = Calls::default();
    assert_eq!([calls.next_id(), calls.next_id(), calls.next_id()], [1, 2, 3]);
}

#[test]
fn a_call_leaves_while_there_is_credit_and_waits_otherwise() {
    let mut calls = Calls::default();
    assert!(calls.connected(window(2)).is_empty());
    assert_eq!([start(&mut calls), start(&mut calls)], [(1, true), (2, true)]);
    assert_eq!([start(&mut calls), start(&mut calls)], [(3, false), (4, false)]);
    assert_eq!((calls.len(), calls.unsent()), (4, 2));
    assert_eq!(ids(&calls.credit(1, 10)), [3]);
    assert!(!start(&mut calls).1, "nobody overtakes");
    assert!(!calls.take_credit(1), "not even what nobody waits for");
    assert_eq!(ids(&calls.credit(3, 10)), [4, 5]);
    assert!(calls.take_credit(1));
    assert!(!calls.take_credit(1));
    assert_eq!(calls.end(5), Some(Lost::Sent));
}

#[test]
fn a_call_that_ends_leaves_nothing_behind() {
    let mut calls = Calls::default();
    assert_eq!(start(&mut calls), (1, false));
    assert!(calls.is_stranded(1));
    assert_eq!(calls.end(1), Some(Lost::NoConnection));
    assert!(!calls.is_stranded(1));
    calls.connected(window(1));
    start(&mut calls);
    start(&mut calls);
    assert_eq!(calls.waiter(3), Some(300));
    assert_eq!(calls.end(3), Some(Lost::NoCredit));
    assert_eq!(calls.end(2), Some(Lost::Sent));
    assert_eq!((calls.end(2), calls.waiter(2)), (None, None));
    assert!(calls.is_empty() && calls.unsent() == 0);
    assert!(calls.credit(5, 500).is_empty(), "what has ended is not sent any more");
}

#[test]
fn a_lost_connection_ends_what_was_sent_and_keeps_the_rest() {
    let mut calls = Calls::default();
    calls.connected(window(1));
    start(&mut calls);
    start(&mut calls);
    assert_eq!(calls.disconnected(false), [100]);
    assert!(calls.is_stranded(2));
    assert!(!calls.take_credit(0));
    assert!(calls.credit(9, 9).is_empty(), "credit of a connection that is gone");
    start(&mut calls);
    assert_eq!(ids(&calls.connected(window(9))), [2, 3]);
    assert!(!calls.is_stranded(2));
    start(&mut calls);
    let mut ended = calls.disconnected(true);
    ended.sort_unstable();
    assert_eq!((ended, calls.len(), calls.unsent()), (vec![200, 300, 400], 0, 0));
}

#[test]
fn all_may_end_with_the_connection() {
    let mut calls = Calls::default();
    start(&mut calls);
    assert_eq!(calls.disconnected(true), [100]);
    assert!(calls.is_empty() && calls.connected(window(1)).is_empty());
}

#[test]
fn questions_need_no_credit() {
    let ask = |calls: &mut Calls<u64, ()>| {
        let id = calls.next_id();
        let frame = Frame::new(Kind::Ask, id).with_body(Question::Members { from: 0 }.encode());
        calls.start(id, 0, frame.into(), true).is_some()
    };
    let mut calls = Calls::default();
    assert!(!ask(&mut calls), "but a connection");
    start(&mut calls);
    assert_eq!(ids(&calls.connected(window(1))), [1, 2]);
    assert!(!start(&mut calls).1, "the call took the credit, the question none");
    assert!(ask(&mut calls), "it passes calls that wait");
}

#[test]
fn a_large_call_takes_as_much_as_fits_into_a_frame() {
    let mut calls: Calls<u64, u8> = Calls::default();
    let bytes = 2 * crate::wire::WHOLE as u64;
    let window = Window::new(&Limits { calls: 9, bytes, max_message: 0 });
    calls.connected(window);
    let mut start = || {
        let id = calls.next_id();
        let message = Message { frame: call(id, "add"), rest: Some(0) };
        calls.start(id, id, message, false).is_some()
    };
    assert_eq!([start(), start(), start()], [true, true, false]);
}
