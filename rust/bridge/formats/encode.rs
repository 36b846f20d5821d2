//! Python objects as what serde writes, for either dialect.
//!
//! The exact plain types are tried first and touched by nothing but type checks; subclasses come
//! after them. The only user code that can run here is the `items()` of a dict subclass, so
//! lists and dicts are walked in a way that survives their changing.

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyMemoryView,
    PyString, PyTuple,
};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::fault::{Reason, Step, Trail, shown, type_name};
use super::{Dialect, MAX_DEPTH};

/// What one encoding shares.
pub(super) struct Encoding {
    pub(super) dialect: Dialect,
    pub(super) trail: Trail,
}

impl Encoding {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, trail: Trail::default() }
    }

    /// The object at the root.
    pub(super) fn root<'a, 'py>(&'a self, value: &'a Bound<'py, PyAny>) -> Item<'a, 'py> {
        Item { value, depth: 0, in_key: false, with: self }
    }

    /// Gives up: the reason stays here, serde gets an error without words.
    #[cold]
    fn fail<E: Error>(&self, reason: Reason) -> E {
        self.trail.note(reason);
        E::custom("")
    }

    /// The text of a `str`, borrowed from it.
    fn text<'a, E: Error>(&self, text: &'a Bound<'_, PyString>) -> Result<&'a str, E> {
        text.to_str().map_err(|error| {
            self.fail(if error.is_instance_of::<PyUnicodeEncodeError>(text.py()) {
                Reason::Surrogate
            } else {
                Reason::Python(error)
            })
        })
    }

    /// Refuses a length that MSGPACK would cut.
    fn fits<E: Error>(&self, len: usize) -> Result<(), E> {
        if self.dialect == Dialect::Msgpack && u32::try_from(len).is_err() {
            return Err(self.fail(Reason::TooLong));
        }
        Ok(())
    }
}

/// An object at a place.
pub(super) struct Item<'a, 'py> {
    value: &'a Bound<'py, PyAny>,
    /// How many lists and dicts are around it.
    depth: usize,
    /// It is a key, or a part of one.
    in_key: bool,
    with: &'a Encoding,
}

impl Serialize for Item<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let value = self.value;
        if let Some(text) = exactly::<PyString>(value) {
            self.text(text, out)
        } else if value.is_exact_instance_of::<PyInt>() {
            self.integer(out)
        } else if let Some(dict) = exactly::<PyDict>(value) {
            self.dict(dict, out)
        } else if let Some(list) = exactly::<PyList>(value) {
            self.list(list, out)
        } else if let Some(float) = exactly::<PyFloat>(value) {
            self.float(float, out)
        } else if let Some(truth) = exactly::<PyBool>(value) {
            out.serialize_bool(truth.is_true())
        } else if value.is_none() {
            out.serialize_unit()
        } else if let Some(tuple) = exactly::<PyTuple>(value) {
            self.tuple(tuple, out)
        } else if let Some(bytes) = exactly::<PyBytes>(value) {
            self.bytes(bytes.as_bytes(), out)
        } else {
            self.other(out)
        }
    }
}

impl Item<'_, '_> {
    /// Subclasses, the rarer buffers, and what cannot be written.
    #[inline(never)]
    fn other<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let value = self.value;
        if let Ok(text) = value.cast::<PyString>() {
            self.text(text, out)
        } else if value.is_instance_of::<PyInt>() {
            self.integer(out)
        } else if let Ok(float) = value.cast::<PyFloat>() {
            self.float(float, out)
        } else if value.is_instance_of::<PyDict>() {
            self.mapping(out)
        } else if let Ok(list) = value.cast::<PyList>() {
            self.list(list, out)
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.tuple(tuple, out)
        } else if let Ok(bytes) = value.cast::<PyBytes>() {
            self.bytes(bytes.as_bytes(), out)
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            self.bytes(&bytes.to_vec(), out)
        } else if value.is_instance_of::<PyMemoryView>() {
            self.view(out)
        } else {
            let name = type_name(value);
            Err(self.with.fail(Reason::NotPlain(name, self.with.dialect.name())))
        }
    }

    fn text<S: Serializer>(&self, text: &Bound<'_, PyString>, out: S) -> Result<S::Ok, S::Error> {
        let text = self.with.text(text)?;
        self.with.fits(text.len())?;
        out.serialize_str(text)
    }

    fn integer<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if let Ok(value) = self.value.extract::<i64>() {
            out.serialize_i64(value)
        } else if let Ok(value) = self.value.extract::<u64>() {
            out.serialize_u64(value)
        } else {
            Err(self.with.fail(Reason::WideInteger))
        }
    }

    fn float<S: Serializer>(&self, float: &Bound<'_, PyFloat>, out: S) -> Result<S::Ok, S::Error> {
        let value = float.value();
        if self.with.dialect == Dialect::Json && !value.is_finite() {
            return Err(self.with.fail(Reason::NotFinite(value)));
        }
        out.serialize_f64(value)
    }

    fn bytes<S: Serializer>(&self, bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        if self.with.dialect == Dialect::Json {
            return Err(self.with.fail(Reason::BytesInJson));
        }
        self.with.fits(bytes.len())?;
        out.serialize_bytes(bytes)
    }

    /// A `memoryview`, which need not be contiguous, by way of a copy.
    fn view<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.with.dialect == Dialect::Json {
            return Err(self.with.fail(Reason::BytesInJson));
        }
        let copy =
            self.value.call_method0("tobytes").and_then(|copy| Ok(copy.cast_into::<PyBytes>()?));
        match copy {
            Ok(copy) => self.bytes(copy.as_bytes(), out),
            Err(error) => Err(self.with.fail(Reason::Python(error))),
        }
    }

    fn list<S: Serializer>(&self, list: &Bound<'_, PyList>, out: S) -> Result<S::Ok, S::Error> {
        let len = list.len();
        self.enter(len)?;
        let mut seq = out.serialize_seq(Some(len))?;
        for index in 0..len {
            let value = list.get_item(index).map_err(|_| self.with.fail(Reason::Changed))?;
            self.element(&mut seq, index, &value)?;
        }
        seq.end()
    }

    fn tuple<S: Serializer>(&self, tuple: &Bound<'_, PyTuple>, out: S) -> Result<S::Ok, S::Error> {
        let len = tuple.len();
        self.enter(len)?;
        let mut seq = out.serialize_seq(Some(len))?;
        for (index, value) in tuple.iter_borrowed().enumerate() {
            self.element(&mut seq, index, &value)?;
        }
        seq.end()
    }

    /// An exact dict. Asking for its length each time keeps the iterator from panicking.
    fn dict<S: Serializer>(&self, dict: &Bound<'_, PyDict>, out: S) -> Result<S::Ok, S::Error> {
        let len = dict.len();
        self.enter_map(len)?;
        let mut map = out.serialize_map(Some(len))?;
        let mut entries = dict.iter();
        for _ in 0..len {
            if dict.len() != len {
                return Err(self.with.fail(Reason::Changed));
            }
            let Some((key, value)) = entries.next() else {
                return Err(self.with.fail(Reason::Changed));
            };
            self.entry(&mut map, &key, &value)?;
        }
        map.end()
    }

    /// A subclass of dict: what its `items()` says, in that order.
    fn mapping<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let items =
            self.value.cast::<PyMapping>().map_err(PyErr::from).and_then(PyMappingMethods::items);
        let items = items.map_err(|error| self.with.fail(Reason::Python(error)))?;
        let len = items.len();
        self.enter_map(len)?;
        let mut map = out.serialize_map(Some(len))?;
        for index in 0..len {
            let pair = items.get_item(index).and_then(|pair| Ok(pair.cast_into::<PyTuple>()?));
            let Ok((key, value)) =
                pair.and_then(|pair| pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>())
            else {
                return Err(self.with.fail(Reason::NoPairs));
            };
            self.entry(&mut map, &key, &value)?;
        }
        map.end()
    }

    /// One list deeper.
    fn enter<E: Error>(&self, len: usize) -> Result<(), E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.with.fail(Reason::TooDeep));
        }
        self.with.fits(len)
    }

    /// One dict deeper.
    fn enter_map<E: Error>(&self, len: usize) -> Result<(), E> {
        if self.in_key {
            return Err(self.with.fail(Reason::DictAsKey));
        }
        self.enter(len)
    }

    fn inner<'b, 'py>(&'b self, value: &'b Bound<'py, PyAny>, in_key: bool) -> Item<'b, 'py> {
        Item { value, depth: self.depth + 1, in_key, with: self.with }
    }

    fn element<Q: SerializeSeq>(
        &self,
        seq: &mut Q,
        index: usize,
        value: &Bound<'_, PyAny>,
    ) -> Result<(), Q::Error> {
        seq.serialize_element(&self.inner(value, self.in_key)).inspect_err(|_| {
            self.with.trail.step(Step::Index(index));
        })
    }

    fn entry<M: SerializeMap>(
        &self,
        map: &mut M,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> Result<(), M::Error> {
        if self.with.dialect == Dialect::Json
            && !key.is_exact_instance_of::<PyString>()
            && !key.is_instance_of::<PyString>()
        {
            return Err(self.with.fail(Reason::KeyNotText(shown(key))));
        }
        let written = match map.serialize_key(&self.inner(key, true)) {
            Ok(()) => map.serialize_value(&self.inner(value, false)),
            Err(error) => Err(error),
        };
        written.inspect_err(|_| self.with.trail.step(Step::Key(shown(key))))
    }
}

/// The object as a `T`, unless it is a subclass of it or something else.
#[inline]
fn exactly<'a, 'py, T: pyo3::PyTypeInfo>(
    value: &'a Bound<'py, PyAny>,
) -> Option<&'a Bound<'py, T>> {
    if value.is_exact_instance_of::<T>() { value.cast_exact::<T>().ok() } else { None }
}
