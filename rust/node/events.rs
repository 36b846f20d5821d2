use std::collections::VecDeque;

use tokio::sync::Notify;

use crate::sync::Mutex;

use crate::wire::Presence;

/// How many events may wait for a listener that does not keep up; the oldest are lost first.
const MOST: usize = 100_000;

/// Who comes and goes, in order, for whoever listens in this process.
#[derive(Debug, Default)]
pub struct Events {
    state: Mutex<State>,
    changed: Notify,
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
            self.changed.notify_one();
        }
    }

    /// No more will come; what is there may still be taken.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next; nothing once they are closed and all taken. One at a time may wait.
    pub async fn next(&self) -> Option<Presence> {
        loop {
            {
                let mut state = self.state.lock();
                if let Some(presence) = state.queue.pop_front() {
                    return Some(presence);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}
