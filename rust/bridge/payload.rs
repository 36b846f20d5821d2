//! What travels, between Python's objects and messages.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyString};

use super::loan::{self, Loan, Pickled};
use super::memory::{Landed, Memory};
use super::{errors, formats};
use crate::node::{Large, Message, Source};
use crate::wire::{FieldsBuilder, Flags, Format, Frame, Kind, Segment, WHOLE};

/// A payload, ready to travel.
pub(super) struct Packed {
    pub(super) format: Format,
    pub(super) flags: Flags,
    pub(super) fields: FieldsBuilder,
    pub(super) body: Bytes,
    pub(super) rest: Option<Source>,
    /// Buffers that are lent.
    pub(super) loans: Vec<Arc<Loan>>,
}

/// Which buffers may be lent rather than copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lending {
    /// All: their owner waits until they have been sent.
    All,
    /// Those that nobody can write to: their owner goes on at once.
    Unwritable,
}

impl Lending {
    fn allows(self, object: &Bound<'_, PyAny>) -> bool {
        self == Self::All || loan::is_unwritable(object)
    }
}

/// Bodies up to this size are copied: cheaper than lending them.
const COPY: usize = 8 * 1024;
/// Pickles from this size on are read where they arrived.
const VIEW: usize = 1024;

impl Packed {
    /// As the payload of an answer or an item.
    pub(super) fn into_message(self, kind: Kind) -> Message {
        let Self { format, flags, fields, body, rest, loans: _ } = self;
        let frame = Frame { format, flags, fields: fields.build(), ..Frame::new(kind, 0) };
        Message { frame: frame.with_body(body), rest: rest.map(Large::Source) }
    }

    /// Its length in bytes.
    pub(super) fn total(&self) -> u64 {
        self.rest.as_ref().map_or(self.body.len() as u64, Source::total)
    }
}

/// Packs a payload. What is small is copied, anything else is lent.
pub(super) fn pack(
    memory: &Arc<Memory>,
    format: u8,
    payload: &Bound<'_, PyAny>,
    lending: Lending,
) -> PyResult<Packed> {
    let py = payload.py();
    let format = Format::try_from(format)
        .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
    let mut packed = Packed {
        format,
        flags: Flags::NONE,
        fields: FieldsBuilder::new(),
        body: Bytes::new(),
        rest: None,
        loans: Vec::new(),
    };
    match format {
        Format::Json | Format::MsgPack => {
            let encoded = match format {
                Format::Json => formats::json::encode(payload),
                _ => formats::msgpack::encode(payload),
            };
            packed.hold(Bytes::from(encoded.map_err(|error| formats::raised(py, &error))?));
        }
        Format::Opaque if payload.is_none() => packed.format = Format::Nothing,
        Format::Opaque if payload.is_instance_of::<PyString>() => {
            packed.flags = Flags::TEXT;
            let text = payload.cast::<PyString>()?;
            let text =
                text.to_str().map_err(|error| errors::serialization(py, &error.to_string()))?;
            packed.hold(Bytes::copy_from_slice(text.as_bytes()));
        }
        Format::Pickle if payload.is_exact_instance_of::<PyList>() => {
            packed.hold_segments(memory, payload.cast::<PyList>()?, lending)?;
        }
        Format::Nothing => {}
        Format::Opaque | Format::Pickle => {
            if loan::length(payload)? <= COPY || !lending.allows(payload) {
                packed.hold(loan::copy(payload)?);
            } else {
                let lent = loan::lend(memory, payload, &mut packed.loans)?;
                packed.hold(lent);
            }
        }
    }
    Ok(packed)
}

impl Packed {
    fn hold(&mut self, bytes: Bytes) {
        if bytes.len() <= WHOLE {
            self.body = bytes;
        } else {
            self.rest = Some(Source::new([bytes]));
        }
    }

    fn hold_segments(
        &mut self,
        memory: &Arc<Memory>,
        parts: &Bound<'_, PyList>,
        lending: Lending,
    ) -> PyResult<()> {
        let mut segments = Vec::with_capacity(parts.len());
        let mut bytes = Vec::with_capacity(parts.len());
        for part in parts.iter() {
            let read_only = loan::is_read_only(&part)?;
            let lent = match lending.allows(&part) {
                true => loan::lend(memory, &part, &mut self.loans)?,
                false => loan::copy(&part)?,
            };
            segments.push(Segment { len: lent.len() as u64, read_only });
            bytes.push(lent);
        }
        self.fields = std::mem::take(&mut self.fields).layout(&segments);
        let total: u64 = segments.iter().map(|segment| segment.len).sum();
        if total <= WHOLE as u64 {
            self.body = Bytes::from(bytes.concat());
        } else {
            self.rest = Some(Source::new(bytes));
        }
        Ok(())
    }
}

/// Unpacks a payload: a buffer or a list of buffers for PICKLE, the object itself for JSON and
/// MSGPACK, `bytes`, `str` or `None` for OPAQUE.
pub(super) fn unpack(py: Python<'_>, message: Message) -> PyResult<Py<PyAny>> {
    let Message { frame, rest } = message;
    if frame.format == Format::Pickle && rest.is_none() && frame.fields.layout().is_none() {
        return match frame.body.len() {
            ..VIEW => Ok(PyBytes::new(py, &frame.body).into_any().unbind()),
            _ => Ok(Py::new(py, Pickled(frame.body))?.into_any()),
        };
    }
    let landed = rest.and_then(|rest| match rest {
        Large::Landed(landing) => landing.into_any().downcast::<Landed>().ok(),
        Large::Source(_) => None,
    });
    let mut objects = match landed {
        Some(landed) => landed.into_objects(),
        None => whole(py, &frame)?,
    };
    let first = || objects.first().map(|object| object.bind(py).clone());
    let bytes = first().and_then(|object| object.cast_into::<PyBytes>().ok());
    let bytes = bytes.as_ref().map_or(&frame.body[..], |bytes| bytes.as_bytes());
    match frame.format {
        Format::Nothing => Ok(py.None()),
        Format::Json => {
            let value = formats::json::decode(py, bytes);
            Ok(value.map_err(|error| formats::raised(py, &error))?.unbind())
        }
        Format::MsgPack => {
            let value = formats::msgpack::decode(py, bytes);
            Ok(value.map_err(|error| formats::raised(py, &error))?.unbind())
        }
        Format::Opaque if frame.flags.has(Flags::TEXT) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::new(py, text).into_any().unbind()),
            Err(error) => {
                Err(errors::serialization(py, &format!("text that is not UTF-8: {error}")))
            }
        },
        Format::Opaque | Format::Pickle => match (objects.len(), objects.pop()) {
            (1, Some(only)) => Ok(only),
            (_, Some(last)) => {
                objects.push(last);
                Ok(PyList::new(py, objects)?.into_any().unbind())
            }
            (_, None) => Ok(PyBytes::new(py, &frame.body).into_any().unbind()),
        },
    }
}

/// The segments of a body that came in one frame, where Python needs objects.
fn whole(py: Python<'_>, frame: &Frame) -> PyResult<Vec<Py<PyAny>>> {
    let layout = frame.fields.layout().filter(|_| frame.format == Format::Pickle);
    let Some(layout) = layout else { return Ok(Vec::new()) };
    let mut rest = frame.body.clone();
    let mut objects = Vec::with_capacity(layout.len());
    for segment in layout {
        let len = usize::try_from(segment.len).unwrap_or(usize::MAX);
        if len > rest.len() {
            return Err(errors::serialization(py, "buffers longer than their message"));
        }
        let part = rest.split_to(len);
        objects.push(match segment.read_only {
            true => PyBytes::new(py, &part).into_any().unbind(),
            false => PyByteArray::new(py, &part).into_any().unbind(),
        });
    }
    Ok(objects)
}
