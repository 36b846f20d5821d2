//! What wakes a call: the engine has it, and never the call itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use pyo3::prelude::*;

use super::call::Call;
use super::completions::{Event, Queue};
use super::deadlines::Due;
use crate::node::Wake;
use crate::sync::Mutex;

/// What wakes a call: whoever in the engine has something for it.
pub(super) struct Ticket {
    queue: Arc<Queue>,
    /// A look is due, and in the queue.
    queued: AtomicBool,
    /// It counts as open.
    open: AtomicBool,
    /// The call, until it has ended.
    call: Mutex<Option<Py<Call>>>,
    me: Weak<Ticket>,
}

impl Ticket {
    pub(super) fn new(queue: &Arc<Queue>) -> Arc<Self> {
        let ticket = Arc::new_cyclic(|me| Self {
            queue: Arc::clone(queue),
            queued: AtomicBool::new(false),
            open: AtomicBool::new(true),
            call: Mutex::new(None),
            me: me.clone(),
        });
        queue.opened(&ticket);
        ticket
    }

    /// The call that it is for.
    pub(super) fn admit(&self, call: Py<Call>) {
        *self.call.lock() = Some(call);
    }

    /// Wakes it at that time.
    pub(super) fn wake_at(&self, at: Instant) {
        let due: Weak<dyn Due> = self.me.clone();
        self.queue.wake_at(at, due);
    }

    /// The call to look at, if it has not ended.
    pub(super) fn begin_look(&self, py: Python<'_>) -> Option<Py<Call>> {
        self.queued.store(false, Ordering::Release);
        self.call.lock().as_ref().map(|call| call.clone_ref(py))
    }

    pub(super) fn end(&self) {
        if self.open.swap(false, Ordering::AcqRel) {
            self.queue.ended();
        }
        let call = self.call.lock().take();
        drop(call);
    }

    /// The loop has ended, and nobody will hear what comes of the call.
    pub(super) fn abandon(&self, py: Python<'_>) {
        let call = self.call.lock().take();
        if let Some(call) = call {
            Call::abandon(&call, py);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // No call was made of it.
        if self.open.swap(false, Ordering::AcqRel) {
            self.queue.ended();
        }
    }
}

impl Wake for Ticket {
    fn wake(&self) {
        if !self.queued.swap(true, Ordering::AcqRel)
            && let Some(me) = self.me.upgrade()
        {
            self.queue.push(Event::Look(me));
        }
    }
}

impl Due for Ticket {
    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn due(&self) {
        self.wake();
    }
}
