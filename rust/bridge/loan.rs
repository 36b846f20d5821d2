#![allow(
    unsafe_code,
    reason = "Python's buffers are read while their owners keep them where they are"
)]

//! Python's buffers on their way out: copied, or lent until they have been written.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyMemoryView};

use super::memory::Memory;
use super::pages;
use crate::sync::Mutex;

/// A buffer that is lent for sending. Its owner can't resize it meanwhile, so whoever waits for the
/// call gives it back before the owner goes on; otherwise the thread of [`Memory`] does.
pub(super) struct Loan(Mutex<Terms>);

struct Terms {
    buffer: Option<PyBuffer<u8>>,
    /// It has been written, or given up.
    used: bool,
    /// Somebody attached to Python will give it back.
    awaited: bool,
}

impl Loan {
    /// Whoever waited for the call is attached again, and goes on.
    pub(super) fn end(&self, _py: Python<'_>) {
        let mut terms = self.0.lock();
        terms.awaited = false;
        let buffer = if terms.used { terms.buffer.take() } else { None };
        drop(terms);
        drop(buffer);
    }
}

/// The borrower's end of a loan.
struct Lent {
    loan: Arc<Loan>,
    start: *const u8,
    len: usize,
    memory: Arc<Memory>,
}

// SAFETY: the memory stays where it is until the loan ends; nobody writes to it through this.
unsafe impl Send for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: contiguous, checked when it was lent; the export keeps it where it is.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut terms = self.loan.0.lock();
        terms.used = true;
        let buffer = if terms.awaited { None } else { terms.buffer.take() };
        drop(terms);
        if let Some(buffer) = buffer {
            self.memory.release(buffer);
        }
    }
}

/// Lends an object's bytes for sending, without a copy. `bytes` need not be given back.
pub(super) fn lend(
    memory: &Arc<Memory>,
    object: &Bound<'_, PyAny>,
    loans: &mut Vec<Arc<Loan>>,
) -> PyResult<bytes::Bytes> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        let backed = pyo3::pybacked::PyBackedBytes::from(bytes.clone());
        return Ok(bytes::Bytes::from_owner(backed));
    }
    let buffer = contiguous(object)?;
    let (start, len) = (buffer.buf_ptr().cast(), buffer.len_bytes());
    let terms = Terms { buffer: Some(buffer), used: false, awaited: false };
    let loan = Arc::new(Loan(Mutex::new(terms)));
    loans.push(Arc::clone(&loan));
    let memory = Arc::clone(memory);
    Ok(bytes::Bytes::from_owner(Lent { loan, start, len, memory }))
}

/// From now on somebody waits for these, and ends them.
pub(super) fn await_loans(loans: &[Arc<Loan>]) {
    for loan in loans {
        loan.0.lock().awaited = true;
    }
}

/// Copies an object's bytes. Whoever writes to them meanwhile, without the GIL, has both in the copy.
pub(super) fn copy(object: &Bound<'_, PyAny>) -> PyResult<bytes::Bytes> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Ok(bytes::Bytes::copy_from_slice(bytes.as_bytes()));
    }
    let buffer = contiguous(object)?;
    let len = buffer.len_bytes();
    let mut copied = Vec::with_capacity(len);
    pages::prefer_huge(copied.as_mut_ptr(), len);
    // SAFETY: the buffer is contiguous and stays where it is, and the copy has room for all of it.
    // No reference is made to bytes that others may write to.
    unsafe {
        if len > 0 {
            std::ptr::copy_nonoverlapping(buffer.buf_ptr().cast(), copied.as_mut_ptr(), len);
        }
        copied.set_len(len);
    }
    Ok(copied.into())
}

/// How many bytes an object holds.
pub(super) fn length(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    match object.cast_exact::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().len()),
        Err(_) => Ok(contiguous(object)?.len_bytes()),
    }
}

/// Whether nobody can write to an object's bytes.
pub(super) fn is_read_only(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    match object.cast_exact::<PyBytes>() {
        Ok(_) => Ok(true),
        Err(_) => Ok(contiguous(object)?.readonly()),
    }
}

/// Whether nobody can write to what a buffer shows: `bytes` are behind it, or it is the only way to
/// that memory. It is one that was made for sending: nobody else has the buffer itself.
pub(super) fn is_unwritable(buffer: &Bound<'_, PyAny>) -> bool {
    // An object that can't say it (a module that is loaded lazily, say) has its buffer copied.
    buffer.is_exact_instance_of::<PyBytes>() || is_only_way(buffer).unwrap_or(false)
}

/// Each object on the way to the memory has one owner, the one before it, and no weak references; or
/// there are `bytes` at the end. Only objects are followed of which all ways to their memory are
/// known. That a buffer is read-only says nothing: others of the same memory may not be.
fn is_only_way(view: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = view.py();
    if !view.is_exact_instance_of::<PyMemoryView>() {
        return Ok(false);
    }
    let modules = py.import("sys")?.getattr("modules")?;
    let array = modules.call_method1("get", ("numpy",))?.getattr_opt("ndarray")?;
    let referents = py.import("gc")?.getattr("get_referents")?;
    let weak_references = py.import("weakref")?.getattr("getweakrefcount")?;
    let (mut link, mut only) = (view.clone(), true);
    loop {
        let next = if link.is_exact_instance_of::<PyMemoryView>() {
            // Slices and copies of a memoryview share the object in which it holds its exporter.
            let shared = referents.call1((&link,))?.cast_into::<PyList>()?;
            // The memoryview's reference, the list's, and ours.
            only &= shared.len() == 1 && references(&shared.get_item(0)?) == 3;
            link.getattr("obj")?
        } else if array.as_ref().is_some_and(|array| link.get_type().is(array)) {
            let base = link.getattr("base")?;
            if base.is_none() {
                return Ok(only && link.getattr("flags")?.getattr("owndata")?.extract()?);
            }
            base
        } else {
            let bytes = link.is_exact_instance_of::<PyBytes>();
            return Ok(bytes || only && link.is_exact_instance_of::<PyByteArray>());
        };
        // The reference of the object before it, and ours.
        only &= references(&next) == 2 && weak_references.call1((&next,))?.extract::<usize>()? == 0;
        link = next;
    }
}

fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: a live object, and the GIL is held.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) }
}

/// A pickle, as a buffer, in the memory that it came in: to be read once and let go of.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Pickled(pub(super) bytes::Bytes);

#[pymethods]
impl Pickled {
    #[allow(clippy::needless_pass_by_value, reason = "as Python's protocol has it")]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut pyo3::ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes = &slf.get().0;
        let (start, len) = (bytes.as_ptr().cast_mut().cast(), bytes.len().cast_signed());
        // SAFETY: read-only, and the view holds its exporter, which holds the memory.
        match unsafe { pyo3::ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 1, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}

fn contiguous(object: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let buffer = PyBuffer::<u8>::get(object)?;
    match buffer.is_c_contiguous() {
        true => Ok(buffer),
        false => Err(pyo3::exceptions::PyBufferError::new_err("a buffer with gaps in it")),
    }
}
