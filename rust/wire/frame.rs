use bytes::Bytes;

use super::{Fields, Format, MAX_ID, WireError};

/// Length of the fixed part of every frame, in bytes.
pub const HEADER_LEN: usize = 16;
/// Set in a kind that a receiver may skip when it does not know it.
const MAY_IGNORE: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Client to server, first: who I am and what I offer.
    Hello = 0x01,
    /// Server to client: prove that you know the token. Reserved; see `docs/protocol.md`.
    Challenge = 0x02,
    /// Client to server: the proof. Reserved; see `docs/protocol.md`.
    Proof = 0x03,
    /// Server to client: you are in.
    Welcome = 0x04,
    /// Either side, last: why I close. The body is a failure.
    Goodbye = 0x05,
    /// Either side, while otherwise silent: I am alive.
    Ping = 0x06,
    /// The receiver's permission to send more.
    Credit = 0x07,
    /// Client to server: the functions that I offer from now on. Answered.
    Announce = 0x08,
    /// Client to server: send me no more calls, I am about to go. Answered.
    Leaving = 0x09,
    /// Run a function.
    Call = 0x10,
    /// Its result.
    Answer = 0x11,
    /// Its failure.
    Failure = 0x12,
    /// The caller no longer wants it.
    Cancel = 0x13,
    /// Server to caller: to whom a cast went.
    Targets = 0x14,
    /// Open a stream of items to one worker.
    Open = 0x20,
    /// One item of a stream.
    Item = 0x21,
    /// No more items.
    End = 0x22,
    /// A piece of a large message.
    Piece = 0x30,
    /// A large message that will not be finished.
    Abort = 0x31,
    /// A question to the server. Answered.
    Ask = 0x40,
    /// Tell me who comes and goes.
    Watch = 0x41,
    /// Somebody came or went.
    Presence = 0x42,
}

impl Kind {
    fn known(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Hello,
            0x02 => Self::Challenge,
            0x03 => Self::Proof,
            0x04 => Self::Welcome,
            0x05 => Self::Goodbye,
            0x06 => Self::Ping,
            0x07 => Self::Credit,
            0x08 => Self::Announce,
            0x09 => Self::Leaving,
            0x10 => Self::Call,
            0x11 => Self::Answer,
            0x12 => Self::Failure,
            0x13 => Self::Cancel,
            0x14 => Self::Targets,
            0x20 => Self::Open,
            0x21 => Self::Item,
            0x22 => Self::End,
            0x30 => Self::Piece,
            0x31 => Self::Abort,
            0x40 => Self::Ask,
            0x41 => Self::Watch,
            0x42 => Self::Presence,
            _ => return None,
        })
    }
}

/// Four bits that say more about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// Nothing set.
    pub const NONE: Self = Self(0);
    /// `Call`, `Open`: nobody waits for the outcome, or for acknowledgements.
    pub const ONEWAY: Self = Self(1);
    /// `Call`: to all who offer the function, or to all who are named.
    pub const CAST: Self = Self(2);
    /// `Answer`, `Failure`: one of several, from the member in the field `Worker`.
    pub const PART: Self = Self(4);
    /// `Opaque` payloads: the bytes are text.
    pub const TEXT: Self = Self(8);

    /// These and those.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What it is; `None` for a kind that we do not know and may skip.
    pub kind: Option<Kind>,
    /// How the body is written, where the body is a payload.
    pub format: Format,
    /// More about it.
    pub flags: Flags,
    /// Which call, stream, transfer or question it is about.
    pub id: u64,
    /// Length of the header fields in bytes.
    pub fields_len: usize,
    /// Length of the body in bytes.
    pub body_len: usize,
}

impl Head {
    /// Reads the 16 bytes of a head. `limit` bounds fields and body together.
    pub fn decode(bytes: &[u8; HEADER_LEN], limit: usize) -> Result<Self, WireError> {
        let [l0, l1, l2, l3, kind, bits, f0, f1, id @ ..] = *bytes;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > limit {
            return Err(WireError::TooLong(len, limit));
        }
        let fields_len = usize::from(u16::from_le_bytes([f0, f1]));
        let Some(body_len) = len.checked_sub(fields_len) else {
            return Err(WireError::Malformed("its header fields are longer than itself"));
        };
        let id = u64::from_le_bytes(id);
        if id >= MAX_ID {
            return Err(WireError::Malformed("its id is too large"));
        }
        let known = Kind::known(kind);
        if known.is_none() && kind & MAY_IGNORE == 0 {
            return Err(WireError::UnknownKind(kind));
        }
        Ok(Self {
            kind: known,
            format: Format::try_from(bits >> 4)?,
            flags: Flags(bits & 0x0f),
            id,
            fields_len,
            body_len,
        })
    }
}

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// How the body is written, where the body is a payload.
    pub format: Format,
    /// More about it.
    pub flags: Flags,
    /// Which call, stream, transfer or question it is about; below 2^53.
    pub id: u64,
    /// Header fields.
    pub fields: Fields,
    /// The body, or its first piece.
    pub body: Bytes,
}

impl Frame {
    /// A frame with no fields, no body and no flags.
    pub fn new(kind: Kind, id: u64) -> Self {
        Self {
            kind,
            format: Format::Nothing,
            flags: Flags::NONE,
            id,
            fields: Fields::default(),
            body: Bytes::new(),
        }
    }

    /// The same with this body.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with these fields.
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// How many bytes it takes on the wire.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.fields.as_bytes().len() + self.body.len()
    }

    /// Appends everything but the body.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        self.encode_head_for(self.body.len(), out);
    }

    /// The same for a body of `body_len` bytes that the caller writes by itself.
    pub fn encode_head_for(&self, body_len: usize, out: &mut Vec<u8>) {
        let fields = self.fields.as_bytes();
        let len = (fields.len() + body_len) as u32;
        let mut head = [0; HEADER_LEN];
        let (front, id) = head.split_at_mut(8);
        let [l0, l1, l2, l3] = len.to_le_bytes();
        let [f0, f1] = (fields.len() as u16).to_le_bytes();
        let bits = (self.format as u8) << 4 | self.flags.0;
        front.copy_from_slice(&[l0, l1, l2, l3, self.kind as u8, bits, f0, f1]);
        id.copy_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(fields);
    }

    /// The whole frame in bytes of its own.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_head(&mut out);
        out.extend_from_slice(&self.body);
        out
    }
}
