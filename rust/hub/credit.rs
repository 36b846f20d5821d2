use crate::wire::{Credit, Limits};

/// What a sender of calls may still send over one hop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    calls: u32,
    bytes: u64,
}

impl Window {
    /// What a peer grants in its greeting.
    pub fn new(limits: &Limits) -> Self {
        Self { calls: limits.calls, bytes: limits.bytes }
    }

    /// Takes one call of this size, if it may be sent. The last bytes may be overdrawn by one
    /// call, so that no call is too large for any window.
    pub fn take(&mut self, bytes: usize) -> bool {
        let open = self.calls > 0 && self.bytes > 0;
        if open {
            self.calls -= 1;
            self.bytes = self.bytes.saturating_sub(bytes as u64);
        }
        open
    }

    /// Adds what a peer granted.
    pub fn give(&mut self, calls: u32, bytes: u64) {
        self.calls = self.calls.saturating_add(calls);
        self.bytes = self.bytes.saturating_add(bytes);
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
    limits: Limits,
}

impl Ledger {
    /// For a window of this size.
    pub fn new(limits: Limits) -> Self {
        Self { calls: 0, bytes: 0, limits }
    }

    /// Notes that one call of this size no longer waits here.
    pub fn note(&mut self, bytes: usize) -> Option<Credit> {
        self.calls += 1;
        self.bytes += bytes as u64;
        let due = self.calls >= self.limits.calls / 4 || self.bytes >= self.limits.bytes / 4;
        due.then(|| {
            let (calls, bytes) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.bytes));
            Credit::Calls { calls, bytes }
        })
    }
}
