//! What is said: frames, their header fields, the greeting, proofs, failures.
//!
//! Pure: bytes in, frames out, and back. No I/O, no clock, nothing of ours imported.
//! `docs/protocol.md` describes the same for people who write a client in another language;
//! `tests/vectors/` holds both to it.

mod decoder;
mod failure;
mod fields;
mod format;
mod frame;
mod greeting;
mod say;
mod stats;
#[cfg(test)]
mod tests;
mod token;

pub use decoder::Decoder;
pub use failure::{Failure, FailureKind, Ran};
pub use fields::{Fields, FieldsBuilder, Key, Segment};
pub use format::Format;
pub use frame::{Flags, Frame, HEADER_LEN, Head, Kind};
pub use greeting::{
    Announcement, Asked, Function, Greeter, Hello, Limits, PREAMBLE, PREAMBLE_LEN, Question,
    VERSION, Welcome, plain_refusal_for, refusal_for,
};
pub use say::{Credit, Member, Presence, Targets};
pub use stats::{FunctionStats, MemberStats, Stats};
pub use token::{Challenge, Meeting, Nonce, Party, Proof, Prover, Token};

/// The largest body that travels in one frame; anything larger goes in pieces.
pub const WHOLE: usize = 64 * 1024;
/// The largest piece of a large message that we send.
pub const PIECE: usize = 256 * 1024;
/// The largest frame that we accept after the greeting.
pub const MAX_FRAME: usize = 1024 * 1024 + 128 * 1024;
/// The largest frame that we accept before the greeting is done.
pub const MAX_GREETING: usize = 16 * 1024;
/// The longest header fields that a server takes from a client, in bytes. What is left to 65,535
/// is for the fields that a router adds.
pub const MAX_FIELDS: usize = 60 * 1024;
/// How far ahead of what has arrived a large message may be sent.
pub const TRANSFER_WINDOW: u64 = 4 * 1024 * 1024;
/// How many items an unacknowledged stream may be ahead of what its worker has run.
pub const STREAM_WINDOW: u64 = 256;
/// The same for one whose items are all small.
pub const SMALL_WINDOW: u64 = 2048;
/// A list of members whose body is shorter than this, in bytes, is the last of its pages.
pub const MEMBERS_PAGE: usize = 256 * 1024;
/// The longest name of a member or a function, in bytes.
pub const MAX_NAME: usize = 255;
/// Ids stay below this, so that JavaScript's numbers hold them.
pub const MAX_ID: u64 = 1 << 53;

/// What can be wrong with bytes that came from a peer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireError {
    /// A length beyond what may be sent now.
    #[error("a frame of {0} bytes, more than the {1} that are accepted here")]
    TooLong(usize, usize),
    /// A kind that must be understood, but is not.
    #[error("an unknown kind of frame, {0:#04x}")]
    UnknownKind(u8),
    /// A format tag out of range.
    #[error("an unknown format, {0}")]
    UnknownFormat(u8),
    /// A header field that must be understood, but is not.
    #[error("an unknown header field, {0:#04x}")]
    UnknownField(u8),
    /// Lengths that do not add up, text that is not UTF-8, an id out of range.
    #[error("a malformed frame: {0}")]
    Malformed(&'static str),
    /// A body that should have been a MessagePack map of a certain form.
    #[error("a malformed {0}: {1}")]
    Body(&'static str, String),
}
