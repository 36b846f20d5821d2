//! Deadlines of what one event loop waits for: one heap, and one timer for its head.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use super::process;
use crate::sync::Mutex;

/// So many may be out of date before the heap is gone through.
const STALE: usize = 256;

/// Something with a deadline.
pub(super) trait Due: Send + Sync {
    /// Whether its deadline still means anything.
    fn is_open(&self) -> bool;

    /// Its time is over. Called without the GIL; never blocks.
    fn due(&self);
}

/// Deadlines, the next one first.
#[derive(Default)]
pub(super) struct Deadlines {
    state: Mutex<State>,
    sooner: Notify,
}

#[derive(Default)]
struct State {
    heap: BinaryHeap<Reverse<Entry>>,
    /// The heap is gone through when it holds more.
    limit: usize,
    /// Until when the timer sleeps, where there is one.
    asleep: Option<Instant>,
    closed: bool,
}

struct Entry(Instant, Weak<dyn Due>);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Deadlines {
    /// Calls it at that time, unless it has ended by then.
    pub(super) fn push(self: &Arc<Self>, at: Instant, due: Weak<dyn Due>) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if state.heap.len() > state.limit.max(STALE) {
            let open = |entry: &Entry| entry.1.upgrade().is_some_and(|due| due.is_open());
            state.heap.retain(|Reverse(entry)| open(entry));
            state.limit = state.heap.len() * 2;
        }
        state.heap.push(Reverse(Entry(at, due)));
        match state.asleep {
            Some(until) if until <= at => {}
            Some(_) => {
                state.asleep = Some(at);
                drop(state);
                self.sooner.notify_one();
            }
            None => {
                state.asleep = Some(at);
                drop(state);
                if let Ok(runtime) = process::current().runtime() {
                    runtime.spawn(Arc::clone(self).watch());
                }
            }
        }
    }

    /// The timer. It ends when nothing is left to wait for.
    async fn watch(self: Arc<Self>) {
        loop {
            let (late, next) = self.split(Instant::now());
            late.iter().for_each(|due| due.due());
            drop(late);
            let Some(next) = next else { return };
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Those whose time is over, and when the next one's is.
    fn split(&self, now: Instant) -> (Vec<Arc<dyn Due>>, Option<Instant>) {
        let mut state = self.state.lock();
        let mut late = Vec::new();
        while let Some(Reverse(Entry(at, due))) = state.heap.peek() {
            let open = due.upgrade().filter(|due| due.is_open());
            if *at > now && open.is_some() {
                break;
            }
            late.extend(open);
            state.heap.pop();
        }
        let next = state.heap.peek().map(|Reverse(Entry(at, _))| *at);
        state.asleep = next;
        (late, next)
    }

    /// Nobody waits any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.heap.clear();
        drop(state);
        self.sooner.notify_one();
    }
}
