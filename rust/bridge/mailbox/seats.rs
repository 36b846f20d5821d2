//! Threads that wait inside a callback, and are handed calls of its chain meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Delivered, OWN, Post};
use crate::bridge::wait::ThreadWake;
use crate::node::{Incoming, Wake};
use crate::sync::Mutex;

/// What a seat shares with those who bring it calls.
pub(super) struct Chair {
    pub(super) jobs: Mutex<VecDeque<Incoming>>,
    pub(super) wake: Arc<dyn Wake>,
}

/// A place where the calling thread is handed calls of its chain while it waits. Dropping it puts
/// back what it did not take.
pub(in crate::bridge) struct Seat {
    post: Arc<Post>,
    chain: u64,
    chair: Arc<Chair>,
}

impl Seat {
    /// A seat, if the calling thread is one of a mailbox's.
    pub(in crate::bridge) fn take_place(chain: u64) -> Option<Self> {
        let post = OWN.with_borrow(Clone::clone).filter(|_| chain != 0)?;
        let chair = Arc::new(Chair { jobs: Mutex::default(), wake: ThreadWake::current() });
        let mut state = post.state.lock();
        // What came before we sat down: for nobody, or for a place further out, whose owner may be
        // the one that sits down here.
        let mut own = state.queue.take_chain(chain);
        let chairs = state.seats.entry(chain).or_default();
        for other in chairs.iter() {
            own.append(&mut other.jobs.lock());
        }
        *chair.jobs.lock() = own;
        chairs.push(Arc::clone(&chair));
        drop(state);
        Some(Self { post, chain, chair })
    }

    /// Whether a call of our chain has come.
    pub(in crate::bridge) fn is_called(&self) -> bool {
        !self.chair.jobs.lock().is_empty()
    }

    /// A call of our chain, if one has come.
    pub(in crate::bridge) fn take(&self) -> Option<Delivered> {
        let incoming = self.chair.jobs.lock().pop_front()?;
        Some(Delivered { incoming, post: Arc::clone(&self.post) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.post.state.lock();
        let mut left = std::mem::take(&mut *self.chair.jobs.lock());
        let mut next = None;
        if let Some(chairs) = state.seats.get_mut(&self.chain) {
            chairs.retain(|chair| !Arc::ptr_eq(chair, &self.chair));
            next = chairs.last().cloned();
            if next.is_none() {
                state.seats.remove(&self.chain);
            }
        }
        if left.is_empty() {
            return;
        }
        if let Some(next) = next {
            next.jobs.lock().append(&mut left);
            drop(state);
            next.wake.wake();
            return;
        }
        state.queue.put_back(left);
        self.post.wake_all(state);
    }
}
