use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::WireError;

/// The longest message or traceback that a failure carries, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// The longest pickled exception that a failure carries, in bytes: with everything else it fits
/// into one frame.
const MAX_PICKLE: usize = 512 * 1024;
const _: () =
    assert!(MAX_PICKLE + 3 * MAX_TEXT + u16::MAX as usize + 16 * 1024 <= super::MAX_FRAME);

/// Why a call has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The function raised.
    Raised,
    /// The connection to who should run it, or ran it, is gone.
    Disconnected,
    /// Another node took the name.
    Evicted,
    /// Nobody there to run it.
    Unreachable,
    /// Its time was over before it ran.
    Timeout,
    /// No room for it.
    Overloaded,
    /// Larger than somebody accepts.
    TooLarge,
    /// The format may not be used between these peers.
    SerdeNotAllowed,
    /// A payload that cannot be read or written.
    Serialization,
    /// The caller gave it up.
    Cancelled,
    /// The node that should run it is about to go.
    Stopping,
    /// The peer broke the protocol, or speaks another version.
    Protocol,
    /// The peer did not prove who it is.
    Authentication,
    /// It was dropped without an answer.
    #[serde(other)]
    Lost,
}

/// Whether the function ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ran {
    /// It never ran: safe to try again.
    No,
    /// It ran.
    Yes,
    /// Nobody can know.
    #[serde(other)]
    Maybe,
}

/// A failure, in the one form that it has whatever the call's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub kind: FailureKind,
    /// Whether the function ran.
    pub ran: Ran,
    /// For people.
    pub message: String,
    /// Name of the exception's type.
    #[serde(default, rename = "type")]
    pub type_name: String,
    /// The remote traceback.
    #[serde(default)]
    pub traceback: String,
    /// The exception's arguments as a MessagePack array, where they are plain values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<ByteBuf>,
    /// Who ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The exception itself; read only where pickle is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickle: Option<ByteBuf>,
}

impl Failure {
    /// A failure that no exception stands behind.
    pub fn new(kind: FailureKind, ran: Ran, message: impl Into<String>) -> Self {
        Self {
            kind,
            ran,
            message: message.into(),
            type_name: String::new(),
            traceback: String::new(),
            args: None,
            worker: None,
            pickle: None,
        }
    }

    /// The same, with who ran it.
    pub fn by(mut self, worker: &str) -> Self {
        self.worker = Some(worker.to_owned());
        self
    }

    /// As the body of a frame: a MessagePack map, cut so that it fits into one.
    pub fn encode(&self) -> Bytes {
        let mut cut = self.clone();
        shorten(&mut cut.message);
        shorten(&mut cut.traceback);
        for (blob, most) in [(&mut cut.args, MAX_TEXT), (&mut cut.pickle, MAX_PICKLE)] {
            if blob.as_ref().is_some_and(|bytes| bytes.len() > most) {
                *blob = None;
            }
        }
        // Writing a map of strings into memory cannot fail.
        Bytes::from(rmp_serde::to_vec_named(&cut).unwrap_or_default())
    }

    /// The body of a frame once more, without the pickle that may be in it.
    pub fn without_pickle(body: &[u8]) -> Bytes {
        let failure = Self::decode(body)
            .unwrap_or_else(|_| Self::new(FailureKind::Lost, Ran::Maybe, "an unreadable failure"));
        Self { pickle: None, ..failure }.encode()
    }

    /// Reads the body of a frame.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        super::greeting::read("failure", body)
    }
}

/// Cuts a text in its middle, at a character.
fn shorten(text: &mut String) {
    if text.len() <= MAX_TEXT {
        return;
    }
    let half = MAX_TEXT / 2 - 16;
    let (mut head, mut tail) = (half, text.len() - half);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    text.replace_range(head..tail, "\n[... cut ...]\n");
}
