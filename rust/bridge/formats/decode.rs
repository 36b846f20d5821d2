//! What serde reads, as Python objects, for either dialect.
//!
//! Memory grows with what has been read, never with what a header announces.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyList, PyString, PyTuple};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::fault::{Reason, Step, Trail, shown};
use super::keys::Keys;
use super::{Dialect, MAX_DEPTH};

/// JSON numbers from here on may be integers that serde_json had to make floats of.
const WIDE: f64 = 9_223_372_036_854_775_808.0;

/// What one decoding shares.
pub(super) struct Decoding<'a, 'py> {
    py: Python<'py>,
    dialect: Dialect,
    input: &'a [u8],
    pub(super) trail: Trail,
    /// A float came that may stand for an integer beyond 64 bits.
    pub(super) wide: Cell<bool>,
    /// The elements of all lists that are not complete yet.
    elements: RefCell<Vec<Bound<'py, PyAny>>>,
    keys: RefCell<Keys>,
}

impl<'a, 'py> Decoding<'a, 'py> {
    pub(super) fn new(py: Python<'py>, dialect: Dialect, input: &'a [u8]) -> Self {
        Self {
            py,
            dialect,
            input,
            trail: Trail::default(),
            wide: Cell::new(false),
            elements: RefCell::default(),
            keys: RefCell::new(Keys::borrow()),
        }
    }

    /// Reads the value at the root.
    pub(super) fn root<'de, D: Deserializer<'de>>(
        &self,
        from: D,
    ) -> Result<Bound<'py, PyAny>, D::Error> {
        Seed { depth: 0, in_key: false, with: self }.deserialize(from)
    }

    /// Gives up: the reason stays here, serde gets an error without words.
    #[cold]
    fn fail<E: Error>(&self, reason: Reason) -> E {
        self.trail.note(reason);
        E::custom("")
    }

    /// The failure of this decoding; `otherwise` is the reason when none was noted.
    #[cold]
    pub(super) fn end(self, otherwise: impl FnOnce() -> Reason) -> super::FormatError {
        self.trail.end(otherwise)
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Seed<'b, 'a, 'py> {
    /// How many lists and dicts are around it.
    depth: usize,
    /// It is a key, or a part of one.
    in_key: bool,
    with: &'b Decoding<'a, 'py>,
}

impl Seed<'_, '_, '_> {
    fn inner(self, in_key: bool) -> Self {
        Self { depth: self.depth + 1, in_key, with: self.with }
    }

    fn enter<E: Error>(self) -> Result<(), E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.with.fail(Reason::TooDeep));
        }
        Ok(())
    }
}

impl<'de, 'py> DeserializeSeed<'de> for Seed<'_, '_, 'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for Seed<'_, '_, 'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a plain value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.with.py.None().into_bound(self.with.py))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(PyBool::new(self.with.py, value).to_owned().into_any())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(object(self.with.py, value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(object(self.with.py, value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.abs() >= WIDE {
            self.with.wide.set(true);
        }
        Ok(PyFloat::new(self.with.py, value).into_any())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        let py = self.with.py;
        if self.in_key {
            return Ok(self.with.keys.borrow_mut().get(py, value).into_any());
        }
        Ok(PyString::new(py, value).into_any())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Self::Value, E> {
        if self.with.dialect == Dialect::Msgpack && !super::msgpack::is_bin(self.with.input, value)
        {
            return Err(self.with.fail(Reason::NotUtf8));
        }
        Ok(PyBytes::new(self.with.py, value).into_any())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Self::Value, D::Error> {
        Err(self.with.fail(Reason::Extension))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.enter()?;
        let elements = &self.with.elements;
        let start = elements.borrow().len();
        loop {
            match seq.next_element_seed(self.inner(self.in_key)) {
                Ok(Some(value)) => elements.borrow_mut().push(value),
                Ok(None) => break,
                Err(error) => {
                    self.with.trail.step(Step::Index(elements.borrow().len() - start));
                    return Err(error);
                }
            }
        }
        let mut elements = elements.borrow_mut();
        let complete = elements.drain(start..);
        if self.in_key {
            PyTuple::new(self.with.py, complete).map(Bound::into_any)
        } else {
            PyList::new(self.with.py, complete).map(Bound::into_any)
        }
        .map_err(|error| self.with.fail(Reason::Python(error)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        if self.in_key {
            return Err(self.with.fail(Reason::DictAsKey));
        }
        self.enter()?;
        let dict = PyDict::new(self.with.py);
        while let Some(key) = map.next_key_seed(self.inner(true))? {
            let value = map
                .next_value_seed(self.inner(false))
                .inspect_err(|_| self.with.trail.step(Step::Key(shown(&key))))?;
            dict.set_item(key, value).map_err(|error| self.with.fail(Reason::Python(error)))?;
        }
        Ok(dict.into_any())
    }
}

/// A number as a Python object, which cannot fail.
fn object<'py, T>(py: Python<'py>, value: T) -> Bound<'py, PyAny>
where
    T: IntoPyObject<'py, Output = Bound<'py, pyo3::types::PyInt>, Error = Infallible>,
{
    match value.into_pyobject(py) {
        Ok(value) => value.into_any(),
        Err(never) => match never {},
    }
}
