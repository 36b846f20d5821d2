use hashbrown::HashMap;

use super::Hub;
use crate::wire::{FunctionStats, MemberStats};

/// What can be counted in a hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Members, the server's own functions included.
    pub members: usize,
    /// Calls, legs of casts, and streams that are not ended; oneway calls only where the server's own
    /// member has them and has not begun.
    pub routes: usize,
    /// Calls, oneway ones included, that wait for their worker's credit.
    pub queued: usize,
    /// Large messages that pass through.
    pub transfers: usize,
    /// Questions that are not answered yet.
    pub questions: usize,
    /// Calls that have ended, and legs of casts.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
}

/// How many functions of one member are counted by name; the rest are counted together.
const MOST: usize = 1000;
/// What those are called.
const OTHERS: &str = "...";

/// What became of the calls to one function of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    calls: u64,
    errors: u64,
    in_flight: u64,
}

/// The calls of one member, by function. A call looks its function up once, when it begins, and
/// keeps the row.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    rows: Vec<Tally>,
    names: HashMap<String, usize>,
}

impl Tallies {
    /// Where this function is counted.
    pub(super) fn row(&mut self, function: &str) -> usize {
        if let Some(row) = self.names.get(function) {
            return *row;
        }
        let name = if self.names.len() < MOST { function } else { OTHERS };
        let fresh = self.rows.len();
        let row = *self.names.entry_ref(name).or_insert(fresh);
        if row == fresh {
            self.rows.push(Tally::default());
        }
        row
    }

    /// A call is under way.
    pub(super) fn begin(&mut self, row: usize) {
        if let Some(tally) = self.rows.get_mut(row) {
            tally.in_flight += 1;
        }
    }

    /// A call is no longer under way.
    pub(super) fn finish(&mut self, row: usize) {
        if let Some(tally) = self.rows.get_mut(row) {
            tally.in_flight = tally.in_flight.saturating_sub(1);
        }
    }

    /// So many calls ended, and so many failed.
    pub(super) fn count(&mut self, row: usize, calls: u64, errors: u64) {
        if let Some(tally) = self.rows.get_mut(row) {
            tally.calls += calls;
            tally.errors += errors;
        }
    }

    /// Adds what somebody counted who is gone.
    pub(super) fn absorb(&mut self, gone: &Self) {
        for FunctionStats(name, calls, errors, _) in gone.list() {
            let row = self.row(&name);
            self.count(row, calls, errors);
        }
    }

    /// How many calls ended, and how many of them failed.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.rows.iter().fold((0, 0), |all, row| (all.0 + row.calls, all.1 + row.errors))
    }

    /// By function, in the order in which they were first called.
    pub(super) fn list(&self) -> Vec<FunctionStats> {
        let mut named: Vec<_> = self.names.iter().map(|(name, row)| (*row, name)).collect();
        named.sort_unstable();
        let tallies = named.into_iter().zip(&self.rows);
        let list = tallies.map(|((_, name), Tally { calls, errors, in_flight })| {
            FunctionStats(name.clone(), *calls, *errors, *in_flight)
        });
        list.collect()
    }
}

impl<P: Clone, L> Hub<P, L> {
    /// What there is to count.
    pub fn gauges(&self) -> Gauges {
        let tallies = self.peers.iter().map(|peer| peer.tallies.totals());
        let (calls, errors) =
            tallies.fold(self.past.totals(), |all, one| (all.0 + one.0, all.1 + one.1));
        Gauges {
            members: self.peers.len(),
            routes: self.routes.len(),
            queued: self.peers.iter().map(|peer| peer.backlog.len()).sum(),
            transfers: self.throughs.len(),
            questions: self.questions.len(),
            calls,
            errors,
        }
    }

    /// What was counted by function, of members that are gone too.
    pub fn functions(&self) -> Vec<FunctionStats> {
        let mut all = Tallies::default();
        all.absorb(&self.past);
        self.peers.iter().for_each(|peer| all.absorb(&peer.tallies));
        all.list()
    }

    /// What is counted of each member behind so many others, and its handle.
    pub fn by_member(&self, skipped: usize) -> impl Iterator<Item = (P, MemberStats)> {
        self.peers.iter().skip(skipped).map(|peer| {
            let stats = MemberStats {
                name: peer.name.clone(),
                calls_in_flight: peer.pending as u64,
                queued: peer.backlog.len() as u64,
                functions: peer.tallies.list(),
                ..MemberStats::default()
            };
            (peer.handle.clone(), stats)
        })
    }
}
