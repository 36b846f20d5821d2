//! Event loops that read in place of the task: what they leave unread comes all the same.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::{spawn_blocking, yield_now};

use super::leading::{Leader, frame, ready, soon};
use super::{Bare, Heard, PATIENCE, addresses, body, large, pair, tcp};
use crate::node::session::LoopReader;
use crate::node::{Pace, gone};
use crate::wire::{Failure, FailureKind, Frame, Kind, Ran};

/// Long enough for a connection to be called in, and far from patience.
const SOON: Duration = Duration::from_secs(2);

/// Has a loop read this connection, on which much comes.
async fn lend(heard: &mut Heard, bare: &Bare, reader: &Arc<LoopReader>) {
    let until = soon();
    while reader.is_idle() {
        assert!(Instant::now() < until, "it never was lent");
        bare.say(&frame(1)).await;
        assert_eq!(heard.next().await.frame.id, 1);
        heard.session.lend_to(reader);
    }
}

fn is_readable(reader: &LoopReader, most: Duration) -> bool {
    let mut files = [PollFd::new(reader.selector(), PollFlags::IN)];
    poll(&mut files, Some(&Timespec::try_from(most).unwrap())).unwrap() > 0
}

/// A turn of the loop: whether there was something to read.
fn turn(reader: &LoopReader) -> bool {
    let readable = is_readable(reader, Duration::from_millis(5));
    if readable {
        reader.read();
    }
    readable
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_reads_what_comes_and_gives_it_back() {
    for address in addresses() {
        let (mut heard, bare) = ready(pair(address).await).await;
        let reader = LoopReader::new().unwrap();
        let mut turns = 0;
        for id in 2..200 {
            lend(&mut heard, &bare, &reader).await;
            bare.say(&frame(id)).await;
            // Held up for too long, it has been called in.
            while !reader.is_idle() {
                if turn(&reader) {
                    turns += 1;
                    break;
                }
            }
            assert_eq!(heard.next().await.frame.id, id);
        }
        assert!(turns > 50, "the loop read {turns} times");
        reader.close();
        assert!(reader.is_idle());
        bare.say(&frame(7)).await;
        assert_eq!(heard.next().await.frame.id, 7);
        assert!(!is_readable(&reader, Duration::ZERO));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_loop_does_not_come_to_is_read_all_the_same() {
    let (mut heard, bare) = ready(tcp().await).await;
    let reader = LoopReader::new().unwrap();
    for id in 2..20 {
        lend(&mut heard, &bare, &reader).await;
        let began = Instant::now();
        bare.say(&frame(id)).await;
        assert_eq!(heard.next().await.frame.id, id);
        assert!(began.elapsed() < SOON);
        assert!(reader.is_idle());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_reads_meanwhile_and_a_loop_not_too_many() {
    let reader = LoopReader::new().unwrap();
    let mut lent = Vec::new();
    for _ in 0..5 {
        lent.push(ready(tcp().await).await);
    }
    let until = soon();
    // All at once, before one of them is called in.
    loop {
        for _ in 0..10 {
            for (heard, bare) in &mut lent {
                bare.say(&frame(1)).await;
                heard.next().await;
            }
        }
        for (heard, _) in &lent {
            heard.session.lend_to(&reader);
        }
        let mut led = 0;
        for (heard, _) in &lent {
            let leader = Leader::start(&heard.session).await;
            leader.stop();
            led += u32::from(leader.led().await);
        }
        assert!(led > 0, "a loop reads more than four");
        if led == 1 {
            break;
        }
        assert!(Instant::now() < until, "{led} of five are not lent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_rests_is_lent_nothing() {
    let (mut heard, bare) = ready(tcp().await).await;
    let reader = LoopReader::new().unwrap();
    lend(&mut heard, &bare, &reader).await;
    reader.rest();
    for id in 2..50 {
        heard.session.lend_to(&reader);
        assert!(reader.is_idle());
        bare.say(&frame(id)).await;
        assert_eq!(heard.next().await.frame.id, id);
    }
    // It goes on after a while.
    lend(&mut heard, &bare, &reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_is_met() {
    for turns in [true, false] {
        let reader = LoopReader::new().unwrap();
        let go_on = || async {
            while turns && !reader.is_idle() {
                turn(&reader);
                yield_now().await;
            }
        };

        // The other end goes.
        let (mut heard, bare) = ready(tcp().await).await;
        lend(&mut heard, &bare, &reader).await;
        drop(bare);
        go_on().await;
        assert_eq!(heard.end().await.message, "it closed the connection");

        // It says why, and goes.
        let why = Failure::new(FailureKind::Evicted, Ran::Maybe, "another took its name");
        let (mut heard, bare) = ready(tcp().await).await;
        lend(&mut heard, &bare, &reader).await;
        bare.say(&Frame::new(Kind::Goodbye, 0).with_body(why.encode()).encode()).await;
        bare.link.try_finish().unwrap();
        go_on().await;
        assert_eq!(heard.end().await, why);

        // It talks nonsense.
        let (mut heard, bare) = ready(tcp().await).await;
        lend(&mut heard, &bare, &reader).await;
        bare.say(&[0xff; 64]).await;
        drop(bare);
        go_on().await;
        assert_eq!(heard.end().await.kind, FailureKind::Protocol);

        // We cut it.
        let (mut heard, bare) = ready(tcp().await).await;
        lend(&mut heard, &bare, &reader).await;
        heard.session.close(gone("enough"));
        go_on().await;
        assert_eq!(heard.end().await.message, "enough");

        // We say goodbye.
        let (mut heard, mut bare) = ready(tcp().await).await;
        lend(&mut heard, &bare, &reader).await;
        let (session, began) = (Arc::clone(&heard.session), Instant::now());
        let finishing = tokio::spawn(async move { session.finish(gone("the end")).await });
        assert_eq!(bare.hear_more().await.unwrap().kind, Kind::Goodbye);
        drop(bare);
        go_on().await;
        finishing.await.unwrap();
        assert_eq!(heard.end().await.message, "the end");
        assert!(began.elapsed() < Duration::from_secs(1), "it waited for the other end in vain");

        assert!(reader.is_idle());
        assert!(!is_readable(&reader, Duration::ZERO), "a loop would never rest");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_is_not_for_the_loop() {
    let (near, far) = tcp().await;
    let (mut heard, other) = (Heard::on(near), Heard::on(far));
    let reader = LoopReader::new().unwrap();
    let until = soon();
    while reader.is_idle() {
        assert!(Instant::now() < until, "it never was lent");
        other.session.send(Frame::new(Kind::Answer, 1), Pace::Now);
        assert_eq!(heard.next().await.frame.id, 1);
        heard.session.lend_to(&reader);
    }
    let sent = large(Kind::Answer, 2, &[3_000_000]);
    other.session.send(sent, Pace::Now);
    let (reading, began) = (Arc::clone(&reader), Instant::now());
    let turns = spawn_blocking(move || {
        while !reading.is_idle() && began.elapsed() < PATIENCE {
            turn(&reading);
        }
    });
    let came = heard.next().await;
    assert_eq!((came.frame.id, body(came).len()), (2, 3_000_000));
    turns.await.unwrap();
    assert!(reader.is_idle());
}
