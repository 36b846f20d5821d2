use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::{Challenge, Proof, WireError};

/// What each side sends first: a byte that neither TLS nor HTTP begins with, the name, the
/// lowest and the highest version that it speaks, and two bytes in reserve.
pub const PREAMBLE: [u8; PREAMBLE_LEN] = [0xda, b'f', b'f', b'i', VERSION, VERSION, 0, 0];
/// Length of the preamble.
pub const PREAMBLE_LEN: usize = 8;
/// The version of the protocol that this code speaks.
pub const VERSION: u8 = 1;

/// A function that a member offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function(pub String, pub String, pub String);

impl Function {
    /// The name it is called by; its signature and the first line of its documentation follow.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// What a node accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest message, in bytes.
    pub max_message: u64,
    /// Calls that it may be sent before it gives credit.
    pub calls: u32,
    /// Bytes of calls that it may be sent before it gives credit.
    pub bytes: u64,
}

/// The client's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The member's name.
    pub name: String,
    /// Drawn at random at each start of a node.
    pub incarnation: ByteArray<16>,
    /// What it offers; more may follow as announcements.
    #[serde(default)]
    pub functions: Vec<Function>,
    /// Format tags that it can read.
    #[serde(default)]
    pub formats: Vec<u8>,
    /// Optional abilities, by name; none so far.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it accepts.
    pub limits: Limits,
    /// Whether it wants to hear who comes and goes.
    #[serde(default)]
    pub watch: bool,
}

/// The server's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The server's name.
    pub name: String,
    /// Drawn at random at each start of a node.
    pub incarnation: ByteArray<16>,
    /// Optional abilities, by name; none so far.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it accepts.
    pub limits: Limits,
    /// What shows that it knows the token, where it asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ByteArray<32>>,
    /// Why it reads no pickles of this client, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_pickle: Option<String>,
}

/// All the functions that a member offers from now on, or a part of that list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The functions.
    pub functions: Vec<Function>,
    /// Whether they come on top of those that were announced before.
    #[serde(default)]
    pub more: bool,
}

/// What a client may ask its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum Question {
    /// Who is here, and what do they offer?
    Members {
        /// How many of the list, in order of arrival, to leave out.
        #[serde(default, skip_serializing_if = "is_zero")]
        from: u64,
    },
    /// Answer once all of these are here.
    WaitMembers {
        /// Their names.
        names: Vec<String>,
    },
    /// Answer once somebody offers this.
    WaitFunction {
        /// Its name.
        name: String,
    },
    /// What do you count?
    Stats {
        /// How many members, in order of arrival, to leave out.
        #[serde(default, skip_serializing_if = "is_zero")]
        from: u64,
    },
}

/// What is looked at of a question that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What it asks for.
    pub ask: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Who greets: what is looked at before a client has proven anything. It takes no memory for the
/// rest of the greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeter {
    /// The member's name.
    pub name: String,
    /// Drawn at random at each start of a node.
    pub incarnation: ByteArray<16>,
}

macro_rules! body {
    ($($type:ty: $what:literal),*) => {$(
        impl $type {
            /// As the body of a frame: a MessagePack map.
            pub fn encode(&self) -> Bytes {
                // Writing a map of plain values into memory cannot fail.
                Bytes::from(rmp_serde::to_vec_named(self).unwrap_or_default())
            }

            /// Reads the body of a frame.
            pub fn decode(body: &[u8]) -> Result<Self, WireError> {
                read($what, body)
            }
        }
    )*};
}
body!(Hello: "hello", Greeter: "hello", Challenge: "challenge", Proof: "proof");
body!(Welcome: "welcome", Announcement: "announcement", Question: "question", Asked: "question");

/// How deep a body may nest; ours need three, the rest is for what later versions add.
const MAX_DEPTH: usize = 32;

pub(super) fn read<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, WireError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut deserializer).map_err(|error| WireError::Body(what, error.to_string()))
}

/// What a server that speaks TLS says to a client that began with these bytes, without TLS; `None`
/// for one of ours, which understands more than that.
pub fn plain_refusal_for(first: &[u8]) -> Option<&'static [u8]> {
    match first {
        [] | [0xda, ..] => None,
        [byte, ..] if byte.is_ascii_alphabetic() => Some(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n\
              Connection: close\r\n\r\n\
              This port speaks TLS. Use wss:// or https://.\r\n",
        ),
        _ => Some(b"This port speaks TLS.\r\n"),
    }
}

/// What a server says, in its own language, to a client that began with these bytes; `None` for
/// one of ours, or while there are too few bytes to tell.
pub fn refusal_for(first: &[u8]) -> Option<&'static [u8]> {
    match first {
        [] => None,
        // A fatal alert, handshake_failure.
        [0x16, ..] => Some(&[0x15, 3, 1, 0, 2, 2, 40]),
        bytes => {
            let magic = PREAMBLE.iter().take(4).zip(bytes).all(|(ours, theirs)| ours == theirs);
            (!magic).then_some(b"This port speaks daffi. Use daffi.Client to reach it.\r\n")
        }
    }
}
