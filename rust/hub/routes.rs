use std::time::Instant;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::PeerKey;
use super::credit::Owed;

/// A call, or a leg of a cast, or a stream, on its way through a server.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) caller: PeerKey,
    /// What the caller calls it.
    pub(super) caller_id: u64,
    pub(super) worker: PeerKey,
    /// Where the worker's calls of this function are counted.
    pub(super) row: usize,
    /// Several answers are expected, each marked with who gave it.
    pub(super) cast: bool,
    /// From when on the answers to a cast do not wait for each other; nothing if it has no deadline.
    pub(super) hurried: Option<Instant>,
    /// It waits for the worker's credit.
    pub(super) queued: bool,
    /// What it counts for in the caller's window, where the server's own member has it and has
    /// not begun with it.
    pub(super) owed: Option<Owed>,
    pub(super) oneway: bool,
    /// Items of the stream that passed, and how many its worker allows.
    pub(super) items: u64,
    pub(super) allowed: u64,
}

/// All routes of a server, found from either end. An answer counts only from the worker that the
/// route names, a cancel only from its caller.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By the id that we gave the call on its way to the worker.
    routes: HashMap<u64, Route>,
    /// By the caller's id; a cast has several.
    callers: HashMap<(PeerKey, u64), Vec<u64>>,
    last_id: u64,
}

impl Routes {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether the caller uses this id already.
    pub(super) fn is_taken(&self, caller: PeerKey, caller_id: u64) -> bool {
        self.callers.contains_key(&(caller, caller_id))
    }

    pub(super) fn insert(&mut self, id: u64, route: Route) {
        if !route.oneway {
            self.callers.entry((route.caller, route.caller_id)).or_default().push(id);
        }
        self.routes.insert(id, route);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Route> {
        self.routes.get_mut(&id)
    }

    /// The route that `worker` may answer under this id.
    pub(super) fn of_worker(&self, worker: PeerKey, id: u64) -> Option<&Route> {
        self.routes.get(&id).filter(|route| route.worker == worker && !route.oneway)
    }

    pub(super) fn of_worker_mut(&mut self, worker: PeerKey, id: u64) -> Option<&mut Route> {
        self.routes.get_mut(&id).filter(|route| route.worker == worker && !route.oneway)
    }

    /// The routes that the caller knows under this id.
    pub(super) fn of_caller(&self, caller: PeerKey, caller_id: u64) -> Vec<u64> {
        self.callers.get(&(caller, caller_id)).cloned().unwrap_or_default()
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Route> {
        let route = self.routes.remove(&id)?;
        if route.oneway {
            return Some(route);
        }
        if let Entry::Occupied(mut legs) = self.callers.entry((route.caller, route.caller_id)) {
            legs.get_mut().retain(|leg| *leg != id);
            if legs.get().is_empty() {
                legs.remove();
            }
        }
        Some(route)
    }

    /// Everything that has this peer at either end.
    pub(super) fn touching(&self, peer: PeerKey) -> Vec<u64> {
        let touches = |route: &Route| route.caller == peer || route.worker == peer;
        let mut ids: Vec<u64> =
            self.routes.iter().filter(|(_, route)| touches(route)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }
}
