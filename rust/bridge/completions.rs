//! What comes for one event loop: outcomes, calls to run, calls that were given up.
//!
//! Any thread puts events into the queue, without the GIL; the loop is woken when the first one
//! comes, and takes them all at once. What they set off runs in Python, with no frame of ours below
//! it; what that sends leaves with few writes for each connection.

use std::collections::VecDeque;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::bell::Bell;
use super::call::Call;
use super::deadlines::{Deadlines, Due};
use super::job::Job;
use super::mailbox::Delivered;
use super::process;
use super::reception::Reception;
use super::ticket::Ticket;
use crate::node::{self, Incoming, LoopReader, Wake};
use crate::sync::Mutex;

/// Who waits so long for the GIL has lost it to a thread that computes.
const LOST: Duration = Duration::from_millis(1);
/// One turn takes no more events than this; others get theirs in between.
const MOST: usize = 512;
/// So many calls that came are started together.
const BATCH: usize = 32;
/// So many calls may have ended before those are gone through that a loop would have to give up.
const STALE: usize = 256;

/// Something that an event loop is to hear of.
#[allow(clippy::large_enum_variant, reason = "one allocation less for every call that comes")]
pub(super) enum Event {
    /// Look whether a call of ours has ended.
    Look(Arc<Ticket>),
    /// A call to run.
    Job(Arc<Reception>, Incoming),
    /// A call that runs was given up, or is too late.
    Cancel(Arc<Watch>),
}

/// Events for one loop.
pub(super) struct Queue {
    state: Mutex<State>,
    bell: Bell,
    /// What it reads by itself, if it can.
    pub(super) reader: Option<Arc<LoopReader>>,
    deadlines: Arc<Deadlines>,
    /// Calls of ours that have not ended: how many, and which.
    open: AtomicUsize,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// With some that have ended.
    tickets: Vec<Weak<Ticket>>,
    /// Those are taken out when there are more.
    limit: usize,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// The loop has been woken, or is at it.
    rung: bool,
    closed: bool,
}

impl Queue {
    /// Adds an event, and wakes the loop where that is due.
    pub(super) fn push(&self, event: Event) {
        let mut state = self.state.lock();
        if state.closed {
            // Dropped after the lock is gone: a call that came is answered then.
            drop(state);
            return;
        }
        state.events.push_back(event);
        let ring = !std::mem::replace(&mut state.rung, true);
        drop(state);
        if ring {
            self.bell.ring();
        }
    }

    /// Whether the loop has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Wakes whoever this is, at that time.
    pub(super) fn wake_at(&self, at: Instant, due: Weak<dyn Due>) {
        self.deadlines.push(at, due);
    }

    pub(super) fn opened(&self, ticket: &Arc<Ticket>) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let mut calls = self.calls.lock();
        if calls.tickets.len() > calls.limit.max(STALE) {
            calls.tickets.retain(|known| known.upgrade().is_some_and(|known| known.is_open()));
            calls.limit = calls.tickets.len() * 2;
        }
        calls.tickets.push(Arc::downgrade(ticket));
    }

    pub(super) fn ended(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The queue of one event loop, and what it needs of that loop.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Completions {
    pub(super) queue: Arc<Queue>,
    /// The loop, or what stands for it.
    #[pyo3(get)]
    home: Py<PyAny>,
    /// Runs a function in the next turn.
    soon: Py<PyAny>,
    /// How a task of a loop that is not asyncio's waits for a call.
    pub(super) waiter: Option<Py<PyAny>>,
    /// An empty context, to run what has none of its own.
    nowhere: Py<PyAny>,
}

#[pymethods]
impl Completions {
    #[new]
    #[pyo3(signature = (home, soon, *, waiter=None, wake=None))]
    fn new(
        py: Python<'_>,
        home: Py<PyAny>,
        soon: Py<PyAny>,
        waiter: Option<Py<PyAny>>,
        wake: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let watches = waiter.is_none() && wake.is_none();
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            reader: watches.then(LoopReader::new).and_then(Result::ok),
            bell: Bell::new(wake, process::current().memory())?,
            deadlines: Arc::default(),
            open: AtomicUsize::new(0),
            calls: Mutex::default(),
        });
        let nowhere = py.import("contextvars")?.getattr("Context")?.call0()?.unbind();
        Ok(Self { queue, home, soon, waiter, nowhere })
    }

    fn fileno(&self) -> PyResult<i32> {
        self.queue.bell.fileno()
    }

    /// What the loop watches besides, if anything.
    fn selector(&self) -> Option<i32> {
        #[cfg(target_os = "linux")]
        return self.queue.reader.as_ref().map(|reader| reader.selector().as_fd().as_raw_fd());
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// What is to be run now: `context.run(function, argument)` for each. `let_go` comes after it.
    fn drain<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let (py, this) = (slf.py(), slf.get());
        this.queue.bell.clear();
        // What comes from now on is seen here, or when this drain ends.
        this.queue.state.lock().rung = true;
        let reader = this.queue.reader.as_ref().filter(|reader| !reader.is_idle());
        if let Some(reader) = reader {
            let done = py.detach(|| {
                reader.read();
                Instant::now()
            });
            if done.elapsed() > LOST {
                reader.rest();
            }
        }
        node::hold(this.holder());
        let ready = PyList::empty(py);
        let events: Vec<Event> = {
            let mut state = this.queue.state.lock();
            let count = state.events.len().min(MOST);
            state.events.drain(..count).collect()
        };
        let straight = match this.asyncio() {
            Some(loop_) => !loop_.bind(py).call_method0("get_debug")?.is_truthy()?,
            None => true,
        };
        let mut jobs: Vec<(Arc<Reception>, Bound<'py, PyList>)> = Vec::new();
        for event in events {
            match event {
                Event::Look(ticket) => {
                    if let Some(call) = ticket.begin_look(py) {
                        Call::look(&call, straight, &ready)?;
                    }
                }
                Event::Job(reception, incoming) => {
                    if let (true, Some(reader)) = (jobs.is_empty(), &this.queue.reader) {
                        incoming.origin().lend_to(reader);
                    }
                    let job = Job::new(Delivered { incoming, post: reception.post() });
                    let job = job.of(Arc::clone(&reception), slf.clone().unbind());
                    let open = |(other, list): &&(Arc<Reception>, Bound<'py, PyList>)| {
                        Arc::ptr_eq(other, &reception) && list.len() < BATCH
                    };
                    match jobs.iter().rev().find(open) {
                        Some((_, list)) => list.append(Py::new(py, job)?)?,
                        None => jobs.push((reception, PyList::new(py, [Py::new(py, job)?])?)),
                    }
                }
                Event::Cancel(watch) => {
                    if let Some(cancel) = watch.cancel.lock().take() {
                        ready.append((this.nowhere.bind(py), cancel, py.None()))?;
                    }
                }
            }
        }
        for (reception, list) in jobs {
            if let Some(start) = reception.starter(py) {
                ready.append((this.nowhere.bind(py), start, list))?;
            }
        }
        Ok(ready)
    }

    /// Ends a drain: what was sent meanwhile leaves, and the loop is woken for what came.
    fn let_go(&self, py: Python<'_>) {
        write_held(py);
        let mut state = self.queue.state.lock();
        state.rung = !state.events.is_empty();
        let ring = state.rung;
        drop(state);
        if ring {
            self.queue.bell.ring();
        }
    }

    /// The loop has ended: nothing more is taken, and calls that have not ended are given up.
    fn close(&self, py: Python<'_>) {
        let events = {
            let mut state = self.queue.state.lock();
            state.closed = true;
            std::mem::take(&mut state.events)
        };
        drop(events);
        self.queue.deadlines.close();
        if let Some(reader) = &self.queue.reader {
            reader.close();
        }
        let calls = std::mem::take(&mut self.queue.calls.lock().tickets);
        calls.iter().filter_map(Weak::upgrade).for_each(|ticket| ticket.abandon(py));
    }

    /// Whether the loop has ended.
    #[getter]
    fn closed(&self) -> bool {
        self.queue.state.lock().closed
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.home)?;
        visit.call(&self.soon)?;
        visit.call(&self.waiter)?;
        visit.call(&self.nowhere)
    }
}

impl Completions {
    /// The loop, if it is one of asyncio.
    pub(super) fn asyncio(&self) -> Option<&Py<PyAny>> {
        self.waiter.is_none().then_some(&self.home)
    }

    /// Called before something is sent: where more is likely to follow in this turn, it is held
    /// back until the turn ends.
    pub(super) fn about_to_send(&self, py: Python<'_>, alone: bool) -> PyResult<()> {
        if node::holder_here() == Some(self.holder()) {
            return Ok(());
        }
        if alone {
            node::let_go();
        } else {
            self.soon.bind(py).call1((release(py)?,))?;
            node::hold(self.holder());
        }
        Ok(())
    }

    /// What holds back what this loop's thread sends.
    fn holder(&self) -> usize {
        Arc::as_ptr(&self.queue) as usize
    }

    /// Whether only one call of ours is under way: the one that asks.
    pub(super) fn is_alone(&self) -> bool {
        self.queue.open.load(Ordering::Relaxed) <= 1
    }

    /// Runs a callback of a call in the next turn, or notes that it is to run in this one.
    pub(super) fn schedule<'py>(
        &self,
        callback: Bound<'py, PyAny>,
        context: Option<Bound<'py, PyAny>>,
        call: &Bound<'py, PyAny>,
        now: Option<&Bound<'py, PyList>>,
    ) -> PyResult<()> {
        let py = call.py();
        match (self.asyncio(), now) {
            (Some(loop_), None) => {
                let how = pyo3::types::PyDict::new(py);
                how.set_item("context", context)?;
                let arguments = PyTuple::new(py, [callback, call.clone()])?;
                loop_.bind(py).call_method("call_soon", arguments, Some(&how))?;
            }
            (_, Some(ready)) => {
                let context = context.unwrap_or_else(|| self.nowhere.bind(py).clone());
                ready.append((context, callback, call))?;
            }
            (None, None) => {
                callback.call1((call,))?;
            }
        }
        Ok(())
    }
}

fn release(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RELEASE: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
    let made = RELEASE.get_or_try_init(py, || {
        PyResult::Ok(pyo3::wrap_pyfunction!(let_go, py)?.into_any().unbind())
    })?;
    Ok(made.bind(py).clone())
}

/// Writes what this thread has held back.
#[pyfunction]
fn let_go(py: Python<'_>) {
    write_held(py);
}

/// The GIL is let go of only where it takes a while: a thread that computes then keeps it for 5 ms,
/// each time.
fn write_held(py: Python<'_>) {
    match node::holds_much() {
        true => py.detach(node::let_go),
        false => node::let_go(),
    }
}

/// Cancels what runs for a call, once that is given up or too late.
pub(super) struct Watch {
    queue: Arc<Queue>,
    cancel: Mutex<Option<Py<PyAny>>>,
    me: Weak<Watch>,
}

impl Watch {
    pub(super) fn new(queue: Arc<Queue>, cancel: Py<PyAny>) -> Arc<Self> {
        let cancel = Mutex::new(Some(cancel));
        Arc::new_cyclic(|me| Self { queue, cancel, me: me.clone() })
    }

    /// There is nothing to cancel any more.
    pub(super) fn end(&self) {
        let cancel = self.cancel.lock().take();
        drop(cancel);
    }
}

impl Wake for Watch {
    fn wake(&self) {
        if let Some(me) = self.me.upgrade() {
            self.queue.push(Event::Cancel(me));
        }
    }
}

impl Due for Watch {
    fn is_open(&self) -> bool {
        self.cancel.lock().is_some()
    }

    fn due(&self) {
        self.wake();
    }
}
