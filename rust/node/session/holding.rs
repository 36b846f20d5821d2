//! Several messages of one thread, in one write.
//!
//! An event loop holds while it runs whatever came: what its callbacks send and answer meanwhile
//! stays in the outboxes, and leaves when it lets go, with one write for each connection, its own or
//! that of the connection's task; or before, some of it, so that whoever it is for need not wait for
//! the rest.

use std::cell::RefCell;
use std::sync::Arc;

use super::writing::BULK;
use super::{Pace, Session};

/// More connections than this are many to write to.
const SEVERAL: usize = 4;
/// A loop writes to so many itself when it lets go. Their tasks write to the others: two hundred writes
/// would hold it up for a millisecond or two.
const AT_ONCE: usize = 16;

thread_local! {
    /// Who holds on this thread, and the connections with something to write.
    static HELD: RefCell<Option<(usize, Vec<Arc<Session>>)>> = const { RefCell::new(None) };
}

/// From now on what this thread sends is kept back until `holder` lets go: soon, and before the thread
/// waits for anything. What another one held, which ended without letting go, is written.
pub fn hold(holder: usize) {
    if holder_here() != Some(holder) {
        let_go();
        HELD.set(Some((holder, Vec::new())));
    }
}

/// Who holds on this thread.
pub fn holder_here() -> Option<usize> {
    HELD.with_borrow(|held| held.as_ref().map(|(holder, _)| *holder))
}

/// Whether it takes a while to write what is held back.
pub fn holds_much() -> bool {
    // A forked child writes nothing of its parent's, whose locks may be held for ever.
    let bulk = |session: &Session| !session.is_foreign() && session.outbox.lock().queued > BULK;
    HELD.with_borrow(|held| {
        let Some((_, held)) = held else { return false };
        held.len() > SEVERAL || held.iter().any(|session| bulk(session))
    })
}

/// Writes what was held back. Nothing happens where nothing was.
pub fn let_go() {
    let held = HELD.take();
    for (nth, session) in held.into_iter().flat_map(|(_, sessions)| sessions).enumerate() {
        session.flush(if nth < AT_ONCE { Pace::Now } else { Pace::Soon });
    }
}

/// Keeps a connection for later; false when this thread does not hold, or so many small frames wait. To
/// write many bytes takes a while, and whoever lets go has no lock of Python's meanwhile.
pub(super) fn keep(session: &Session, most: usize) -> bool {
    HELD.with_borrow_mut(|held| {
        let Some((_, held)) = held else { return false };
        let known = held.iter().rev().any(|other| std::ptr::eq(Arc::as_ptr(other), session));
        if !known {
            held.extend(session.me.upgrade());
        }
        if session.is_foreign() {
            return true;
        }
        let outbox = session.outbox.lock();
        outbox.frames < most || outbox.queued > BULK
    })
}
