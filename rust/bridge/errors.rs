//! Failures as Python's exceptions. The exceptions themselves are written in Python.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::formats;
use crate::node::NodeError;
use crate::wire::{Failure, FailureKind, Ran};

/// An exception of `daffi.exceptions`, made by its constructor.
pub(super) fn make(
    py: Python<'_>,
    class: &str,
    message: &str,
    facts: Option<&Bound<'_, PyDict>>,
) -> PyErr {
    let made = py
        .import("daffi.exceptions")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call((message,), facts));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// A payload that can't be read or written.
pub(super) fn serialization(py: Python<'_>, message: &str) -> PyErr {
    make(py, "SerializationError", message, None)
}

/// The same error, which says from now on whether the function ran.
pub(super) fn known(py: Python<'_>, error: PyErr, ran: bool) -> PyErr {
    if error.value(py).hasattr("ran").unwrap_or_default() {
        // Where it can't be said, it stays unknown.
        let _ = error.value(py).setattr("ran", ran);
    }
    error
}

/// The one function that turns a failure into an exception. A pickled exception that came from
/// somebody who is not trusted has been taken out of it already, where the failure came in.
pub(super) fn raise(py: Python<'_>, failure: &Failure, call: &str) -> PyErr {
    build(py, failure, call).map_or_else(|error| error, PyErr::from_value)
}

fn build<'py>(py: Python<'py>, failure: &Failure, call: &str) -> PyResult<Bound<'py, PyAny>> {
    let facts = PyDict::new(py);
    let kind = match failure.kind {
        FailureKind::Raised => "raised",
        FailureKind::Disconnected => "disconnected",
        FailureKind::Evicted => "evicted",
        FailureKind::Unreachable => "unreachable",
        FailureKind::Timeout => "timeout",
        FailureKind::Overloaded => "overloaded",
        FailureKind::TooLarge => "too_large",
        FailureKind::SerdeNotAllowed => "serde_not_allowed",
        FailureKind::Serialization => "serialization",
        FailureKind::Cancelled => "cancelled",
        FailureKind::Stopping => "stopping",
        FailureKind::Protocol | FailureKind::Authentication => "protocol",
        FailureKind::Lost => "lost",
    };
    let ran = match failure.ran {
        Ran::No => "no",
        Ran::Yes => "yes",
        Ran::Maybe => "maybe",
    };
    let arguments = failure.args.as_ref().and_then(|args| formats::msgpack::decode(py, args).ok());
    let arguments = arguments.and_then(|list| PyTuple::type_object(py).call1((list,)).ok());
    let pickled = failure.pickle.as_ref().map(|pickle| PyBytes::new(py, pickle));
    facts.set_item("kind", kind)?;
    facts.set_item("message", &failure.message)?;
    facts.set_item("type_name", &failure.type_name)?;
    facts.set_item("traceback", &failure.traceback)?;
    facts.set_item("arguments", arguments)?;
    facts.set_item("pickled", pickled)?;
    facts.set_item("worker", &failure.worker)?;
    facts.set_item("ran", ran)?;
    facts.set_item("call", call)?;
    py.import("daffi.exceptions")?.getattr("from_failure")?.call((), Some(&facts))
}

use pyo3::PyTypeInfo;

/// A node that does not start or connect.
pub(super) fn node(py: Python<'_>, error: &NodeError) -> PyErr {
    let class = match error {
        NodeError::Refused(failure) => match failure.kind {
            FailureKind::Protocol => "ProtocolError",
            FailureKind::Authentication => "AuthenticationError",
            _ => "InitializationError",
        },
        NodeError::Address { .. } | NodeError::Options(_) | NodeError::Slow { .. } => {
            "InitializationError"
        }
    };
    make(py, class, &error.to_string(), None)
}
