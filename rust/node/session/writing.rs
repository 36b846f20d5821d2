//! Rule 1: who writes, and until when.

use std::io::{Error, ErrorKind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;

use super::ending::Ending;
use super::{Pace, Session, holding};
use crate::node::gone;
use crate::node::outbox::Outbox;
use crate::sync::MutexGuard;

/// So many bytes are enough for a write of their own,
pub(super) const BULK: usize = 128 * 1024;
/// or so many frames: who runs them would otherwise have nothing to do meanwhile. An event loop holds
/// back no more than that;
const MANY: usize = 64;
/// where one such write follows the other, each may have twice as many, up to this.
const MOST: usize = 256;
/// Fewer are not worth one.
const FEW: usize = 16;
/// How long what came with [`Pace::Bulk`] waits for more, and large messages pause for small ones.
pub(super) const GATHER: Duration = Duration::from_millis(1);
/// How long what came with [`Pace::Later`] waits. Each time is a timer, and wakes a thread: where one
/// cast follows the other, with less the timers are felt.
const LATER: Duration = Duration::from_millis(10);

impl Session {
    /// Writes what is in the outbox, or sees to it that it is written, as `pace` says.
    pub(crate) fn flush(&self, pace: Pace) {
        if pace == Pace::Bulk || !holding::keep(self, MANY) {
            self.flush_now(pace);
        }
    }

    /// The same for a call, one of so many that are under way. An event loop that holds them back
    /// lets go of half of them: with all of them in one write, and all answers in another, the two
    /// sides would take turns.
    pub(in crate::node) fn flush_call(&self, under_way: usize) {
        if !holding::keep(self, (under_way / 2).clamp(FEW, MANY)) {
            self.flush_now(Pace::Now);
        }
    }

    fn flush_now(&self, pace: Pace) {
        if self.is_foreign() {
            return;
        }
        match pace {
            Pace::Now => {
                let outbox = self.outbox.lock();
                if !outbox.writing && !outbox.closed {
                    self.write(outbox);
                }
            }
            Pace::Soon => self.kick.notify_one(),
            Pace::Bulk => self.gather(|me| me.flush_now(Pace::Now)),
            Pace::Later => {
                let outbox = self.outbox.lock();
                let waits = !outbox.writing && !outbox.closed && outbox.queued > 0;
                drop(outbox);
                if waits {
                    self.flush_later();
                }
            }
        }
    }

    /// What [`Pace::Bulk`] does. Where that is to write now, it is left to `flush`.
    pub(in crate::node) fn gather(&self, flush: impl FnOnce(&Self)) {
        if holding::keep(self, MANY) || self.is_foreign() {
            return;
        }
        let mut outbox = self.outbox.lock();
        if outbox.writing || outbox.closed {
            return;
        }
        let most = outbox.together.clamp(MANY, MOST);
        // A loop that was not told to keep it holds back enough.
        if outbox.frames >= most || outbox.queued >= BULK || holding::holder_here().is_some() {
            outbox.together = 2 * most;
            drop(outbox);
            flush(self);
        } else if !std::mem::replace(&mut outbox.bulk, true) {
            outbox.together = MANY;
            self.kick.notify_one();
        }
    }

    fn flush_later(&self) {
        if self.later.swap(true, Ordering::AcqRel) {
            return;
        }
        let (Some(me), Ok(runtime)) = (self.me.upgrade(), Handle::try_current()) else {
            self.later.store(false, Ordering::Release);
            return self.flush(Pace::Now);
        };
        runtime.spawn(async move {
            tokio::time::sleep(LATER).await;
            me.later.store(false, Ordering::Release);
            me.flush(Pace::Now);
        });
    }

    /// Writes what came since with [`Pace::Bulk`], and what paused; false when there is nothing, and
    /// the next is the first again.
    pub(super) fn write_bulk(&self) -> bool {
        let mut outbox = self.outbox.lock();
        outbox.go_on();
        outbox.bulk = !outbox.writing && outbox.has_more();
        let more = outbox.bulk;
        if more {
            self.write(outbox);
        }
        more
    }

    /// The writer's loop. Called by whoever finds nobody writing, or by the task while `blocked`.
    pub(super) fn write<'a>(&'a self, mut outbox: MutexGuard<'a, Outbox>) {
        outbox.writing = true;
        outbox.blocked = false;
        while outbox.has_more() {
            outbox.held = false;
            let mut batch = std::mem::take(&mut outbox.batch);
            drop(outbox);
            let (written, result) = batch.write(&*self.link);
            if written > 0 {
                self.sent.fetch_add(written as u64, Ordering::Relaxed);
                self.said.store(self.now(), Ordering::Relaxed);
            }
            outbox = self.outbox.lock();
            if outbox.closed {
                break;
            }
            outbox.batch = batch;
            outbox.queued = outbox.queued.saturating_sub(written);
            match result {
                Ok(()) => outbox.wake(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    outbox.held = true;
                    outbox.blocked = true;
                    self.kick.notify_one();
                    self.tell(outbox);
                    return;
                }
                Err(error) => {
                    drop(outbox);
                    self.broke(&error);
                    return;
                }
            }
        }
        outbox.writing = false;
        if outbox.is_paused() && !std::mem::replace(&mut outbox.bulk, true) {
            self.kick.notify_one();
        }
        self.tell(outbox);
    }

    /// Tells everybody who waits for the outbox.
    fn tell(&self, mut outbox: MutexGuard<'_, Outbox>) {
        let watched = std::mem::take(&mut outbox.watched);
        outbox.wake();
        drop(outbox);
        if watched {
            self.idle.notify_waiters();
        }
    }

    /// Lets the link go on with what it holds back, beside whoever writes.
    pub(super) fn push_on(&self) {
        match self.link.try_write(&[]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut outbox = self.outbox.lock();
                // A writer sees this before it ends, or is blocked already.
                outbox.held = true;
                if !outbox.writing && !outbox.closed {
                    outbox.writing = true;
                    outbox.blocked = true;
                    self.kick.notify_one();
                }
            }
            Err(error) => self.broke(&error),
        }
    }

    /// Writing has failed. What the other side said before may still tell why.
    fn broke(&self, error: &Error) {
        self.end(Ending::Broken(gone(format!("writing to it failed: {error}"))));
        let mut outbox = self.outbox.lock();
        outbox.close();
        self.tell(outbox);
    }

    /// Waits until everything has been handed to the link and nothing is held back.
    pub(in crate::node) async fn written(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            {
                let mut outbox = self.outbox.lock();
                if outbox.closed || !outbox.writing && outbox.is_empty() {
                    return;
                }
                outbox.watched = true;
                // What waits for credit is not for us to write.
                if !outbox.writing && outbox.has_more() {
                    self.write(outbox);
                }
            }
            idle.await;
        }
    }
}
