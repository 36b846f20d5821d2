use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex};

use crate::wire::Presence;

/// How many events may wait for a listener that does not keep up; the oldest are lost first.
const MOST: usize = 100_000;

/// Who comes and goes, in order, for whoever listens in this process.
#[derive(Debug, Default)]
pub struct Events {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Presence>,
    wanted: bool,
    closed: bool,
}

impl Events {
    /// From now on events are kept. True when they were not before.
    pub fn want(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().wanted, true)
    }

    /// Whether somebody listens.
    pub fn are_wanted(&self) -> bool {
        self.state.lock().wanted
    }

    pub(super) fn push(&self, presence: Presence) {
        let mut state = self.state.lock();
        if state.wanted && !state.closed {
            if state.queue.len() >= MOST {
                state.queue.pop_front();
            }
            state.queue.push_back(presence);
            self.changed.notify_all();
        }
    }

    /// No more will come; what is there may still be taken.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for the next; nothing once they are closed and all taken.
    pub fn next(&self) -> Option<Presence> {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.queue.is_empty() && !state.closed);
        state.queue.pop_front()
    }
}
