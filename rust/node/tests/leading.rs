//! Threads that read in place of the task: every way out of it, and nobody sleeps through anything.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_blocking, yield_now};

use super::{Bare, Heard, PATIENCE, addresses, pair, tcp};
use crate::link::{Bell, Link};
use crate::node::gate::SPIN;
use crate::node::{Session, gone};
use crate::wire::{Failure, FailureKind, Frame, Kind, Ran};

pub(super) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A session that may be led, and its other end.
pub(super) async fn ready((near, far): (Box<dyn Link>, Box<dyn Link>)) -> (Heard, Bare) {
    let heard = Heard::on(near);
    let bell = Bell::new().unwrap();
    let until = soon();
    while !heard.session.lead(false, &bell, until, || true) {
        assert!(Instant::now() < until, "it never could be lent");
        yield_now().await;
    }
    (heard, Bare::new(far))
}

/// A thread that leads until it is told to stop.
pub(super) struct Leader {
    done: Arc<AtomicBool>,
    bell: Arc<Bell>,
    thread: JoinHandle<bool>,
}

impl Leader {
    /// Begins, and returns once it leads.
    pub(super) async fn start(session: &Arc<Session>) -> Self {
        let (done, bell) = (Arc::new(AtomicBool::new(false)), Arc::new(Bell::new().unwrap()));
        let looks = Arc::new(AtomicUsize::new(0));
        let thread = spawn_blocking({
            let (session, done) = (Arc::clone(session), Arc::clone(&done));
            let (bell, looks) = (Arc::clone(&bell), Arc::clone(&looks));
            move || {
                session.lead(false, &bell, soon(), || {
                    looks.fetch_add(1, Ordering::SeqCst);
                    done.load(Ordering::SeqCst)
                })
            }
        });
        while looks.load(Ordering::SeqCst) == 0 && !thread.is_finished() {
            yield_now().await;
        }
        Self { done, bell, thread }
    }

    pub(super) fn stop(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    pub(super) async fn led(self) -> bool {
        tokio::time::timeout(PATIENCE / 2, self.thread).await.unwrap().unwrap()
    }
}

pub(super) fn frame(id: u64) -> Vec<u8> {
    Frame::new(Kind::Answer, id).encode()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_is_handed_out_while_led_and_after() {
    for address in addresses() {
        let (mut heard, bare) = ready(pair(address).await).await;
        for id in 1..50 {
            let leader = Leader::start(&heard.session).await;
            // Pushes that the leader does not wait for.
            bare.say(&frame(2 * id)).await;
            assert_eq!(heard.next().await.frame.id, 2 * id);
            leader.stop();
            assert!(leader.led().await);
            // Nobody leads: the task reads.
            bare.say(&frame(2 * id + 1)).await;
            assert_eq!(heard.next().await.frame.id, 2 * id + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_at_the_very_moment_of_leaving_is_not_left_behind() {
    for address in addresses() {
        let (mut heard, bare) = ready(pair(address).await).await;
        let first = frame(1);
        let (half, rest) = first.split_at(5);
        for round in 0..300 {
            let leader = Leader::start(&heard.session).await;
            // A frame of which half comes to the leader, and half to whoever reads then.
            bare.say(half).await;
            if round % 3 == 0 {
                yield_now().await;
            }
            leader.stop();
            bare.say(rest).await;
            assert_eq!(heard.next().await.frame.id, 1, "{round}");
            assert!(leader.led().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_is_kept() {
    let (mut heard, bare) = ready(tcp().await).await;
    let (session, began) = (Arc::clone(&heard.session), Instant::now());
    let most = Duration::from_millis(50);
    let leading =
        spawn_blocking(move || session.lead(false, &Bell::new().unwrap(), began + most, || false));
    assert!(leading.await.unwrap());
    assert!((most..PATIENCE / 2).contains(&began.elapsed()));
    bare.say(&frame(7)).await;
    assert_eq!(heard.next().await.frame.id, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_at_a_time() {
    let (mut heard, bare) = ready(tcp().await).await;
    let leader = Leader::start(&heard.session).await;
    let second = Leader::start(&heard.session).await;
    assert!(!second.led().await);
    bare.say(&frame(1)).await;
    assert_eq!(heard.next().await.frame.id, 1);
    leader.stop();
    assert!(leader.led().await);
    let third = Leader::start(&heard.session).await;
    third.stop();
    assert!(third.led().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_wakes_the_leader() {
    // The other end goes.
    let (mut heard, bare) = ready(tcp().await).await;
    let leader = Leader::start(&heard.session).await;
    drop(bare);
    assert!(leader.led().await);
    assert_eq!(heard.end().await.message, "it closed the connection");
    assert!(!Leader::start(&heard.session).await.led().await);

    // It says why, and goes.
    let why = Failure::new(FailureKind::Evicted, Ran::Maybe, "another took its name");
    let goodbye = Frame::new(Kind::Goodbye, 0).with_body(why.encode()).encode();
    for _ in 0..50 {
        let (mut heard, bare) = ready(tcp().await).await;
        let leader = Leader::start(&heard.session).await;
        bare.say(&goodbye).await;
        bare.link.try_finish().unwrap();
        assert_eq!(heard.end().await, why);
        assert!(leader.led().await);
    }

    // It talks nonsense.
    let (mut heard, bare) = ready(tcp().await).await;
    let leader = Leader::start(&heard.session).await;
    bare.say(&[0xff; 64]).await;
    assert!(leader.led().await);
    drop(bare);
    assert_eq!(heard.end().await.kind, FailureKind::Protocol);

    // We cut it.
    for _ in 0..50 {
        let (mut heard, _bare) = ready(tcp().await).await;
        let leader = Leader::start(&heard.session).await;
        heard.session.close(gone("enough"));
        assert_eq!(heard.end().await.message, "enough");
        assert!(leader.led().await);
    }

    // We say goodbye.
    let (mut heard, mut bare) = ready(tcp().await).await;
    let leader = Leader::start(&heard.session).await;
    let (session, began) = (Arc::clone(&heard.session), Instant::now());
    let finishing = tokio::spawn(async move { session.finish(gone("the end")).await });
    assert_eq!(bare.hear_more().await.unwrap().kind, Kind::Goodbye);
    bare.say(&frame(1)).await;
    drop(bare);
    finishing.await.unwrap();
    assert_eq!(heard.end().await.message, "the end");
    assert!(began.elapsed() < Duration::from_secs(1), "it waited for the other end in vain");
    assert!(leader.led().await);
    assert!(heard.messages.try_recv().is_err(), "what comes after our goodbye is not for us");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_on_while_led_and_after() {
    let (heard, mut bare) = ready(tcp().await).await;
    let leader = Leader::start(&heard.session).await;
    assert_eq!(bare.hear().await.unwrap().kind, Kind::Ping);
    leader.stop();
    assert!(leader.led().await);
    assert_eq!(bare.hear().await.unwrap().kind, Kind::Ping);
    let (_, before, ..) = heard.session.traffic();
    let ping = Frame::new(Kind::Ping, 0).encode();
    bare.say(&ping).await;
    let until = soon();
    while heard.session.traffic().1 < before + ping.len() as u64 {
        assert!(Instant::now() < until, "nobody reads");
        yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ring_is_lost() {
    let (heard, _bare) = ready(tcp().await).await;
    let (session, bell) = (Arc::clone(&heard.session), Arc::new(Bell::new().unwrap()));
    let (done, met) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
    let ringing = {
        let (bell, done, met) = (Arc::clone(&bell), Arc::clone(&done), Arc::clone(&met));
        spawn_blocking(move || {
            for round in 0..3000_u32 {
                met.wait();
                // Before the spin, in it, at its end, and in the sleep.
                let until = Instant::now() + SPIN * (round % 40) / 20;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                done.store(true, Ordering::SeqCst);
                bell.ring();
                met.wait();
            }
        })
    };
    let leading = spawn_blocking(move || {
        for round in 0..3000 {
            met.wait();
            let until = soon();
            assert!(session.lead(false, &bell, until, || done.load(Ordering::SeqCst)), "{round}");
            assert!(Instant::now() < until, "it slept through a ring in round {round}");
            done.store(false, Ordering::SeqCst);
            met.wait();
        }
    });
    let both = async { tokio::try_join!(ringing, leading) };
    tokio::time::timeout(4 * PATIENCE, both).await.unwrap().unwrap();
}
