use hashbrown::HashMap;
use parking_lot::Mutex;

/// What a node counts from its start.
#[derive(Debug, Default)]
pub struct Counts {
    functions: Mutex<HashMap<String, (u64, u64)>>,
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

    /// By function: calls, and how many of them failed.
    pub fn by_function(&self) -> Vec<(String, u64, u64)> {
        let functions = self.functions.lock();
        functions.iter().map(|(name, (calls, errors))| (name.clone(), *calls, *errors)).collect()
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
