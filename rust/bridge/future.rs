//! The methods of a call: what asyncio and Trio ask of a future, and of a coroutine.

use std::sync::atomic::Ordering;

use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use super::call::{Call, Callback, Outcome, What, asyncio_error};
use super::completions::Completions;
use super::ticket::Ticket;

/// What everybody gets: by `send`, `throw` and `close` a coroutine besides.
#[pyclass(frozen, extends = Call, module = "daffi._native")]
pub(super) struct CallCoroutine;

/// A call that has been in a set, as `asyncio.wait` has them: a future, and no coroutine.
#[pyclass(frozen, extends = Call, module = "daffi._native")]
pub(super) struct CallFuture;

#[pymethods]
impl Call {
    /// One that Python code ends, by `set_result` or `set_exception`.
    #[staticmethod]
    #[pyo3(signature = (completions, cancel=None))]
    fn by_hand(
        py: Python<'_>,
        completions: Py<Completions>,
        cancel: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let ticket = Ticket::new(&completions.get().queue);
        Self::make(py, completions, ticket, What::Python(cancel), None)
    }

    fn set_result(slf: Py<Self>, py: Python<'_>, value: Py<PyAny>) -> PyResult<()> {
        Self::end(&slf, py, Outcome::Value(value), None)
    }

    fn set_exception(slf: Py<Self>, py: Python<'_>, error: Py<PyBaseException>) -> PyResult<()> {
        Self::end(&slf, py, Outcome::Error(error), None)
    }

    fn done(&self) -> bool {
        self.state.lock().outcome.is_some()
    }

    fn cancelled(&self) -> bool {
        matches!(self.state.lock().outcome, Some(Outcome::Cancelled(_)))
    }

    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.value(py)
    }

    fn exception(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.value(py) {
            Ok(_) => Ok(None),
            Err(error) if self.done() && !self.cancelled() => {
                Ok(Some(error.into_value(py).into_any()))
            }
            Err(error) => Err(error),
        }
    }

    #[pyo3(signature = (msg=None))]
    fn cancel(slf: Py<Self>, py: Python<'_>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        Self::give_up(&slf, py, msg)
    }

    /// What `asyncio.gather` asks of a future besides.
    #[getter(_cancel_message)]
    fn cancel_message(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &self.state.lock().outcome {
            Some(Outcome::Cancelled(Some(message))) => Some(message.clone_ref(py)),
            _ => None,
        }
    }

    /// The same.
    fn _make_cancelled_error(&self, py: Python<'_>) -> Py<PyAny> {
        let error = asyncio_error(py, "CancelledError", self.cancel_message(py));
        error.into_value(py).into_any()
    }

    fn get_loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.completions.get().asyncio().map(|asyncio| asyncio.clone_ref(py))
    }

    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Bound<'_, PyAny>,
        context: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (this, is_task) = (slf.get(), context.is_some());
        let context = match context {
            None if this.completions.get().asyncio().is_some() => Some(copy_context(slf.py())?),
            other => other,
        };
        let mut state = this.state.lock();
        if state.outcome.is_none() {
            let context = context.map(Bound::unbind);
            state.callbacks.push(Callback { function: callback.unbind(), context, is_task });
            return Ok(());
        }
        drop(state);
        this.completions.get().schedule(callback, context, slf.as_any(), None)
    }

    fn remove_done_callback(&self, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = callback.py();
        let before = std::mem::take(&mut self.state.lock().callbacks);
        let (mut kept, mut gone) = (Vec::with_capacity(before.len()), 0);
        for entry in before {
            if entry.function.bind(py).eq(callback)? {
                gone += 1;
            } else {
                kept.push(entry);
            }
        }
        self.state.lock().callbacks = kept;
        Ok(gone)
    }

    #[getter(_asyncio_future_blocking)]
    fn is_blocking(&self) -> Option<bool> {
        // A loop that is not asyncio's must not take it for a future.
        self.completions.get().asyncio().map(|_| self.blocking.load(Ordering::Relaxed))
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match Self::driver(slf)? {
            Some(coroutine) => coroutine.call_method0("__await__"),
            None => {
                slf.get().begin_await()?;
                Ok(slf.clone().into_any())
            }
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Self::step(&slf, py)
    }

    /// `asyncio.wait` is given a set, or makes one, and then refuses coroutines, which
    /// `create_task` asks for. So what has been in a set is no coroutine any more.
    fn __hash__(slf: &Bound<'_, Self>) -> PyResult<isize> {
        if slf.get().completions.get().asyncio().is_some() {
            slf.setattr("__class__", slf.py().get_type::<CallFuture>())?;
        }
        Ok((slf.as_ptr() as isize) >> 4)
    }

    fn __repr__(&self) -> &'static str {
        match &self.state.lock().outcome {
            None => "<daffi call, pending>",
            Some(Outcome::Cancelled(_)) => "<daffi call, cancelled>",
            Some(Outcome::Error(_)) => "<daffi call, failed>",
            Some(_) => "<daffi call, done>",
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(state) = self.state.try_lock() else { return Ok(()) };
        for callback in &state.callbacks {
            visit.call(&callback.function)?;
            visit.call(&callback.context)?;
        }
        match &state.outcome {
            Some(Outcome::Raw(value) | Outcome::Value(value)) => visit.call(value)?,
            Some(Outcome::Error(error)) => visit.call(error)?,
            Some(Outcome::Cancelled(message)) => visit.call(message)?,
            None => {}
        }
        if let Some(What::Python(cancel)) = &state.what {
            visit.call(cancel)?;
        }
        visit.call(&state.coroutine)?;
        visit.call(&self.completions)
    }

    fn __clear__(&self) {
        let Some(mut state) = self.state.try_lock() else { return };
        let old = (std::mem::take(&mut state.callbacks), state.coroutine.take());
        drop(state);
        drop(old);
    }
}

fn copy_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    COPY.import(py, "contextvars", "copy_context")?.call0()
}

#[pymethods]
impl CallCoroutine {
    fn send<'py>(slf: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        match Call::driver(slf.as_super())? {
            Some(coroutine) => Ok(coroutine.call_method1("send", (value,))?.unbind()),
            None => {
                slf.as_super().get().awaited.store(true, Ordering::Relaxed);
                Call::step(slf.as_super().as_unbound(), slf.py())
            }
        }
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if let Some(coroutine) = Call::driver(slf.as_super())? {
            let arguments = match (value, traceback) {
                (None, None) => (kind,).into_pyobject(py)?.into_any(),
                (value, traceback) => (kind, value, traceback).into_pyobject(py)?.into_any(),
            };
            return Ok(coroutine.call_method1("throw", arguments.cast::<PyTuple>()?)?.unbind());
        }
        slf.as_super().get().awaited.store(true, Ordering::Relaxed);
        Call::give_up(slf.as_super().as_unbound(), py, None)?;
        let error = match value {
            Some(value) if !value.is_none() => value,
            _ if kind.is_instance_of::<pyo3::types::PyType>() => kind.call0()?,
            _ => kind,
        };
        Err(PyErr::from_value(error))
    }

    /// Whoever awaited it goes away.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let coroutine =
            slf.as_super().get().state.lock().coroutine.as_ref().map(|c| c.clone_ref(slf.py()));
        match coroutine {
            Some(coroutine) => drop(coroutine.bind(slf.py()).call_method0("close")?),
            None => drop(Call::give_up(slf.as_super().as_unbound(), slf.py(), None)?),
        }
        Ok(())
    }
}
