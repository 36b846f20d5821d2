//! JSON: UTF-8 text, non-ASCII left as it is, nothing but `str` as a key.

use pyo3::prelude::*;
use serde::Serialize;

use super::decode::Decoding;
use super::encode::Encoding;
use super::fault::{Reason, Trail};
use super::{Dialect, FormatError};

/// Writes an object as compact JSON.
///
/// NaN, the infinities, `bytes` and keys that are not `str` are errors, besides what the room
/// refuses.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> Result<Vec<u8>, FormatError> {
    let encoding = Encoding::new(Dialect::Json);
    let mut out = Vec::with_capacity(512);
    match encoding.root(value).serialize(&mut serde_json::Serializer::new(&mut out)) {
        Ok(()) => Ok(out),
        Err(error) => Err(encoding.trail.end(|| Reason::Malformed(error.to_string()))),
    }
}

/// Reads one JSON value and nothing after it but white space.
pub(crate) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Result<Bound<'py, PyAny>, FormatError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let reason = Reason::Malformed(format!("the JSON text is not UTF-8: {error}"));
            return Err(Trail::default().end(|| reason));
        }
    };
    let decoding = Decoding::new(py, Dialect::Json, bytes);
    let mut from = serde_json::Deserializer::from_str(text);
    // The room's own limit counts instead.
    from.disable_recursion_limit();
    let value = match decoding.root(&mut from) {
        Ok(value) => value,
        Err(error) => return Err(decoding.end(|| reason(&error))),
    };
    if from.end().is_err() {
        return Err(decoding.end(|| Reason::Trailing));
    }
    if decoding.wide.get()
        && let Some(offset) = wide_integer(bytes)
    {
        return Err(decoding.end(|| Reason::WideNumber(offset)));
    }
    Ok(value)
}

fn reason(error: &serde_json::Error) -> Reason {
    // Its words for the first half of a surrogate pair that is not followed by the other.
    let unclear = "unexpected end of hex escape";
    Reason::Malformed(error.to_string().replace(unclear, "lone surrogate in hex escape"))
}

/// Where valid JSON has an integer beyond 64 bits; serde_json reads such a one as a float.
fn wide_integer(text: &[u8]) -> Option<usize> {
    let (mut at, mut quoted) = (0, false);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'-' | b'0'..=b'9' if !quoted => {
                let rest = text.get(at..).unwrap_or_default();
                let ends =
                    |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let len = rest.iter().position(ends).unwrap_or(rest.len());
                let number =
                    std::str::from_utf8(rest.get(..len).unwrap_or_default()).unwrap_or_default();
                let whole = !number.contains(['.', 'e', 'E']);
                if whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(at);
                }
                at += len;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}
