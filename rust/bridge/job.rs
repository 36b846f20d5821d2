use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::sync::Mutex;
use pyo3::exceptions::PyLookupError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use serde_bytes::ByteBuf;

use super::completions::{Completions, Watch};
use super::deadlines::Due;
use super::mailbox::{Delivered, Post, Seat};
use super::payload::{self, Lending};
use super::reception::Reception;
use super::wait::{Look, ThreadWake, Woken, park};
use super::{errors, formats};
use crate::node::{Incoming, Style, Wake};
use crate::wire::{Failure, FailureKind, Fields, Format, Frame, Key, Kind, Ran};

/// One call that somebody made of us. Dropped unanswered, it answers with an error.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Job {
    incoming: Mutex<Option<Incoming>>,
    /// What its header says of it: a copy, as a job may be kept for long, and what it came in not.
    fields: Fields,
    format: Format,
    deadline: Option<Instant>,
    chain: u64,
    oneway: bool,
    /// The mailbox that it came to.
    post: Arc<Post>,
    /// The thread that took it has nothing else to do: the next item of its stream may follow.
    may_go_on: bool,
    /// Where it runs, if that is an event loop.
    home: Option<(Arc<Reception>, Py<Completions>)>,
    watch: Mutex<Option<Arc<Watch>>>,
}

impl Job {
    pub(super) fn new(delivered: Delivered) -> Self {
        let Delivered { incoming, post } = delivered;
        Self {
            fields: incoming.fields().to_owned_bytes(),
            format: incoming.format(),
            deadline: incoming.deadline(),
            chain: incoming.chain(),
            oneway: matches!(incoming.style(), Style::Oneway | Style::OnewayItem),
            incoming: Mutex::new(Some(incoming)),
            post,
            may_go_on: false,
            home: None,
            watch: Mutex::default(),
        }
    }

    /// One that a thread took that has nothing else to do.
    pub(super) fn taken(delivered: Delivered) -> Self {
        Self { may_go_on: true, ..Self::new(delivered) }
    }

    /// One that runs on an event loop.
    pub(super) fn of(self, reception: Arc<Reception>, completions: Py<Completions>) -> Self {
        Self { home: Some((reception, completions)), ..self }
    }

    /// It is about to be answered: nothing is left to cancel, and the answer may leave with others.
    fn about_to_answer(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(watch) = self.watch.lock().take() {
            watch.end();
        }
        match &self.home {
            Some((reception, completions)) => {
                completions.get().about_to_send(py, !reception.is_busy())
            }
            None => Ok(()),
        }
    }

    /// The chain that calls made inside it belong to.
    pub(super) fn chain(&self) -> u64 {
        self.chain
    }

    /// When calls made inside it are too late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The mailbox that it came to.
    pub(super) fn post(&self) -> &Arc<Post> {
        &self.post
    }

    fn wake_on_cancel(&self, wake: Arc<dyn Wake>) {
        if let Some(incoming) = &*self.incoming.lock() {
            incoming.wake_on_cancel(wake);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.incoming.lock().as_ref().is_some_and(Incoming::is_cancelled)
    }
}

/// A function, a format, arguments as they travelled, and whether nobody waits for what it returns.
type Opened = (Py<PyAny>, u8, Py<PyAny>, bool);

#[pymethods]
impl Job {
    #[getter]
    fn function(&self) -> &str {
        self.fields.text(Key::Function).unwrap_or_default()
    }

    #[getter]
    fn caller(&self) -> &str {
        self.fields.origin().map_or("", |(name, _)| name)
    }

    #[getter]
    fn format(&self) -> u8 {
        self.format as u8
    }

    #[getter]
    fn oneway(&self) -> bool {
        self.oneway
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.is_cancelled()
    }

    /// Seconds on the clock of `time.monotonic()`.
    #[getter(deadline)]
    fn python_deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let now: f64 = py.import("time")?.getattr("monotonic")?.call0()?.extract()?;
        let instant = Instant::now();
        let ahead = deadline.saturating_duration_since(instant).as_secs_f64();
        let behind = instant.saturating_duration_since(deadline).as_secs_f64();
        Ok(Some(now + ahead - behind))
    }

    /// Has `cancel(None)` called on its loop when it is given up, or its time is over.
    fn on_cancel(&self, cancel: Py<PyAny>) {
        let Some((_, completions)) = &self.home else { return };
        let watch = Watch::new(Arc::clone(&completions.get().queue), cancel);
        *self.watch.lock() = Some(Arc::clone(&watch));
        if let Some(deadline) = self.deadline {
            let due: Weak<dyn Due> = Arc::downgrade(&(Arc::clone(&watch) as Arc<dyn Due>));
            completions.get().queue.wake_at(deadline, due);
        }
        self.wake_on_cancel(watch);
    }

    fn open(&self, py: Python<'_>) -> PyResult<Option<Opened>> {
        let message = {
            let mut slot = self.incoming.lock();
            if !slot.as_mut().is_some_and(Incoming::begin) {
                *slot = None;
                return Ok(None);
            }
            slot.as_mut().and_then(Incoming::take_payload)
        };
        let Some(message) = message else {
            return Err(errors::serialization(py, "its payload was taken already"));
        };
        let Some(function) = self.post.function(py, self.function()) else {
            return Err(PyLookupError::new_err(self.function().to_owned()));
        };
        Ok(Some((function, self.format as u8, payload::unpack(py, message)?, self.oneway)))
    }

    /// Whether the next item of the same stream is to be opened.
    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        self.about_to_answer(py)?;
        let incoming = {
            let mut slot = self.incoming.lock();
            let becomes_next = |incoming: &mut Incoming| incoming.become_next(self.format);
            if self.may_go_on
                && self.post.has_nothing_else()
                && slot.as_mut().is_some_and(becomes_next)
            {
                return Ok(true);
            }
            slot.take()
        };
        if let Some(incoming) = incoming {
            let nothing = Frame { format: Format::Nothing, ..Frame::new(Kind::Answer, 0) };
            // Not detached: nothing is written.
            incoming.answer(nothing.into());
        }
        Ok(false)
    }

    fn finish(&self, py: Python<'_>, format: u8, payload: &Bound<'_, PyAny>) -> PyResult<()> {
        let packed = payload::pack(self.post.memory(), format, payload, Lending::Unwritable)?;
        let Some(incoming) = self.incoming.lock().take() else { return Ok(()) };
        let most = incoming.max_message();
        if packed.total() > most {
            let text = format!(
                "{} bytes, more than the {most} that {:?} sends (max_message)",
                packed.total(),
                incoming.node()
            );
            *self.incoming.lock() = Some(incoming);
            return Err(errors::make(py, "MessageTooLarge", &text, None));
        }
        self.about_to_answer(py)?;
        py.detach(|| incoming.answer(packed.into_message(Kind::Answer)));
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "a failure has that many facts")]
    fn fail(
        &self,
        py: Python<'_>,
        kind: &str,
        type_name: String,
        message: String,
        traceback: String,
        arguments: Option<&Bound<'_, PyTuple>>,
        pickled: Option<&Bound<'_, PyBytes>>,
    ) -> PyResult<()> {
        self.about_to_answer(py)?;
        let ran = match kind {
            "unreachable" | "unreadable" => Ran::No,
            _ => Ran::Yes,
        };
        let kind = match kind {
            "raised" => FailureKind::Raised,
            "unreachable" => FailureKind::Unreachable,
            "serialization" | "unreadable" => FailureKind::Serialization,
            "too_large" => FailureKind::TooLarge,
            "cancelled" => FailureKind::Cancelled,
            "timeout" => FailureKind::Timeout,
            _ => FailureKind::Lost,
        };
        // Arguments that are not plain stay here.
        let args = arguments.and_then(|args| formats::msgpack::encode(args.as_any()).ok());
        let failure = Failure {
            type_name,
            traceback,
            args: args.map(ByteBuf::from),
            pickle: pickled.map(|pickled| ByteBuf::from(pickled.as_bytes())),
            ..Failure::new(kind, ran, message)
        };
        let incoming = self.incoming.lock().take();
        if let Some(incoming) = incoming {
            py.detach(|| incoming.fail(failure));
        }
        Ok(())
    }
}

/// Where a thread that took a job waits for other Python code: a coroutine on a loop, say.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Parking {
    job: Py<Job>,
    flag: Arc<Flag>,
    told: AtomicBool,
}

struct Flag {
    woken: AtomicBool,
    wake: Arc<dyn Wake>,
}

#[pymethods]
impl Parking {
    #[new]
    fn new(job: Py<Job>) -> Self {
        let wake = ThreadWake::current();
        job.get().wake_on_cancel(Arc::clone(&wake));
        let flag = Arc::new(Flag { woken: AtomicBool::new(false), wake });
        Self { job, flag, told: AtomicBool::new(false) }
    }

    fn wake(&self) {
        self.flag.woken.store(true, Ordering::Release);
        self.flag.wake.wake();
    }

    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let job = self.job.get();
        let seat = Seat::take_place(job.chain());
        let mut woken = false;
        let look = || {
            woken = self.flag.woken.load(Ordering::Acquire);
            match woken || (job.is_cancelled() && !self.told.load(Ordering::Acquire)) {
                true => Look::Ready,
                false => Look::Wait(None),
            }
        };
        match park(py, look, seat.as_ref(), None)? {
            Woken::Call(call) => Ok(Py::new(py, Job::new(*call))?.into_any()),
            Woken::Ready | Woken::Late => {
                self.told.store(true, Ordering::Release);
                Ok(woken.into_pyobject(py)?.to_owned().into_any().unbind())
            }
        }
    }
}
