//! Rule 2: an event loop reads in place of the connection's task, at the beginning of its turns.
//!
//! Where calls come closely one after another this spares each of them two threads that wake each
//! other. A loop may do other things for long, and whoever else waits for what comes over the
//! connection must not wait for that. So:
//!
//! - It is lent only where something comes every millisecond or two, and no large message is under
//!   way. A selector tells the loop; what the loop leaves unread is told of again.
//! - A task of its own watches: where nothing was read for a while, the loop has not come to it, or
//!   there was nothing to read. In either case the connection's task reads from then on. Only a link
//!   that keeps nothing is lent, so nothing is left behind inside it.
//! - Who meets the end, or a reason for it, calls the connection in, before anybody waits for more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::Session;
use super::reading::Leader;
use crate::link::Selector;
use crate::node::forks;
use crate::sync::Mutex;

/// A connection is lent when so often in a row something came at most so many milliseconds after
/// what had come before.
const LIVELY: (u32, u64) = (8, 2);
/// It is called in when nothing came for so long, or for up to twice that.
const QUIET: Duration = Duration::from_millis(10);
/// For how long a loop does not read to which that cost too much.
const REST: Duration = Duration::from_secs(1);
/// A loop reads no more connections than this by itself: each of its turns looks at all of them.
const MOST: usize = 4;

/// The connections that one event loop reads by itself.
#[derive(Debug)]
pub struct LoopReader {
    selector: Selector,
    lent: Mutex<Vec<Arc<Session>>>,
    /// Nothing is lent to it before.
    rests_until: Mutex<Option<Instant>>,
    forks: u32,
}

/// What a session knows of the loop that it is lent to.
#[derive(Debug)]
pub(super) struct Lent {
    reader: Arc<LoopReader>,
    watch: AbortHandle,
}

impl LoopReader {
    /// For a loop that is to watch its selector. An error where the system has none.
    pub fn new() -> io::Result<Arc<Self>> {
        let (selector, forks) = (Selector::new()?, forks());
        let (lent, rests_until) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { selector, lent, rests_until, forks }))
    }

    /// What the loop watches: when it is readable, it is time to `read`.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Whether it has nothing to read.
    pub fn is_idle(&self) -> bool {
        self.is_foreign() || self.lent.lock().is_empty()
    }

    /// Whether its connections are those of the process that this one is a fork of.
    fn is_foreign(&self) -> bool {
        self.forks != forks()
    }

    /// Reads what has come, and hands it out to whomever it is for.
    pub fn read(&self) {
        if !self.is_idle() {
            let lent = self.lent.lock().clone();
            lent.iter().for_each(|session| session.read_in_loop());
        }
    }

    /// Reading has cost the loop too much: others do that for a while.
    pub fn rest(&self) {
        *self.rests_until.lock() = Some(Instant::now() + REST);
        self.close();
    }

    /// The loop has ended: others read from now on.
    pub fn close(&self) {
        if !self.is_idle() {
            let lent = self.lent.lock().clone();
            lent.iter().for_each(|session| session.call_in());
        }
    }
}

impl Session {
    /// Something came.
    pub(super) fn heard_now(&self) {
        let now = self.now();
        let gap = now.saturating_sub(self.heard.swap(now, Ordering::Relaxed));
        // Only whoever reads counts, one at a time.
        let lively = self.lively.load(Ordering::Relaxed);
        let lively = if gap <= LIVELY.1 { lively.saturating_add(1) } else { 0 };
        self.lively.store(lively, Ordering::Relaxed);
    }

    /// Has an event loop read from now on, where that may pay.
    pub(in crate::node) fn lend_to(self: &Arc<Self>, reader: &Arc<LoopReader>) {
        let may_pay = !self.is_foreign()
            && !self.leased.load(Ordering::Relaxed)
            && self.link.keeps_nothing()
            && self.lively.load(Ordering::Relaxed) >= LIVELY.0
            && !self.moves_large()
            && reader.rests_until.lock().is_none_or(|until| until <= Instant::now());
        if !may_pay {
            return;
        }
        let mut lent = self.lent.lock();
        let mut all = reader.lent.lock();
        if all.len() >= MOST {
            return;
        }
        let Some(runtime) = self.take_lease() else { return };
        if self.link.select(&reader.selector, true).is_err() {
            self.give_back();
            return;
        }
        all.push(Arc::clone(self));
        let watch = runtime.spawn(Arc::clone(self).watch_loop()).abort_handle();
        *lent = Some(Lent { reader: Arc::clone(reader), watch });
    }

    /// Takes it back from the loop that reads it, if one does.
    pub(super) fn call_in(&self) {
        // The selector of a forked child is its parent's.
        if self.is_foreign() {
            return;
        }
        let mut lent = self.lent.lock();
        let Some(Lent { reader, watch }) = lent.take() else { return };
        watch.abort();
        reader.lent.lock().retain(|other| !std::ptr::eq(&**other, self));
        // Before the socket is closed: a child may have it as well, and it would stay selected.
        let _ = self.link.select(&reader.selector, false);
        self.give_back();
    }

    async fn watch_loop(self: Arc<Self>) {
        let received = || self.received.load(Ordering::Relaxed);
        let mut before = None;
        while before != Some(received()) {
            before = Some(received());
            tokio::time::sleep(QUIET).await;
        }
        self.call_in();
    }

    fn read_in_loop(self: &Arc<Self>) {
        // What a role does with what came may need the runtime.
        let Some(Some(runtime)) = self.lending.get() else { return };
        let _runtime = runtime.enter();
        // No more than once a turn: the selector tells of what is left.
        let mut leader = Leader { once: false, most: 1, wanted: Vec::new() };
        let read = self.read_on(|| Some(self.inbox.lock()), Some(&mut leader));
        // In this order: what was said counts, not the end that the task finds behind it.
        let is_over = read.map_err(|over| self.end_as(over)).is_err();
        if is_over || !leader.wanted.is_empty() || self.moves_large() {
            self.call_in();
        }
        self.reserve(leader.wanted);
    }

    /// Whether a large message is under way, or may be: that would hold up a loop.
    fn moves_large(&self) -> bool {
        self.inbox.try_lock().is_none_or(|inbox| inbox.transfers() > 0)
            || self.outbox.lock().transfers() > 0
    }
}
