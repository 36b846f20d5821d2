//! MSGPACK: what JSON has, and `bytes`, NaN, the infinities, and any hashable key.

use pyo3::prelude::*;
use rmp_serde::decode::Error;
use serde::{Deserialize, Serialize};

use super::decode::Decoding;
use super::encode::Encoding;
use super::fault::Reason;
use super::{Dialect, FormatError};

/// Writes an object as MessagePack, every integer and length in its shortest form.
///
/// `bytes`, `bytearray` and `memoryview` become bin. A tuple may be a key, a dict may not.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> Result<Vec<u8>, FormatError> {
    let encoding = Encoding::new(Dialect::Msgpack);
    let mut out = Vec::with_capacity(512);
    match encoding.root(value).serialize(&mut rmp_serde::Serializer::new(&mut out)) {
        Ok(()) => Ok(out),
        Err(error) => Err(encoding.trail.end(|| Reason::Malformed(error.to_string()))),
    }
}

/// Reads one MessagePack value and nothing after it.
///
/// bin comes back as `bytes`, an array that is a key as a tuple. Extension types, text that is
/// not UTF-8 and maps as keys are errors.
pub(crate) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Result<Bound<'py, PyAny>, FormatError> {
    let decoding = Decoding::new(py, Dialect::Msgpack, bytes);
    let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = match decoding.root(&mut from) {
        Ok(value) => value,
        Err(error) => return Err(decoding.end(|| reason(&error))),
    };
    // The reader does not tell its position, but only at its end can it not read a marker.
    match bool::deserialize(&mut from) {
        Err(Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(decoding.end(|| Reason::Trailing)),
    }
}

fn reason(error: &Error) -> Reason {
    Reason::Malformed(match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => {
            "the MSGPACK bytes end too early".to_owned()
        }
        Error::TypeMismatch(_) => "the byte 0xc1, which MSGPACK never uses".to_owned(),
        other => other.to_string(),
    })
}

/// Whether `part`, a slice of `whole`, is the content of a bin rather than of a str.
///
/// rmp-serde offers a str that is not UTF-8 as bytes. The header before it tells them apart: a
/// header holds the length, so that no two kinds of header can be seen in the same bytes.
pub(super) fn is_bin(whole: &[u8], part: &[u8]) -> bool {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    let (Some(before), Ok(len)) = (whole.get(..start), u32::try_from(part.len())) else {
        return false;
    };
    let [a, b, c, d] = len.to_be_bytes();
    before.ends_with(&[0xc6, a, b, c, d])
        || (len <= 0xffff && before.ends_with(&[0xc5, c, d]))
        || (len <= 0xff && before.ends_with(&[0xc4, d]))
}
