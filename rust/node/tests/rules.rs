//! What goes through a session comes out, whatever the link does within its rules.

use std::sync::Arc;
use std::time::Instant;

use super::odd::{Manner, Odd};
use super::{Bare, Heard, PATIENCE, body, large, pattern, tcp};
use crate::node::{HEARTBEAT, Pace, hold, let_go};
use crate::wire::{FieldsBuilder, Frame, Key, Kind};

const TINY: [Manner; 2] = [Manner::Slow(1), Manner::Holding(1)];
const MANNERS: [Manner; 5] = [
    Manner::Slow(20_000),
    Manner::Slow(100_000),
    Manner::Holding(20_000),
    Manner::Holding(100_000),
    Manner::Answering(5),
];

fn call(id: u64, len: usize) -> Frame {
    let fields = FieldsBuilder::new().text(Key::Function, "f").build();
    Frame::new(Kind::Call, id).with_fields(fields).with_body(pattern(len))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_messages_arrive_whole_and_in_order() {
    let (few, many) = (TINY.map(|manner| (manner, 30)), MANNERS.map(|manner| (manner, 1000)));
    for (manner, many) in few.into_iter().chain(many) {
        let (near, far) = tcp().await;
        let (near, near_faults) = Odd::around(near, manner);
        let (far, far_faults) = Odd::around(far, manner);
        let (sender, mut receiver) = (Heard::on(near), Heard::on(far));
        for id in 0..many {
            // Some are copied behind each other, some are lent.
            let len = if id % 10 == 3 { 9000 } else { id as usize % 50 };
            let len = if many < 100 { len % 300 } else { len };
            sender.session.send(call(id, len), if id % 2 == 0 { Pace::Now } else { Pace::Soon });
        }
        for id in 0..many {
            let message = receiver.next().await;
            assert_eq!(message.frame.id, id, "{manner:?}");
            assert_eq!(message.frame.body, pattern(message.frame.body.len()));
        }
        sender.session.written().await;
        assert_eq!(sender.session.traffic().2, 0, "{manner:?}");
        let faults = [near_faults.lock().clone(), far_faults.lock().clone()].concat();
        assert_eq!(faults, [""; 0], "{manner:?}");
    }
}

/// After how many of `count` small messages that leave together they are written.
fn written_after(heard: &Heard, count: u64) -> Vec<u64> {
    let mut after = Vec::new();
    for nth in 1..=count {
        heard.session.put(call(nth, 10));
        heard.session.gather(|session| {
            after.push(nth);
            session.flush(Pace::Now);
        });
    }
    after
}

/// On one thread, so that the task of the connection does nothing meanwhile.
#[tokio::test]
async fn what_leaves_together_is_written_by_more_and_more() {
    let (near, far) = tcp().await;
    let (sender, mut receiver) = (Heard::on(near), Heard::on(far));
    assert_eq!(written_after(&sender, 1000), [64, 64 + 128, 64 + 128 + 256, 64 + 128 + 512, 960]);
    for nth in 1..=1000 {
        assert_eq!(receiver.next().await.frame.id, nth);
    }
    hold(1);
    let held = written_after(&sender, 200);
    let_go();
    assert_eq!(held, [64, 128, 192], "a loop has other work meanwhile");
    for nth in 1..=200 {
        assert_eq!(receiver.next().await.frame.id, nth);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_arrive_whole_both_ways_at_once() {
    for manner in MANNERS {
        let shapes: [&[usize]; 4] =
            [&[5_000_000], &[100, 200_000, 300_000, 7], &[60; 3000], &[66_000, 5_000]];
        let (near, far) = tcp().await;
        let (near, near_faults) = Odd::around(near, manner);
        let (far, far_faults) = Odd::around(far, manner);
        let mut sides = [Heard::on(near), Heard::on(far)];
        for side in &sides {
            for (id, lens) in shapes.iter().enumerate() {
                side.session.send(large(Kind::Call, id as u64, lens), Pace::Now);
            }
            side.session.send(call(99, 10), Pace::Now);
        }
        for side in &mut sides {
            let mut left = shapes.len() + 1;
            while left > 0 {
                let message = side.next().await;
                if message.frame.kind == Kind::Call {
                    left -= 1;
                    let expected = match shapes.get(message.frame.id as usize) {
                        Some(lens) => pattern(lens.iter().sum()),
                        None => pattern(10),
                    };
                    assert!(body(message) == expected, "{manner:?}");
                }
            }
        }
        for side in &sides {
            side.session.written().await;
            assert_eq!(side.session.traffic().3, 0, "{manner:?}");
        }
        let faults = [near_faults.lock().clone(), far_faults.lock().clone()].concat();
        assert_eq!(faults, [""; 0], "{manner:?}");
    }
}

#[tokio::test]
async fn what_reading_makes_a_link_hold_back_leaves_without_anything_to_write() {
    let (near, far) = tcp().await;
    let (near, faults) = Odd::around(near, Manner::Answering(77));
    let (mut heard, mut bare) = (Heard::on(near), Bare::new(far));
    let began = Instant::now();
    for round in 0..20 {
        bare.say(&call(round, 5).encode()).await;
        assert_eq!(heard.next().await.frame.id, round);
        loop {
            let frame = bare.hear().await.unwrap();
            assert_eq!(frame.kind, Kind::Ping);
            if frame.id == 77 {
                break;
            }
        }
    }
    // A heartbeat would take it along as well, but not so soon.
    assert!(began.elapsed() < PATIENCE);
    heard.session.written().await;
    assert_eq!(*faults.lock(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_write_and_frames_stay_whole() {
    let (near, far) = tcp().await;
    let (near, faults) = Odd::around(near, Manner::Holding(5000));
    let (sender, mut receiver) = (Heard::on(near), Heard::on(far));
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let session = Arc::clone(&sender.session);
            std::thread::spawn(move || {
                for count in 0..300 {
                    session.send(call(thread << 32 | count, 100), Pace::Now);
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    for _ in 0..1200 {
        let id = receiver.next().await.frame.id;
        let expected = &mut next[(id >> 32) as usize];
        assert_eq!(id & 0xffff_ffff, *expected, "each thread's messages stay in order");
        *expected += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*faults.lock(), [""; 0]);
}

#[tokio::test]
async fn the_first_heartbeat_of_each_connection_comes_in_time() {
    let mut ends = Vec::new();
    for _ in 0..16 {
        let (near, far) = tcp().await;
        ends.push((Heard::on(near), Bare::new(far)));
    }
    let began = Instant::now();
    for (_, bare) in &mut ends {
        assert_eq!(bare.hear().await.unwrap().kind, Kind::Ping);
    }
    // Each has its own moment within a period, and looks again a period later.
    assert!(began.elapsed() < HEARTBEAT + HEARTBEAT / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_may_leave_later_leaves_with_what_comes_or_soon() {
    let (near, far) = tcp().await;
    let (heard, mut bare) = (Heard::on(near), Bare::new(far));
    heard.session.send(call(1, 5), Pace::Later);
    let (sent, ..) = heard.session.traffic();
    assert_eq!(sent, 0);
    heard.session.send(call(2, 5), Pace::Now);
    assert_eq!(bare.hear_more().await.unwrap().id, 1);
    assert_eq!(bare.hear_more().await.unwrap().id, 2);
    for id in 3..6 {
        heard.session.send(call(id, 5), Pace::Later);
        assert_eq!(bare.hear_more().await.unwrap().id, id, "nothing else comes");
    }
}
