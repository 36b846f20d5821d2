//! A call of ours as an event loop sees it.
//!
//! On asyncio it is what `asyncio` itself calls a future, and a coroutine besides: both are
//! duck-typed there (`_asyncio_future_blocking`, `add_done_callback`, `send`, `throw`), as PEP 492
//! and the documentation of `asyncio.Future` describe them. On Trio it is a coroutine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::completions::Completions;
use super::future::CallCoroutine;
use super::ticket::Ticket;
use super::wait::Waitable;
use crate::sync::Mutex;

/// What a call waits for.
pub(super) enum What {
    /// Something of the engine.
    Engine(Box<dyn Waitable>),
    /// Something in Python, which says so; this function gives it up.
    Python(Option<Py<PyAny>>),
}

/// How it ended.
pub(super) enum Outcome {
    /// With a value, which is yet to be read.
    Raw(Py<PyAny>),
    Value(Py<PyAny>),
    /// An exception; not a `PyErr`, which the garbage collector can't look into.
    Error(Py<PyBaseException>),
    /// With what `cancel` was given.
    Cancelled(Option<Py<PyAny>>),
}

impl Outcome {
    fn of(py: Python<'_>, result: PyResult<Py<PyAny>>) -> Self {
        result.map_or_else(|error| Self::Error(error.into_value(py)), Self::Raw)
    }
}

/// What is to be run when a call has ended.
pub(super) struct Callback {
    pub(super) function: Py<PyAny>,
    pub(super) context: Option<Py<PyAny>>,
    /// A task that goes on: it may do so at once.
    pub(super) is_task: bool,
}

pub(super) struct State {
    pub(super) what: Option<What>,
    /// Reads the value.
    convert: Option<Py<PyAny>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) callbacks: Vec<Callback>,
    /// What drives it where the loop is not asyncio's.
    pub(super) coroutine: Option<Py<PyAny>>,
    /// The deadline that is in the heap.
    noted: Option<Instant>,
}

/// A call that was made from an event loop. It may be awaited once.
#[pyclass(frozen, subclass, weakref, module = "daffi._native")]
pub(super) struct Call {
    pub(super) completions: Py<Completions>,
    ticket: Arc<Ticket>,
    pub(super) state: Mutex<State>,
    pub(super) blocking: AtomicBool,
    pub(super) awaited: AtomicBool,
}

impl Call {
    /// A call that waits for something of the engine, which wakes this ticket.
    pub(super) fn new(
        py: Python<'_>,
        completions: Py<Completions>,
        ticket: Arc<Ticket>,
        what: Box<dyn Waitable>,
        convert: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let mut what = what;
        if what.is_ready() {
            let call = Self::make(py, completions, ticket, What::Python(None), convert)?;
            let result = Outcome::of(py, what.finish(py));
            Self::end(&call, py, result, None)?;
            return Ok(call);
        }
        let deadline = what.limit();
        let call = Self::make(py, completions, ticket, What::Engine(what), convert)?;
        if let Some(deadline) = deadline {
            call.get().note(deadline);
        }
        Ok(call)
    }

    pub(super) fn make(
        py: Python<'_>,
        completions: Py<Completions>,
        ticket: Arc<Ticket>,
        what: What,
        convert: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let state = State {
            what: Some(what),
            convert,
            outcome: None,
            callbacks: Vec::new(),
            coroutine: None,
            noted: None,
        };
        let call = Self {
            completions,
            ticket,
            state: Mutex::new(state),
            blocking: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
        };
        let call = PyClassInitializer::from(call).add_subclass(CallCoroutine);
        let call = Bound::new(py, call)?.into_super().unbind();
        call.get().ticket.admit(call.clone_ref(py));
        Ok(call)
    }

    /// Looks again at that time.
    fn note(&self, at: Instant) {
        let mut state = self.state.lock();
        if state.noted.is_some_and(|noted| noted <= at && Instant::now() < noted) {
            return;
        }
        state.noted = Some(at);
        drop(state);
        self.ticket.wake_at(at);
    }

    /// Sees whether it has ended, and what is to be run then.
    pub(super) fn look(slf: &Py<Self>, straight: bool, ready: &Bound<'_, PyList>) -> PyResult<()> {
        let py = ready.py();
        let this = slf.get();
        let what = {
            let mut state = this.state.lock();
            match state.what.take() {
                Some(What::Engine(what)) if state.outcome.is_none() => what,
                other => {
                    state.what = other;
                    return Ok(());
                }
            }
        };
        let mut what = what;
        let result = if what.is_ready() {
            what.finish(py)
        } else {
            match what.limit() {
                Some(deadline) if deadline <= Instant::now() => what.expire(py),
                deadline => {
                    this.state.lock().what = Some(What::Engine(what));
                    if let Some(deadline) = deadline {
                        this.note(deadline);
                    }
                    return Ok(());
                }
            }
        };
        drop(what);
        let outcome = Outcome::of(py, result);
        Self::end(slf, py, outcome, straight.then_some(ready))
    }

    /// It has ended. One callback may be run straight away.
    pub(super) fn end(
        slf: &Py<Self>,
        py: Python<'_>,
        outcome: Outcome,
        ready: Option<&Bound<'_, PyList>>,
    ) -> PyResult<()> {
        let this = slf.get();
        let (callbacks, old) = {
            let mut state = this.state.lock();
            if state.outcome.is_some() {
                return Ok(());
            }
            state.outcome = Some(outcome);
            (std::mem::take(&mut state.callbacks), state.what.take())
        };
        drop(old);
        this.ticket.end();
        let completions = this.completions.get();
        let call = slf.bind(py).as_any();
        let all = completions.asyncio().is_none();
        for (place, callback) in callbacks.into_iter().enumerate() {
            let straight = ready.filter(|_| all || place == 0 && callback.is_task);
            let context = callback.context.map(|context| context.into_bound(py));
            completions.schedule(callback.function.into_bound(py), context, call, straight)?;
        }
        Ok(())
    }

    /// Gives it up because its loop has ended. Of asyncio nothing runs any more; on Trio a task may
    /// still wait, shielded.
    pub(super) fn abandon(slf: &Py<Self>, py: Python<'_>) {
        let mut state = slf.get().state.lock();
        let old = state.what.take();
        if slf.get().completions.get().asyncio().is_some() {
            let callbacks = std::mem::take(&mut state.callbacks);
            drop(state);
            drop(callbacks);
        } else {
            drop(state);
        }
        drop(old);
        let error = PyRuntimeError::new_err("the event loop of this call has ended");
        if let Err(error) = Self::end(slf, py, Outcome::Error(error.into_value(py)), None) {
            error.write_unraisable(py, Some(slf.bind(py).as_any()));
        }
    }

    /// The value, read once.
    pub(super) fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (raw, convert) = {
            let mut state = self.state.lock();
            match &state.outcome {
                None => {
                    drop(state);
                    let text = "the call has not ended";
                    return Err(asyncio_error(
                        py,
                        "InvalidStateError",
                        Some(text.into_py_any(py)?),
                    ));
                }
                Some(Outcome::Value(value)) => return Ok(value.clone_ref(py)),
                Some(Outcome::Error(error)) => {
                    let error = error.bind(py).clone().into_any();
                    drop(state);
                    return Err(PyErr::from_value(error));
                }
                Some(Outcome::Cancelled(message)) => {
                    let message = message.as_ref().map(|message| message.clone_ref(py));
                    drop(state);
                    return Err(asyncio_error(py, "CancelledError", message));
                }
                Some(Outcome::Raw(raw)) => (raw.clone_ref(py), state.convert.take()),
            }
        };
        let read = match convert {
            None => Ok(raw),
            Some(convert) => match raw.bind(py).cast_exact::<PyTuple>() {
                Ok(answer) => convert.bind(py).call1(answer).map(Bound::unbind),
                Err(_) => convert.bind(py).call1((raw,)).map(Bound::unbind),
            },
        };
        let outcome = match &read {
            Ok(value) => Outcome::Value(value.clone_ref(py)),
            Err(error) => Outcome::Error(error.clone_ref(py).into_value(py)),
        };
        let old = self.state.lock().outcome.replace(outcome);
        drop(old);
        read
    }

    /// Gives it up; false when it had ended.
    pub(super) fn give_up(
        slf: &Py<Self>,
        py: Python<'_>,
        message: Option<Py<PyAny>>,
    ) -> PyResult<bool> {
        let this = slf.get();
        let what = {
            let mut state = this.state.lock();
            if state.outcome.is_some() {
                return Ok(false);
            }
            state.what.take()
        };
        this.completions.get().about_to_send(py, this.completions.get().is_alone())?;
        match what {
            Some(What::Engine(what)) => drop(what),
            Some(What::Python(Some(cancel))) => drop(cancel.bind(py).call0()?),
            Some(What::Python(None)) | None => {}
        }
        Self::end(slf, py, Outcome::Cancelled(message), None)?;
        Ok(true)
    }

    /// One step as a coroutine: the value, or nothing where it is still awaited.
    pub(super) fn step(slf: &Py<Self>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        if this.state.lock().outcome.is_none() {
            this.blocking.store(true, Ordering::Relaxed);
            return Ok(slf.clone_ref(py).into_any());
        }
        let value = this.value(py)?;
        Err(PyStopIteration::new_err((value,)))
    }

    pub(super) fn begin_await(&self) -> PyResult<()> {
        if self.awaited.swap(true, Ordering::Relaxed) {
            let text = "this call was awaited already; keep what it gave instead";
            return Err(PyRuntimeError::new_err(text));
        }
        Ok(())
    }

    /// The coroutine that waits for it, where the loop is not asyncio's.
    pub(super) fn driver<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, this) = (slf.py(), slf.get());
        let Some(waiter) = &this.completions.get().waiter else { return Ok(None) };
        if let Some(coroutine) = &this.state.lock().coroutine {
            return Ok(Some(coroutine.bind(py).clone()));
        }
        this.begin_await()?;
        let made = waiter.bind(py).call1((slf,))?;
        this.state.lock().coroutine = Some(made.clone().unbind());
        Ok(Some(made))
    }
}

/// An exception of asyncio, which whoever gets here has imported.
pub(super) fn asyncio_error(py: Python<'_>, class: &str, message: Option<Py<PyAny>>) -> PyErr {
    let made = py.import("asyncio").and_then(|asyncio| asyncio.getattr(class));
    let made = made.and_then(|class| match message {
        Some(message) => class.call1((message,)),
        None => class.call0(),
    });
    made.map_or_else(|error| error, PyErr::from_value)
}
