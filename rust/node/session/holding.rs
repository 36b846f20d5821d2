//! Several messages of one thread, in one write.
//!
//! An event loop holds while it runs whatever came: what its callbacks send and answer meanwhile
//! stays in the outboxes, and leaves with one write for each connection when it lets go.

use std::cell::RefCell;
use std::sync::Arc;

use super::{Pace, Session};

thread_local! {
    /// The connections with something to write, while this thread holds.
    static HELD: RefCell<Option<Vec<Arc<Session>>>> = const { RefCell::new(None) };
}

/// From now on nothing that this thread sends is written; false when it held already. Whoever gets
/// true lets go soon, and before the thread waits for anything.
pub fn hold() -> bool {
    HELD.with_borrow_mut(|held| {
        let fresh = held.is_none();
        held.get_or_insert_default();
        fresh
    })
}

/// Whether this thread holds.
pub fn is_holding() -> bool {
    HELD.with_borrow(Option::is_some)
}

/// Writes what was held back. Nothing happens where nothing was.
pub fn let_go() {
    let held = HELD.with_borrow_mut(Option::take);
    for session in held.into_iter().flatten() {
        session.flush(Pace::Now);
    }
}

/// Keeps a connection for later; false when this thread does not hold.
pub(super) fn keep(session: &Session) -> bool {
    HELD.with_borrow_mut(|held| {
        let Some(held) = held else { return false };
        let known = held.iter().rev().any(|other| std::ptr::eq(Arc::as_ptr(other), session));
        if !known {
            held.extend(session.me.upgrade());
        }
        true
    })
}
