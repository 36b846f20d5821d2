//! Calls that came for a node whose own world is an event loop.
//!
//! Coroutine functions run on the loop, plain functions on the node's threads; one limit holds for
//! both. What is above it waits here, in the order in which it came. A call of a chain that is
//! already running here goes ahead: the one that runs may be waiting for it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use hashbrown::{HashMap, HashSet};
use pyo3::prelude::*;

use super::completions::{Event, Queue};
use super::mailbox::Post;
use crate::node::{Executor, Incoming};
use crate::sync::Mutex;

/// The loop that a node runs its coroutines on, and the function that starts them there.
struct Home {
    queue: Arc<Queue>,
    start: Py<PyAny>,
}

/// Who may run, and where.
pub(super) struct Reception {
    /// The threads, for plain functions.
    post: Arc<Post>,
    most: usize,
    state: Mutex<State>,
    me: Weak<Reception>,
}

#[derive(Default)]
struct State {
    home: Option<Home>,
    /// Functions that run on the loop.
    coroutines: HashSet<String>,
    waiting: VecDeque<Incoming>,
    running: usize,
    /// How many calls of each chain run.
    chains: HashMap<u64, usize>,
    /// Somebody lets in those that wait.
    passing: bool,
    closed: bool,
}

impl State {
    fn lets_in(&self, incoming: &Incoming, most: usize) -> bool {
        // While others are let in, it waits behind them.
        let goes_next = self.running < most && self.waiting.is_empty() && !self.passing;
        goes_next || self.chains.contains_key(&incoming.chain())
    }

    /// The next one that may run; it counts as running.
    fn next(&mut self, most: usize) -> Option<Incoming> {
        let next = if self.running < most { self.waiting.pop_front() } else { None }?;
        self.enter(next.chain());
        Some(next)
    }

    fn enter(&mut self, chain: u64) {
        self.running += 1;
        if chain != 0 {
            *self.chains.entry(chain).or_default() += 1;
        }
    }

    fn leave(&mut self, chain: u64) {
        self.running -= 1;
        if let Some(count) = self.chains.get_mut(&chain) {
            *count -= 1;
            if *count == 0 {
                self.chains.remove(&chain);
            }
        }
    }
}

impl Reception {
    pub(super) fn new(post: Arc<Post>, most: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { post, most, state: Mutex::default(), me: me.clone() })
    }

    /// From now on coroutine functions are started by `start`, on the loop of this queue.
    pub(super) fn settle(&self, queue: Arc<Queue>, start: Py<PyAny>) {
        let before = self.state.lock().home.replace(Home { queue, start });
        drop(before);
    }

    /// These functions run on the loop.
    pub(super) fn set_coroutines(&self, names: Vec<String>) {
        self.state.lock().coroutines = names.into_iter().collect();
    }

    pub(super) fn starter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.lock().home.as_ref().map(|home| home.start.clone_ref(py))
    }

    pub(super) fn post(&self) -> Arc<Post> {
        Arc::clone(&self.post)
    }

    /// Whether answers are likely to follow each other.
    pub(super) fn is_busy(&self) -> bool {
        self.state.lock().running > 1
    }

    /// Has it run, once it counts as running.
    fn admit(&self, mut incoming: Incoming) {
        let (me, chain) = (self.me.clone(), incoming.chain());
        incoming.when_closed(Box::new(move || {
            if let Some(me) = me.upgrade() {
                me.leave(chain);
            }
        }));
        let state = self.state.lock();
        let home = state.home.as_ref().filter(|_| state.coroutines.contains(incoming.function()));
        let queue = home.map(|home| Arc::clone(&home.queue));
        drop(state);
        match (queue, self.me.upgrade()) {
            (Some(queue), Some(me)) => queue.push(Event::Job(me, incoming)),
            _ => self.post.submit(vec![incoming]),
        }
    }

    fn leave(&self, chain: u64) {
        let mut state = self.state.lock();
        state.leave(chain);
        // One that ends as soon as it is let in comes here again: the loop goes on with the next.
        if std::mem::replace(&mut state.passing, true) {
            return;
        }
        while let Some(next) = state.next(self.most) {
            drop(state);
            self.admit(next);
            state = self.state.lock();
        }
        state.passing = false;
    }

    pub(super) fn close(&self) {
        let (waiting, home) = {
            let mut state = self.state.lock();
            state.closed = true;
            (std::mem::take(&mut state.waiting), state.home.take())
        };
        // Dropped, and so answered, after the lock is gone.
        drop((waiting, home));
        self.post.close();
    }
}

impl Executor for Reception {
    fn submit(&self, calls: Vec<Incoming>) {
        for incoming in calls {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                return;
            }
            if !state.lets_in(&incoming, self.most) {
                state.waiting.push_back(incoming);
                continue;
            }
            state.enter(incoming.chain());
            drop(state);
            self.admit(incoming);
        }
    }

    fn sweep(&self) {
        let gone = {
            let mut state = self.state.lock();
            if !state.waiting.iter().any(Incoming::is_cancelled) {
                VecDeque::new()
            } else {
                let (gone, kept) = state.waiting.drain(..).partition(Incoming::is_cancelled);
                state.waiting = kept;
                gone
            }
        };
        drop(gone);
        self.post.sweep();
    }
}
