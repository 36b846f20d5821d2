use crate::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::wire::{FunctionStats, Stats};

/// What a node counts from its start.
#[derive(Debug, Default)]
pub struct Counts {
    functions: Mutex<HashMap<String, (u64, u64)>>,
    /// Calls that this node made: how many ended, and how many of them failed.
    own: (AtomicU64, AtomicU64),
}

impl Counts {
    /// A call of this function ended, well or not.
    pub fn note(&self, function: &str, failed: bool) {
        let mut functions = self.functions.lock();
        let entry = match functions.get_mut(function) {
            Some(entry) => entry,
            None => functions.entry(function.to_owned()).or_default(),
        };
        entry.0 += 1;
        entry.1 += u64::from(failed);
    }

    /// A call that this node made has ended.
    pub fn note_own(&self, failed: bool) {
        self.own.0.fetch_add(1, Ordering::Relaxed);
        self.own.1.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    /// What has been counted, in the form in which a node shows it.
    pub(super) fn stats(&self) -> Stats {
        let functions = self.functions.lock();
        let one = |(name, counts): (&String, &(u64, u64))| {
            FunctionStats(name.clone(), counts.0, counts.1, 0)
        };
        let functions: Vec<_> = functions.iter().map(one).collect();
        Stats {
            calls: self.own.0.load(Ordering::Relaxed) + functions.iter().map(|f| f.1).sum::<u64>(),
            errors: self.own.1.load(Ordering::Relaxed) + functions.iter().map(|f| f.2).sum::<u64>(),
            functions,
            ..Stats::default()
        }
    }
}

impl Stats {
    /// Adds what one connection shows.
    pub(in crate::node) fn add_traffic(&mut self, traffic: (u64, u64, usize, usize)) {
        let (sent, received, queued, transfers) = traffic;
        self.connections += 1;
        self.bytes_sent += sent;
        self.bytes_received += received;
        self.bytes_queued += queued as u64;
        self.transfers += transfers as u64;
    }
}
