//! Calls that wait for a thread, in their order, and of which chains they are.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::node::Incoming;

/// Calls in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    calls: VecDeque<Incoming>,
    /// How many calls wait of each chain: whoever looks for some need not walk past thousands.
    chains: HashMap<u64, usize>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn push_back(&mut self, call: Incoming) {
        *self.chains.entry(call.chain()).or_default() += 1;
        self.calls.push_back(call);
    }

    pub(super) fn pop_front(&mut self) -> Option<Incoming> {
        let call = self.calls.pop_front()?;
        self.forget(call.chain());
        Some(call)
    }

    /// Puts these before all others.
    pub(super) fn put_back(&mut self, calls: VecDeque<Incoming>) {
        for call in calls.into_iter().rev() {
            *self.chains.entry(call.chain()).or_default() += 1;
            self.calls.push_front(call);
        }
    }

    /// Takes out the calls of one chain.
    pub(super) fn take_chain(&mut self, chain: u64) -> VecDeque<Incoming> {
        match self.chains.contains_key(&chain) {
            true => self.take(|call| call.chain() == chain),
            false => VecDeque::new(),
        }
    }

    /// Takes out the calls that were given up.
    pub(super) fn take_cancelled(&mut self) -> VecDeque<Incoming> {
        self.take(Incoming::is_cancelled)
    }

    fn take(&mut self, wanted: impl FnMut(&Incoming) -> bool) -> VecDeque<Incoming> {
        let (taken, kept): (VecDeque<_>, _) = self.calls.drain(..).partition(wanted);
        self.calls = kept;
        taken.iter().for_each(|call| self.forget(call.chain()));
        taken
    }

    fn forget(&mut self, chain: u64) {
        if let Some(count) = self.chains.get_mut(&chain) {
            *count -= 1;
            if *count == 0 {
                self.chains.remove(&chain);
            }
        }
    }
}
