//! The connection's task: readiness, heartbeats, peers that stand still.

use std::future::{poll_fn, ready};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::ending::Over;
use super::writing::GATHER;
use super::{Pace, Session};
use crate::node::{HEARTBEAT, NO_PROGRESS, SILENCE, gone};
use crate::wire::{Failure, Frame, Kind};

/// Where no more than this came since the last look, in bytes, reading has nothing to keep ready.
const LITTLE: u64 = 16 * 1024;

/// What the task saw when it last looked at the clock.
struct Watch {
    ticked: Instant,
    /// How much had been received.
    received: u64,
    /// When more than before had last been sent, and how much that was.
    progress: (Instant, u64),
}

/// When to look at the clock. The connections of a process do so in groups, each in a moment of its
/// own: what looks after a thousand of them wakes up a few times a second, and never for long.
fn ticks() -> Interval {
    const GROUPS: u32 = 4;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let group = NEXT.fetch_add(1, Ordering::Relaxed) % GROUPS;
    let past = FIRST.get_or_init(Instant::now).elapsed().as_nanos();
    let (moment, period) = ((HEARTBEAT * group / GROUPS).as_nanos(), HEARTBEAT.as_nanos());
    // The first look is at most one period away: until then nobody says that we are here.
    let left = Duration::from_nanos((period - (past + period - moment) % period) as u64);
    let mut ticks = interval_at((Instant::now() + left).into(), HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

impl Session {
    /// The task of the connection. Returns when it has ended.
    pub(in crate::node) async fn drive(self: Arc<Self>) {
        // Whoever finished it before it began has ended it.
        if !self.driven.swap(true, Ordering::AcqRel) {
            let over = self.work().await;
            self.wind_up(over).await;
        }
    }

    async fn work(self: &Arc<Self>) -> Over {
        let mut tick = ticks();
        let now = Instant::now();
        let mut watch = Watch { ticked: now, received: 0, progress: (now, 0) };
        if let Err(over) = self.hand_out_first() {
            return over;
        }
        let kicked = self.kick.notified();
        tokio::pin!(kicked);
        let (mut more, mut blocked, mut bulk) = (true, false, false);
        let rest = tokio::time::sleep(GATHER);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                biased;
                () = rest.as_mut(), if bulk => {
                    bulk = self.write_bulk();
                    blocked = self.outbox.lock().blocked;
                    rest.as_mut().reset(tokio::time::Instant::now() + GATHER);
                }
                ready = poll_fn(|context| self.link.poll_readable(context)), if !more => {
                    if let Err(error) = ready {
                        return Over::Gone(gone(format!("reading from it failed: {error}")));
                    }
                    more = true;
                }
                ready = poll_fn(|context| self.link.poll_writable(context)), if blocked => {
                    if let Err(error) = ready {
                        return Over::Gone(gone(format!("writing to it failed: {error}")));
                    }
                    let outbox = self.outbox.lock();
                    if outbox.blocked {
                        self.write(outbox);
                    }
                    blocked = self.outbox.lock().blocked;
                }
                () = kicked.as_mut() => {
                    kicked.set(self.kick.notified());
                    if let Some(over) = self.is_to_end().await {
                        return over;
                    }
                    self.prepare_to_lend();
                    self.flush(Pace::Now);
                    let outbox = self.outbox.lock();
                    blocked = outbox.blocked;
                    if outbox.bulk && !std::mem::replace(&mut bulk, true) {
                        rest.as_mut().reset(tokio::time::Instant::now() + GATHER);
                    }
                }
                _ = tick.tick() => {
                    if let Some(failure) = self.check(&mut watch) {
                        return Over::Gone(failure);
                    }
                }
                () = ready(()), if more => {}
            }
            if more {
                match self.pump() {
                    Ok(again) => more = again,
                    Err(over) => return over,
                }
                if more {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Heartbeats, silence, and peers that do not read.
    fn check(&self, watch: &mut Watch) -> Option<Failure> {
        let (now, last) = (self.now(), watch.ticked);
        watch.ticked = Instant::now();
        // We were not running: that is not the peer's silence.
        if watch.ticked.duration_since(last) > HEARTBEAT * 3 / 2 {
            self.heard.store(now, Ordering::Relaxed);
            watch.progress.0 = watch.ticked;
        }
        let since = |counter: &AtomicU64| {
            Duration::from_millis(now.saturating_sub(counter.load(Ordering::Relaxed)))
        };
        if since(&self.heard) > SILENCE {
            return Some(gone(format!("it was silent for {} s", SILENCE.as_secs())));
        }
        let sent = self.sent.load(Ordering::Relaxed);
        let stuck = self.outbox.lock().blocked;
        if !stuck || sent != watch.progress.1 {
            watch.progress = (watch.ticked, sent);
        } else if watch.ticked.duration_since(watch.progress.0) > NO_PROGRESS {
            return Some(gone(format!("it read nothing for {} s", NO_PROGRESS.as_secs())));
        }
        if since(&self.said) >= HEARTBEAT / 2 {
            self.outbox.lock().rest();
        }
        let received = self.received.load(Ordering::Relaxed);
        let much = received - std::mem::replace(&mut watch.received, received) > LITTLE;
        if let Some(mut inbox) = self.inbox.try_lock() {
            inbox.rest(much);
        }
        // What was just said is heard for longer than until the next look.
        if !stuck && since(&self.said) >= HEARTBEAT / 4 {
            self.send(Frame::new(Kind::Ping, 0), Pace::Now);
        }
        None
    }
}
