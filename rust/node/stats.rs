use crate::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

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
        let one = |(name, counts): (&String, &(u64, u64))| (name.clone(), counts.0, counts.1);
        let functions: Vec<_> = functions.iter().map(one).collect();
        Stats {
            calls: self.own.0.load(Ordering::Relaxed) + functions.iter().map(|f| f.1).sum::<u64>(),
            errors: self.own.1.load(Ordering::Relaxed) + functions.iter().map(|f| f.2).sum::<u64>(),
            functions,
            ..Stats::default()
        }
    }
}

/// What a node shows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that are up.
    pub connections: usize,
    /// Members that this node knows of: a server's, or none.
    pub members: usize,
    /// Calls that this node made, or forwards, and that are not ended.
    pub calls_in_flight: usize,
    /// Calls that run here.
    pub running: usize,
    /// Calls that wait here: for a thread, for credit, for a connection.
    pub queued: usize,
    /// Streams that came for this node and are not ended.
    pub streams: usize,
    /// Large messages under way, in or out.
    pub transfers: usize,
    /// Bytes on connections that are up.
    pub bytes_sent: u64,
    /// Bytes on connections that are up.
    pub bytes_received: u64,
    /// Bytes that wait to be written.
    pub bytes_queued: usize,
    /// Calls that this node made, ran or forwarded, and that have ended.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Calls that ended here, by function: how many, and how many of them failed.
    pub functions: Vec<(String, u64, u64)>,
}

impl Stats {
    /// Adds what one connection shows.
    pub(super) fn add_traffic(&mut self, traffic: (u64, u64, usize, usize)) {
        let (sent, received, queued, transfers) = traffic;
        self.connections += 1;
        self.bytes_sent += sent;
        self.bytes_received += received;
        self.bytes_queued += queued;
        self.transfers += transfers;
    }
}
