//! What can be wrong with a value, and where in it.
//!
//! The place costs nothing while all goes well: it is put together on the way out, each list or
//! dict adding its own step to the [`Trail`].

use std::cell::RefCell;
use std::fmt;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyNone, PyString};

use super::MAX_DEPTH;

/// A place in an error names this many steps from its root, and one key this many characters.
const LONGEST: usize = 40;

/// A value that cannot be written or bytes that cannot be read.
///
/// As text: `at [0][2]['a']: NaN is not JSON`, with `at` and the place left out for the root.
#[derive(Debug)]
pub(crate) struct FormatError {
    place: Vec<Step>,
    reason: Reason,
}

impl FormatError {
    /// What Python code raised in between, where that is the reason.
    pub(crate) fn raised(&self) -> Option<&PyErr> {
        match &self.reason {
            Reason::Python(error) => Some(error),
            _ => None,
        }
    }
}

impl std::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            out.write_str("at ")?;
            for step in self.place.iter().take(LONGEST) {
                write!(out, "{step}")?;
            }
            out.write_str(if self.place.len() > LONGEST { "...: " } else { ": " })?;
        }
        write!(out, "{}", self.reason)
    }
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("{0} is not JSON")]
    NotFinite(f64),
    #[error("the text has a lone surrogate, which is not valid Unicode")]
    Surrogate,
    #[error("an integer beyond 64 bits")]
    WideInteger,
    #[error("an integer beyond 64 bits at byte {0}")]
    WideNumber(usize),
    #[error("more than {MAX_DEPTH} lists and dicts inside one another")]
    TooDeep,
    #[error("{0} cannot be written as {1}")]
    NotPlain(String, &'static str),
    #[error("bytes cannot be written as JSON; MSGPACK has them")]
    BytesInJson,
    #[error("the key {0} is not a str, the only kind of key in JSON")]
    KeyNotText(String),
    #[error("a dict cannot be a key")]
    DictAsKey,
    #[error("longer than the 4294967295 that MSGPACK can say")]
    TooLong,
    #[error("it changed while it was written")]
    Changed,
    #[error("its items() did not give pairs")]
    NoPairs,
    #[error("a MSGPACK extension type, which is not supported")]
    Extension,
    #[error("a MSGPACK str that is not UTF-8")]
    NotUtf8,
    #[error("more bytes after the end of the value")]
    Trailing,
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Python(#[from] PyErr),
}

/// One step from a list or dict to what is in it.
#[derive(Debug)]
pub(super) enum Step {
    Index(usize),
    Key(String),
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Key(key) => write!(out, "[{key}]"),
        }
    }
}

/// Where the reason and the place of a failure gather while serde hands its own error outwards.
#[derive(Debug, Default)]
pub(super) struct Trail {
    reason: RefCell<Option<Reason>>,
    steps: RefCell<Vec<Step>>,
}

impl Trail {
    /// Notes the reason.
    #[cold]
    pub(super) fn note(&self, reason: Reason) {
        self.reason.replace(Some(reason));
    }

    /// Adds the step that led to where it failed; the innermost comes first.
    #[cold]
    pub(super) fn step(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }

    /// The failure; `otherwise` is the reason when none was noted.
    #[cold]
    pub(super) fn end(self, otherwise: impl FnOnce() -> Reason) -> FormatError {
        let mut place = self.steps.into_inner();
        place.reverse();
        FormatError { place, reason: self.reason.into_inner().unwrap_or_else(otherwise) }
    }
}

/// A key as an error shows it: builtin scalars as Python writes them, anything else by its type,
/// because its `repr` is somebody's code.
#[cold]
pub(super) fn shown(key: &Bound<'_, PyAny>) -> String {
    let builtin = key.is_exact_instance_of::<PyString>()
        || key.is_exact_instance_of::<PyInt>()
        || key.is_exact_instance_of::<PyFloat>()
        || key.is_exact_instance_of::<PyBool>()
        || key.is_exact_instance_of::<PyBytes>()
        || key.is_exact_instance_of::<PyNone>();
    let text = match key.repr() {
        Ok(text) if builtin => text.to_string_lossy().into_owned(),
        _ => format!("<{}>", type_name(key)),
    };
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

/// The name of an object's type, with its module where that is not `builtins`.
#[cold]
pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    match value.get_type().fully_qualified_name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => "object".to_owned(),
    }
}
