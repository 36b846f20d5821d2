//! When spinning is tried, and when not.

use std::time::Duration;

use crate::node::gate::{Gate, SPIN, Spun};

const QUICK: Duration = Duration::from_micros(20);

/// How many calls in a row it stays shut for.
fn shut(gate: &mut Gate) -> u32 {
    (0..).take_while(|_| gate.open().is_none()).count() as u32
}

fn window(gate: &mut Gate, hits: u32, tries: u32) {
    for at in 0..tries {
        assert!(gate.open().is_some(), "{at}");
        gate.note(QUICK, Some(if at < hits { Spun::Hit } else { Spun::Missed }));
    }
}

#[test]
fn it_stays_open_while_half_of_the_spins_pay() {
    let mut gate = Gate::new(true, SPIN);
    window(&mut gate, 128, 256);
    for _ in 0..10 {
        window(&mut gate, 16, 32);
    }
    assert_eq!(shut(&mut gate), 0);
}

#[test]
fn it_shuts_for_longer_and_longer_where_they_do_not() {
    let mut gate = Gate::new(true, SPIN);
    for gap in [8, 16, 32, 64, 128, 256, 512, 1024, 1024] {
        window(&mut gate, 127, 256);
        assert_eq!(shut(&mut gate), 32 * gap);
    }
    window(&mut gate, 256, 256);
    window(&mut gate, 0, 32);
    assert_eq!(shut(&mut gate), 32 * 8, "it paid meanwhile");
}

#[test]
fn slow_answers_shut_it_until_they_are_quick_again() {
    let mut gate = Gate::new(true, SPIN);
    for _ in 0..5 {
        gate.note(Duration::from_millis(1), None);
    }
    assert!(gate.open().is_none());
    gate.note(Duration::from_secs(1000), None);
    let calls = (0..).take_while(|_| {
        gate.note(QUICK, None);
        gate.open().is_none()
    });
    assert!(calls.count() < 40);
}

#[test]
fn a_busy_processor_shuts_it_soon() {
    let mut gate = Gate::new(true, SPIN);
    for _ in 0..16 {
        assert!(gate.open().is_some());
        gate.note(QUICK, Some(Spun::Lost));
    }
    assert_eq!(shut(&mut gate), 32 * 8);
    // Now and then it happens to everybody.
    window(&mut gate, 256, 256);
    for _ in 0..10 {
        window(&mut gate, 16, 16);
        gate.note(QUICK, Some(Spun::Lost));
    }
    assert_eq!(shut(&mut gate), 0);
}

#[test]
fn it_stays_shut_where_spinning_is_off() {
    assert!(Gate::new(false, SPIN).open().is_none());
}
