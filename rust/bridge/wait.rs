//! The one way to wait.
//!
//! A waiting thread is parked without the GIL. It wakes for what it waits for, for a call of its
//! own chain where it is one of a node's callback threads, and every 100 ms to hear signals.

use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use pyo3::prelude::*;

use super::job::Job;
use super::mailbox::Seat;
use super::process;
use crate::node::Wake;

/// How long Python's signal handlers may be kept waiting.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// Wakes the thread that made it.
pub(super) struct ThreadWake(Thread);

impl ThreadWake {
    /// For the calling thread.
    pub(super) fn current() -> Arc<dyn Wake> {
        thread_local! {
            static OWN: Arc<ThreadWake> = Arc::new(ThreadWake(std::thread::current()));
        }
        OWN.with(|own| Arc::clone(own) as Arc<dyn Wake>)
    }
}

impl Wake for ThreadWake {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// Something to wait for. Dropped before it has ended, it is given up.
pub(super) trait Waitable: Send {
    /// Whether it has ended. Called without the GIL.
    fn is_ready(&mut self) -> bool;

    /// When waiting ends all the same.
    fn deadline(&self) -> Option<Instant>;

    /// What came of it.
    fn finish(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;

    /// It took too long.
    fn expire(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

enum Woken {
    Ready,
    Job(super::mailbox::Delivered),
    Late,
    Slice,
}

/// Waits. What comes back is what came of it, or a [`Pending`] with a call to run first.
pub(super) fn wait(
    py: Python<'_>,
    mut what: Box<dyn Waitable>,
    seat: Option<Seat>,
) -> PyResult<Py<PyAny>> {
    loop {
        let woken = py.detach(|| {
            let slice = Instant::now() + SLICE;
            loop {
                if what.is_ready() {
                    return Woken::Ready;
                }
                if let Some(job) = seat.as_ref().and_then(Seat::take) {
                    return Woken::Job(job);
                }
                let now = Instant::now();
                let deadline = what.deadline();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Woken::Late;
                }
                if slice <= now {
                    return Woken::Slice;
                }
                let until = deadline.map_or(slice, |deadline| deadline.min(slice));
                std::thread::park_timeout(until - now);
            }
        });
        match woken {
            Woken::Ready => return what.finish(py),
            Woken::Late => return what.expire(py),
            Woken::Slice => py.check_signals()?,
            Woken::Job(delivered) => {
                let job = Py::new(py, Job::new(delivered))?;
                let rest = Mutex::new(Some((what, seat)));
                return Ok(Py::new(py, Pending { job, rest })?.into_any());
            }
        }
    }
}

/// An answer that has not come, left because a call of the same chain wants to run first.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Pending {
    #[pyo3(get)]
    job: Py<Job>,
    rest: Mutex<Option<(Box<dyn Waitable>, Option<Seat>)>>,
}

#[pymethods]
impl Pending {
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let rest = self.rest.lock().take();
        let Some((what, seat)) = rest else {
            let text = "this was waited for already";
            return Err(pyo3::exceptions::PyRuntimeError::new_err(text));
        };
        wait(py, what, seat)
    }
}

/// Runs something of a node's life on the runtime, and waits for it. A signal handler that raises
/// ends it.
pub(super) fn run<T: Send + 'static>(
    py: Python<'_>,
    future: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let runtime = process::current().runtime()?;
    let outcome = Arc::new(Mutex::new(None));
    let (into, wake) = (Arc::clone(&outcome), ThreadWake::current());
    let task = runtime.spawn(async move {
        let value = future.await;
        *into.lock() = Some(value);
        wake.wake();
    });
    loop {
        let value = py.detach(|| {
            let until = Instant::now() + SLICE;
            loop {
                let value = outcome.lock().take();
                let now = Instant::now();
                if value.is_some() || until <= now {
                    return value;
                }
                std::thread::park_timeout(until - now);
            }
        });
        if let Some(value) = value {
            return Ok(value);
        }
        if let Err(error) = py.check_signals() {
            task.abort();
            return Err(error);
        }
        if task.is_finished() && outcome.lock().is_none() {
            let text = "the engine failed inside; its log says more";
            return Err(pyo3::exceptions::PyRuntimeError::new_err(text));
        }
    }
}
