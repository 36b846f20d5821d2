use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Flags, Frame, Function, Kind, WireError};

/// Permission to send more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credit {
    /// So many calls, and bytes of calls, on top of what was allowed before.
    Calls {
        /// Calls.
        calls: u32,
        /// Bytes.
        bytes: u64,
    },
    /// A stream's items up to this one, counted from its beginning.
    Items {
        /// The stream.
        id: u64,
        /// How many.
        upto: u64,
    },
    /// A large message up to this offset.
    Offset {
        /// The transfer.
        id: u64,
        /// Bytes from its beginning; `u64::MAX` says that the rest is not wanted.
        upto: u64,
    },
}

impl Credit {
    /// The offset that says that the rest of a large message is not wanted.
    pub const UNWANTED: u64 = u64::MAX;

    /// As a frame.
    pub fn frame(self) -> Frame {
        let (flags, id, body) = match self {
            Self::Calls { calls, bytes } => {
                let body = [u64::from(calls).to_le_bytes(), bytes.to_le_bytes()].concat();
                (Flags::NONE, 0, body)
            }
            Self::Items { id, upto } => (Flags::ONEWAY, id, upto.to_le_bytes().to_vec()),
            Self::Offset { id, upto } => (Flags::CAST, id, upto.to_le_bytes().to_vec()),
        };
        Frame { flags, ..Frame::new(Kind::Credit, id).with_body(body) }
    }

    /// Reads a frame. The flags tell the three apart: none, 1 for items, 2 for an offset.
    pub fn read(frame: &Frame) -> Result<Self, WireError> {
        let bad = WireError::Malformed("a credit of the wrong length");
        let Some((first, rest)) = frame.body.split_first_chunk::<8>() else {
            return Err(bad);
        };
        let (first, id) = (u64::from_le_bytes(*first), frame.id);
        if frame.flags.has(Flags::ONEWAY) {
            return Ok(Self::Items { id, upto: first });
        }
        if frame.flags.has(Flags::CAST) {
            return Ok(Self::Offset { id, upto: first });
        }
        let bytes = rest.first_chunk::<8>().ok_or(bad)?;
        let calls = first.min(u64::from(u32::MAX)) as u32;
        Ok(Self::Calls { calls, bytes: u64::from_le_bytes(*bytes) })
    }
}

/// A member and what it offers, as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member(pub String, pub Vec<Function>);

impl Member {
    /// A list as the body of an answer.
    pub fn encode_list(members: &[Self]) -> Bytes {
        // Writing arrays of strings into memory cannot fail.
        Bytes::from(rmp_serde::to_vec(members).unwrap_or_default())
    }

    /// Reads the body of an answer.
    pub fn decode_list(body: &[u8]) -> Result<Vec<Self>, WireError> {
        super::greeting::read("list of members", body)
    }
}

/// Somebody came (`true`) or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence(pub bool, pub String);

impl Presence {
    /// As a frame.
    pub fn frame(&self) -> Frame {
        // Writing an array of plain values into memory cannot fail.
        Frame::new(Kind::Presence, 0).with_body(rmp_serde::to_vec(self).unwrap_or_default())
    }

    /// Reads the body of a frame.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        super::greeting::read("presence", body)
    }
}

/// Who got a cast, as the body of a frame: a MessagePack array of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets(pub Vec<String>);

impl Targets {
    /// As the frame that goes to the caller.
    pub fn frame(&self, id: u64) -> Frame {
        // Writing an array of strings into memory cannot fail.
        Frame::new(Kind::Targets, id).with_body(rmp_serde::to_vec(&self.0).unwrap_or_default())
    }

    /// Reads the body of a frame.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        super::greeting::read("list of targets", body).map(Self)
    }
}
