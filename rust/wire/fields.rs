use std::cell::Cell;

use bytes::Bytes;

use super::WireError;

/// What a header field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Key {
    /// Name of the function. UTF-8.
    Function = 0x01,
    /// Name of a member that must run it; may stand several times. UTF-8.
    Receiver = 0x02,
    /// Microseconds that are left. Eight bytes, as all numbers.
    Deadline = 0x03,
    /// The chain that a call belongs to. Eight bytes.
    Chain = 0x04,
    /// Who made the call, set by the server that it enters by: one byte of trust, then a name.
    Origin = 0x05,
    /// Router boundaries crossed. Reserved.
    Hops = 0x06,
    /// Name of the member that answers. UTF-8.
    Worker = 0x07,
    /// The rest of this message comes as pieces under this id. Eight bytes.
    Transfer = 0x08,
    /// Length of the whole body where it comes in pieces. Eight bytes.
    Total = 0x09,
    /// Lengths of the segments of a body that has out-of-band buffers. Eight bytes each.
    Layout = 0x0a,
    /// Trace context. May be ignored. Reserved.
    Trace = 0x81,
    /// Priority. May be ignored. Reserved.
    Priority = 0x82,
}

const MAY_IGNORE: u8 = 0x80;
const LAST_KNOWN: u8 = Key::Layout as u8;
const READ_ONLY: u64 = 1 << 63;
/// Room for the fields of a usual call, in bytes, and how much of it a thread keeps.
const USUAL: usize = 96;
const MOST_KEPT: usize = 4096;

thread_local! {
    /// Where this thread put fields together the last time.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One segment of a body with out-of-band buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Bytes.
    pub len: u64,
    /// Whether the receiver should get memory that nobody can write to.
    pub read_only: bool,
}

/// The header fields of one frame: `key, length (two bytes), value`, one after another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    bytes: Bytes,
    /// Which keys there are: most questions are about one that is not.
    keys: Keys,
}

/// Some keys, a bit for each; those that may be ignored share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Keys(u16);

const _: () = assert!((LAST_KNOWN as u32) < u16::BITS);

impl Keys {
    fn of(key: u8) -> Self {
        Self(if key > LAST_KNOWN { 1 } else { 1 << key })
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, key: Key) -> bool {
        self.0 & Self::of(key as u8).0 != 0
    }
}

impl Fields {
    /// All fields but those.
    pub fn without(&self, keys: &[Key]) -> FieldsBuilder {
        let mut builder = FieldsBuilder::new();
        if !keys.iter().any(|key| self.keys.has(*key)) {
            builder.append(self.keys, &[&self.bytes]);
            return builder;
        }
        let kept = self.iter().filter(|(key, _)| !keys.iter().any(|k| *k as u8 == *key));
        kept.fold(builder, |builder, (key, value)| builder.raw(key, value))
    }

    /// Takes over bytes from a peer once they proved well-formed.
    pub fn parse(bytes: Bytes) -> Result<Self, WireError> {
        let (mut rest, mut keys): (&[u8], _) = (&bytes, Keys::default());
        while let Some((key, value, after)) = split(rest) {
            rest = after;
            if key & MAY_IGNORE == 0 && (key == 0 || key > LAST_KNOWN) {
                return Err(WireError::UnknownField(key));
            }
            check(key, value)?;
            keys = keys.with(Keys::of(key));
        }
        if !rest.is_empty() {
            return Err(WireError::Malformed("its header fields are cut off"));
        }
        Ok(Self { bytes, keys })
    }

    /// The same in memory of their own, so that they keep nothing else alive.
    pub fn to_owned_bytes(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), keys: self.keys }
    }

    /// As they are on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest: &[u8] = &self.bytes;
        std::iter::from_fn(move || {
            let (key, value, after) = split(rest)?;
            rest = after;
            Some((key, value))
        })
    }

    /// The first value of a key.
    pub fn get(&self, key: Key) -> Option<&[u8]> {
        let here = self.keys.has(key).then(|| self.iter());
        here?.find(|(k, _)| *k == key as u8).map(|(_, value)| value)
    }

    /// The first value of a key whose values are text.
    pub fn text(&self, key: Key) -> Option<&str> {
        std::str::from_utf8(self.get(key)?).ok()
    }

    /// The first value of a key whose values are numbers.
    pub fn number(&self, key: Key) -> Option<u64> {
        Some(u64::from_le_bytes(self.get(key)?.try_into().ok()?))
    }

    /// All members that must run it.
    pub fn receivers(&self) -> impl Iterator<Item = &str> {
        let here = self.keys.has(Key::Receiver).then(|| self.iter());
        here.into_iter()
            .flatten()
            .filter(|(key, _)| *key == Key::Receiver as u8)
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Who made the call, and whether the server that it entered by trusts them.
    pub fn origin(&self) -> Option<(&str, bool)> {
        let (trust, name) = self.get(Key::Origin)?.split_first()?;
        Some((std::str::from_utf8(name).ok()?, *trust == 1))
    }

    /// The segments of the body, where it has several.
    pub fn layout(&self) -> Option<Vec<Segment>> {
        let numbers = self.get(Key::Layout)?.chunks_exact(8);
        let segment = |chunk: &[u8]| {
            let number = u64::from_le_bytes(chunk.try_into().ok()?);
            Some(Segment { len: number & !READ_ONLY, read_only: number & READ_ONLY != 0 })
        };
        numbers.map(segment).collect()
    }
}

fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[key, l0, l1], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([l0, l1])))?;
    Some((key, value, rest))
}

fn check(key: u8, value: &[u8]) -> Result<(), WireError> {
    let name = |value: &[u8]| {
        let fits = value.len() <= super::MAX_NAME && std::str::from_utf8(value).is_ok();
        fits.then_some(()).ok_or(WireError::Malformed("a name in it is too long or not UTF-8"))
    };
    match key {
        0x01 | 0x02 | 0x07 => name(value),
        0x03 | 0x04 | 0x08 | 0x09 if value.len() != 8 => {
            Err(WireError::Malformed("a number in it does not have eight bytes"))
        }
        0x05 => name(value.get(1..).ok_or(WireError::Malformed("its origin is empty"))?),
        0x0a if !value.len().is_multiple_of(8) || value.is_empty() => {
            Err(WireError::Malformed("its layout is not a list of numbers"))
        }
        _ => Ok(()),
    }
}

/// Puts header fields together.
#[derive(Debug)]
pub struct FieldsBuilder {
    bytes: Vec<u8>,
    keys: Keys,
}

impl Default for FieldsBuilder {
    fn default() -> Self {
        // Threads that end have none any more.
        let bytes = SCRATCH.try_with(Cell::take).unwrap_or_default();
        Self { bytes, keys: Keys::default() }
    }
}

impl FieldsBuilder {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One pair as bytes. Values longer than 65,535 bytes do not exist; callers bound names.
    pub fn raw(self, key: u8, value: &[u8]) -> Self {
        self.joined(key, &[], value)
    }

    fn joined(mut self, key: u8, first: &[u8], rest: &[u8]) -> Self {
        let rest = rest.get(..usize::from(u16::MAX) - first.len()).unwrap_or(rest);
        let len = (first.len() + rest.len()) as u16;
        let [l0, l1] = len.to_le_bytes();
        self.append(Keys::of(key), &[&[key, l0, l1], first, rest]);
        self
    }

    fn append(&mut self, keys: Keys, parts: &[&[u8]]) {
        self.keys = self.keys.with(keys);
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(USUAL);
        }
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
    }

    /// A name.
    pub fn text(self, key: Key, value: &str) -> Self {
        self.raw(key as u8, value.as_bytes())
    }

    /// A number.
    pub fn number(self, key: Key, value: u64) -> Self {
        self.raw(key as u8, &value.to_le_bytes())
    }

    /// Who made the call.
    pub fn origin(self, name: &str, trusted: bool) -> Self {
        self.joined(Key::Origin as u8, &[u8::from(trusted)], name.as_bytes())
    }

    /// The segments of the body.
    pub fn layout(self, segments: &[Segment]) -> Self {
        let number = |s: &Segment| {
            if s.read_only { s.len | READ_ONLY } else { s.len }
        };
        let bytes: Vec<u8> = segments.iter().flat_map(|s| number(s).to_le_bytes()).collect();
        self.raw(Key::Layout as u8, &bytes)
    }

    /// The finished fields, in memory of just their length.
    pub fn build(self) -> Fields {
        let Self { mut bytes, keys } = self;
        let fields = Fields { bytes: Bytes::copy_from_slice(&bytes), keys };
        if bytes.capacity() <= MOST_KEPT {
            bytes.clear();
            let _ = SCRATCH.try_with(|scratch| scratch.set(bytes));
        }
        fields
    }
}
