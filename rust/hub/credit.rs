use std::sync::Arc;

use crate::wire::{Credit, Limits};

/// What a sender of calls may still send over one hop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    calls: u32,
    /// Below zero once overdrawn: what was sent on top comes back as well.
    bytes: i64,
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Window {
    /// What a peer grants in its greeting.
    pub fn new(limits: &Limits) -> Self {
        Self { calls: limits.calls, bytes: signed(limits.bytes) }
    }

    /// Takes one call of this size, if it may be sent. The last bytes may be overdrawn by one
    /// call, so that no call is too large for any window.
    pub fn take(&mut self, bytes: usize) -> bool {
        let open = self.is_open();
        if open {
            self.calls -= 1;
            self.bytes = self.bytes.saturating_sub(signed(bytes as u64));
        }
        open
    }

    /// Adds what a peer granted.
    pub fn give(&mut self, calls: u32, bytes: u64) {
        self.calls = self.calls.saturating_add(calls);
        self.bytes = self.bytes.saturating_add(signed(bytes));
    }

    /// Whether one more call may be sent.
    pub fn is_open(&self) -> bool {
        self.calls > 0 && self.bytes > 0
    }
}

/// What a receiver of calls owes back to their sender; given back a quarter window at a time.
#[derive(Debug, Clone, Copy)]
pub struct Ledger {
    calls: u32,
    bytes: u64,
    /// What came and has not been given back, for those who check that the sender keeps to it.
    held: (u32, u64),
    limits: Limits,
}

impl Ledger {
    /// For a window of this size.
    pub fn new(limits: Limits) -> Self {
        Self { calls: 0, bytes: 0, held: (0, 0), limits }
    }

    /// Notes that one call of this size came; false when its sender had no credit for it.
    pub fn take(&mut self, bytes: usize) -> bool {
        let (calls, held) = &mut self.held;
        let allowed = *calls < self.limits.calls && *held < self.limits.bytes;
        *calls = calls.saturating_add(1);
        *held = held.saturating_add(bytes as u64);
        allowed
    }

    /// Notes that one call of this size no longer waits here.
    pub fn note(&mut self, bytes: usize) -> Option<Credit> {
        self.calls += 1;
        self.bytes += bytes as u64;
        let due = self.calls >= self.limits.calls / 4 || self.bytes >= self.limits.bytes / 4;
        due.then(|| {
            let (calls, bytes) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.bytes));
            self.held = (self.held.0.saturating_sub(calls), self.held.1.saturating_sub(bytes));
            Credit::Calls { calls, bytes }
        })
    }
}

/// What a call counts for in its caller's window while it waits. The legs of a cast share one:
/// it is given back with the last of them, so that nobody casts faster than the slowest takes.
#[derive(Debug, Clone)]
pub(super) enum Owed {
    Alone(usize),
    Shared(Arc<usize>),
}

impl Owed {
    pub(super) fn new(bytes: usize, legs: usize) -> Self {
        if legs > 1 { Self::Shared(Arc::new(bytes)) } else { Self::Alone(bytes) }
    }

    /// This leg no longer waits: the bytes to give back, if it was the last.
    pub(super) fn settle(self) -> Option<usize> {
        match self {
            Self::Alone(bytes) => Some(bytes),
            Self::Shared(bytes) => Arc::into_inner(bytes),
        }
    }
}
