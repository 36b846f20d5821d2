//! Rule 2: an event loop reads in place of the connection's task, at the beginning of its turns.
//!
//! Where calls come closely one after another this spares each of them two threads that wake each
//! other. A loop may do other things for long, and whoever else waits for what comes over the
//! connection must not wait for that. So:
//!
//! - It is lent only while something comes every few milliseconds, and no large message is under
//!   way. A selector tells the loop; what the loop leaves unread is told of again.
//! - A task of its own watches: where nothing was read for a while, the loop has not come to it, or
//!   there was nothing to read. In either case the connection's task reads from then on.
//! - Who meets the end, or a reason for it, calls the connection in, before anybody waits for more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Session;
use super::reading::Leader;
use crate::link::Selector;
use crate::sync::Mutex;

/// Lent where something came within the last so much, and called in where nothing did.
const QUIET: Duration = Duration::from_millis(10);
/// A loop reads no more connections than this by itself: each of its turns looks at all of them.
const MOST: usize = 4;

/// The connections that one event loop reads by itself.
#[derive(Debug)]
pub struct LoopReader {
    selector: Selector,
    lent: Mutex<Vec<Arc<Session>>>,
}

/// What a session knows of the loop that it is lent to.
#[derive(Debug)]
pub(super) struct Loan {
    reader: Arc<LoopReader>,
    watch: AbortHandle,
}

impl LoopReader {
    /// For a loop that is to watch its selector. An error where the system has none.
    pub fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { selector: Selector::new()?, lent: Mutex::default() }))
    }

    /// What the loop watches: when it is readable, it is time to `read`.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Whether it has nothing to read.
    pub fn is_idle(&self) -> bool {
        self.lent.lock().is_empty()
    }

    /// Reads what has come, and hands it out to whomever it is for.
    pub fn read(&self) {
        let lent = self.lent.lock().clone();
        lent.iter().for_each(|session| session.read_in_loop());
    }

    /// The loop has ended: others read from now on.
    pub fn close(&self) {
        let lent = self.lent.lock().clone();
        lent.iter().for_each(|session| session.call_in());
    }
}

impl Session {
    /// Has an event loop read from now on, where that may pay.
    pub(in crate::node) fn lend_to(self: &Arc<Self>, reader: &Arc<LoopReader>) {
        let may_pay = !self.leased.load(Ordering::Relaxed)
            && self.link.keeps_nothing()
            && self.now().saturating_sub(self.heard.load(Ordering::Relaxed))
                <= QUIET.as_millis() as u64
            && !self.moves_large();
        if !may_pay {
            return;
        }
        let mut loan = self.loan.lock();
        let mut lent = reader.lent.lock();
        if lent.len() >= MOST {
            return;
        }
        let Some(runtime) = self.take_lease() else { return };
        if self.link.select(&reader.selector, true).is_err() {
            self.give_back();
            return;
        }
        lent.push(Arc::clone(self));
        let watch = runtime.spawn(Arc::clone(self).watch_loop()).abort_handle();
        *loan = Some(Loan { reader: Arc::clone(reader), watch });
    }

    /// Takes it back from the loop that reads it, if one does.
    pub(super) fn call_in(&self) {
        // The selector of a forked child is its parent's.
        if self.is_foreign() {
            return;
        }
        let mut loan = self.loan.lock();
        let Some(Loan { reader, watch }) = loan.take() else { return };
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
        let mut leader = Leader { once: true, most: 1, wanted: Vec::new() };
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
