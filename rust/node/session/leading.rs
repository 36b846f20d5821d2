//! Rule 2: a thread that waits for an answer reads in place of the connection's task.
//!
//! Nobody sleeps through what it waits for:
//!
//! - **What comes over the connection.** The link tells the task, unless it is lent. It is lent to
//!   an event loop (see `looping`), or while a [`Lease`] lives, whose owner sleeps until there is
//!   something to read, reads until nothing is left inside the link before it sleeps again, and
//!   gives it back by every exit, a panic included. The link then tells the task of what is there
//!   already. The task may still read beside the leader, for something it heard of before: the
//!   inbox is read by one at a time.
//! - **What others do to the leader**: hand it its answer, its failure, a call of its chain. They
//!   do that under a lock and then ring its bell. The leader listens to the bell first and then
//!   looks, under the same lock, whether something was done: one of the two sees the other.
//! - **The end.** A leader that meets it notes it for the task, leaves, and leads no more, as the
//!   inbox has ended or there is a reason to end; the task ends every call. A task that meets the
//!   end, or is told to, closes the link, which wakes the leader.
//!
//! - **Spinning** is looking again and again at both, the connection and what is waited for; the
//!   bell counts from before the last look on.
//! - **Other ways to wait** for the link (goodbyes, last words) belong to the task. Once there is a
//!   reason to end nobody takes the lease any more, and a leader of before finds the end, or gives
//!   the link back at the latest when its time is over.
//!
//! Everybody else who waits parks; whoever hands out what came wakes them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::runtime::{EnterGuard, Handle};

use super::Session;
use super::reading::{Leader, READS};
use crate::link::Bell;
use crate::node::gate::Spun;

/// The right to read in place of the task.
struct Lease<'a> {
    session: &'a Session,
    /// What a role does with what came may need the runtime.
    _runtime: EnterGuard<'a>,
}

impl<'a> Lease<'a> {
    fn take(session: &'a Session) -> Option<Self> {
        let runtime = session.take_lease()?.enter();
        Some(Self { session, _runtime: runtime })
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.session.give_back();
    }
}

impl Session {
    /// Takes reading from the task, where that can be done now, until it is given back. What comes
    /// back is the runtime of the task.
    pub(super) fn take_lease(&self) -> Option<&Handle> {
        if self.is_foreign() || self.why.lock().is_some() {
            return None;
        }
        let Some(runtime) = self.lending.get() else {
            self.asked.store(true, Ordering::Release);
            self.kick.notify_one();
            return None;
        };
        let runtime = runtime.as_ref()?;
        if self.leased.swap(true, Ordering::AcqRel) {
            return None;
        }
        if !self.link.lend() {
            self.leased.store(false, Ordering::Release);
            return None;
        }
        Some(runtime)
    }

    pub(super) fn give_back(&self) {
        // In this order: who leads next must not be taken the link away from.
        self.link.take_back();
        self.leased.store(false, Ordering::Release);
    }

    /// Makes the link lendable if somebody asked for that. Called by the task, between two waits.
    pub(super) fn prepare_to_lend(&self) {
        if self.asked.load(Ordering::Acquire) {
            self.lending.get_or_init(|| self.link.make_lendable().then(Handle::current));
        }
    }

    /// Reads, and hands out what comes to whomever it is for, until this is `done` or so late.
    /// What makes it done must ring the bell. False where another thread reads, or none can: the
    /// caller parks. How long it may spin depends on whether it is for the answers to a `cast`.
    pub(in crate::node) fn lead(
        self: &Arc<Self>,
        cast: bool,
        bell: &Bell,
        until: Instant,
        mut done: impl FnMut() -> bool,
    ) -> bool {
        let Some(mut lease) = Lease::take(self) else { return false };
        let once = self.link.keeps_nothing();
        let mut leader = Leader { once, most: READS, wanted: Vec::new() };
        let began = Instant::now();
        let spins = self.gates.of(cast).open();
        let spin = spins.unwrap_or_default();
        let spin_until = until.min(began + spin);
        let mut spun = spins.map(|_| Spun::Hit);
        loop {
            let now = Instant::now();
            // While it spins it looks by itself, and hears no bell.
            let sleeps = now >= spin_until;
            if sleeps {
                bell.listen();
                if spun == Some(Spun::Hit) {
                    let lost = now > spin_until + spin;
                    spun = Some(if lost { Spun::Lost } else { Spun::Missed });
                }
            }
            if done() || now >= until {
                bell.ignore();
                self.gates.of(cast).note(began.elapsed(), spun);
                return true;
            }
            if sleeps {
                let slept = self.link.await_readable(bell, until - now);
                bell.ignore();
                match slept {
                    Err(error) if error.kind() != ErrorKind::Interrupted => return false,
                    _ => {}
                }
            } else {
                std::thread::yield_now();
            }
            // Whoever else has the inbox lets go of it soon, and may leave something unread.
            if let Err(over) = self.read_on(|| Some(self.inbox.lock()), Some(&mut leader)) {
                self.end_as(over);
                return true;
            }
            if !leader.wanted.is_empty() {
                drop(lease);
                self.reserve(std::mem::take(&mut leader.wanted));
                let Some(again) = Lease::take(self) else { return false };
                lease = again;
            }
        }
    }
}
