//! JSON and MSGPACK, straight from and to Python objects: no tree of values in between.
//!
//! `encode` and `decode` walk Python objects for either format, `json` and `msgpack` are the two
//! faces that the rest of the bridge uses, `fault` says what went wrong and where, `keys`
//! remembers the keys of dicts. Nothing here knows of calls, nodes or sockets, or waits for
//! anything; it imports nothing else of ours.
//!
//! What both promise: at most [`MAX_DEPTH`] lists and dicts inside one another, integers within
//! i64 and u64, text that is valid Unicode, tuples become lists, and of two equal keys the last
//! wins. Subclasses of the plain types are written as what they derive from, as `json.dumps`
//! does, and come back as the plain type.

mod decode;
mod encode;
mod fault;
pub(crate) mod json;
mod keys;
pub(crate) mod msgpack;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub(crate) use fault::FormatError;

/// How many lists and dicts may sit inside one another.
const MAX_DEPTH: usize = 128;

/// Which of the two is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Json,
    Msgpack,
}

impl Dialect {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Msgpack => "MSGPACK",
        }
    }
}

/// Adds `encode_json`, `decode_json`, `encode_msgpack` and `decode_msgpack` to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(encode_json, module)?)?;
    module.add_function(wrap_pyfunction!(decode_json, module)?)?;
    module.add_function(wrap_pyfunction!(encode_msgpack, module)?)?;
    module.add_function(wrap_pyfunction!(decode_msgpack, module)?)
}

#[pyfunction]
#[pyo3(signature = (value, /))]
fn encode_json<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    match json::encode(value) {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes)),
        Err(error) => Err(raised(py, &error)),
    }
}

#[pyfunction]
#[pyo3(signature = (data, /))]
fn decode_json<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    json::decode(py, data).map_err(|error| raised(py, &error))
}

#[pyfunction]
#[pyo3(signature = (value, /))]
fn encode_msgpack<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    match msgpack::encode(value) {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes)),
        Err(error) => Err(raised(py, &error)),
    }
}

#[pyfunction]
#[pyo3(signature = (data, /))]
fn decode_msgpack<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    msgpack::decode(py, data).map_err(|error| raised(py, &error))
}

/// The Python exception for a failure.
///
/// What user code raised on the way (the `items()` of a dict subclass, say) is its cause; a
/// `KeyboardInterrupt` or `SystemExit` is passed on as it is.
pub(crate) fn raised(py: Python<'_>, error: &FormatError) -> PyErr {
    let cause = error.raised().map(|cause| cause.clone_ref(py));
    if let Some(cause) = &cause
        && !cause.is_instance_of::<PyException>(py)
    {
        return cause.clone_ref(py);
    }
    let exception = super::errors::serialization(py, &error.to_string());
    exception.set_cause(py, cause);
    exception
}
