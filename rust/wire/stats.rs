use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::WireError;

/// One function: its name, calls that ended, those of them that failed, calls under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionStats(pub String, pub u64, pub u64, pub u64);

/// What a server counts of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberStats {
    /// Its name.
    pub name: String,
    /// Calls that it was sent and that are not ended.
    pub calls_in_flight: u64,
    /// Calls that wait at the server until it has room for them.
    pub queued: u64,
    /// Bytes sent to it, on its connection.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// What it was called for, by function.
    pub functions: Vec<FunctionStats>,
}

/// What a node shows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Milliseconds since a server was started.
    pub uptime: u64,
    /// Connections that are up.
    pub connections: u64,
    /// Members that this node knows of: a server's, or none.
    pub members: u64,
    /// Calls that this node made, or forwards, and that are not ended.
    pub calls_in_flight: u64,
    /// Calls that run here.
    pub running: u64,
    /// Calls that wait here: for a thread, for credit, for a connection.
    pub queued: u64,
    /// Streams that came for this node and are not ended.
    pub streams: u64,
    /// Large messages under way, in or out.
    pub transfers: u64,
    /// Bytes on connections that are up.
    pub bytes_sent: u64,
    /// Bytes on connections that are up.
    pub bytes_received: u64,
    /// Bytes that wait to be written.
    pub bytes_queued: u64,
    /// Calls that this node made, ran or forwarded, and that have ended.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Calls that ended here, by function.
    pub functions: Vec<FunctionStats>,
    /// A server's members, in order of arrival.
    pub by_member: Vec<MemberStats>,
}

impl Stats {
    /// As the body of an answer: a MessagePack map.
    pub fn encode(&self) -> Bytes {
        // Writing a map of plain values into memory cannot fail.
        Bytes::from(rmp_serde::to_vec_named(self).unwrap_or_default())
    }

    /// Reads the body of an answer.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        super::greeting::read("stats", body)
    }
}
