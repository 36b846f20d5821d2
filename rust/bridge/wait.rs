//! The one way to wait.
//!
//! A waiting thread is parked without the GIL, or reads the connection that its answer comes on
//! (`node/session`, rule 2). It wakes for what it waits for, for a call of its
//! own chain where it is one of a node's callback threads, and every 100 ms to hear signals where
//! it is the main thread: no other hears any, and thousands that wake to ask would leave the GIL
//! to nobody else.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use pyo3::prelude::*;

use super::job::Job;
use super::mailbox::{Delivered, Seat};
use super::{memory, process};
use crate::node::{Bell, LoopReader, Reading, Wake};

/// How long Python's signal handlers may be kept waiting.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// How long a thread that hears no signals sleeps before it looks again.
const LOOK: Duration = Duration::from_secs(1);

/// Whether Python runs its signal handlers on the calling thread.
fn hears_signals(py: Python<'_>) -> bool {
    thread_local! {
        /// With the fork that it was found out in: the thread that forks is the child's main one.
        static KNOWN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    }
    let forks = crate::node::forks();
    if let Some((_, hears)) = KNOWN.get().filter(|(known, _)| *known == forks) {
        return hears;
    }
    let ask = || -> PyResult<bool> {
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        main.eq(threading.call_method0("get_ident")?)
    };
    let hears = ask().unwrap_or(true);
    KNOWN.set(Some((forks, hears)));
    hears
}

/// Wakes the thread that made it, whether it is parked or reads.
pub(super) struct ThreadWake {
    thread: Thread,
    /// Made when the thread first reads.
    bell: OnceLock<Option<Bell>>,
    forks: u32,
}

impl ThreadWake {
    /// For the calling thread.
    pub(super) fn current() -> Arc<dyn Wake> {
        Self::own()
    }

    pub(super) fn own() -> Arc<Self> {
        thread_local! {
            static OWN: RefCell<Option<Arc<ThreadWake>>> = const { RefCell::new(None) };
        }
        let forks = crate::node::forks();
        OWN.with_borrow_mut(|own| match own {
            Some(own) if own.forks == forks => Arc::clone(own),
            // The bell of a thread that forked is shared with its parent.
            _ => Arc::clone(own.insert(Arc::new(Self {
                thread: std::thread::current(),
                bell: OnceLock::new(),
                forks,
            }))),
        })
    }

    /// Nothing where the system has no more descriptors to give.
    pub(super) fn bell(&self) -> Option<&Bell> {
        self.bell.get_or_init(|| Bell::new().ok()).as_ref()
    }

    /// Wakes the thread if it reads.
    pub(super) fn ring(&self) {
        if let Some(Some(bell)) = self.bell.get() {
            bell.ring();
        }
    }
}

impl Wake for ThreadWake {
    fn wake(&self) {
        self.ring();
        self.thread.unpark();
    }
}

/// Something to wait for. Dropped before it has ended, it is given up.
pub(super) trait Waitable: Send {
    /// Whether it has ended. Called without the GIL.
    fn is_ready(&mut self) -> bool;

    /// When waiting ends all the same.
    fn deadline(&self) -> Option<Instant>;

    /// The same, asked when there is time to find out.
    fn limit(&self) -> Option<Instant> {
        self.deadline()
    }

    /// What the thread may read while it waits.
    fn reading(&self) -> Option<Reading> {
        None
    }

    /// Has the loop that waits for it read what comes, where that may pay.
    fn lend_to(&self, _reader: &Arc<LoopReader>) {}

    /// What came of it.
    fn finish(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;

    /// It took too long.
    fn expire(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

/// What a thread waits for, and where it is handed calls of its chain meanwhile.
pub(super) struct Waiting {
    pub(super) what: Box<dyn Waitable>,
    pub(super) seat: Option<Seat>,
}

/// What a look at what is waited for says.
pub(super) enum Look {
    /// It is there.
    Ready,
    /// Not yet; no longer than until then.
    Wait(Option<Instant>),
}

/// Why a parked thread goes on.
pub(super) enum Woken {
    /// What it waited for is there.
    Ready,
    /// Its time is over.
    Late,
    /// A call of its chain wants to run.
    Call(Box<Delivered>),
}

/// Parks the thread until a look says so, or a call came to its seat; or reads, where it may. What a
/// signal handler raises ends it.
pub(super) fn park(
    py: Python<'_>,
    mut look: impl FnMut() -> Look + Send,
    seat: Option<&Seat>,
    reading: Option<&Reading>,
) -> PyResult<Woken> {
    let hears = hears_signals(py);
    if crate::node::holder_here().is_some() {
        py.detach(crate::node::let_go);
    }
    let own = reading.map(|reading| (reading, ThreadWake::own()));
    loop {
        let (woken, turn) = py.detach(|| {
            let slice = Instant::now() + SLICE;
            let mut slept = false;
            let woken = loop {
                let Look::Wait(deadline) = look() else { break Some(Woken::Ready) };
                if let Some(call) = seat.and_then(Seat::take) {
                    break Some(Woken::Call(Box::new(call)));
                }
                let now = Instant::now();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    break Some(Woken::Late);
                }
                if hears && slice <= now {
                    break None;
                }
                let slice = if hears { slice } else { now + LOOK };
                let until = deadline.map_or(slice, |deadline| deadline.min(slice));
                let done = || seat.is_some_and(Seat::is_called) || matches!(look(), Look::Ready);
                let read = own.as_ref().is_some_and(|(reading, wake)| {
                    wake.bell()
                        .is_some_and(|bell| memory::reading(|| reading.wait(bell, until, done)))
                });
                if !read {
                    slept = true;
                    std::thread::park_timeout(until - now);
                }
            };
            (woken, slept.then(|| process::current().turnstile.turn(SLICE)))
        });
        // We have the GIL: the next may ask for it.
        drop(turn);
        match woken {
            Some(woken) => return Ok(woken),
            None => py.check_signals()?,
        }
    }
}

/// Waits. What comes back is what came of it, or a [`Pending`] with a call to run first.
pub(super) fn wait(py: Python<'_>, mut waiting: Waiting) -> PyResult<Py<PyAny>> {
    let Waiting { what, seat } = &mut waiting;
    let reading = what.reading();
    let look = || match what.is_ready() {
        true => Look::Ready,
        false => Look::Wait(what.deadline()),
    };
    match park(py, look, seat.as_ref(), reading.as_ref())? {
        Woken::Ready => what.finish(py),
        Woken::Late => what.expire(py),
        Woken::Call(call) => {
            let job = Py::new(py, Job::new(*call))?;
            let rest = Mutex::new(Some(waiting));
            Ok(Py::new(py, Pending { job, rest })?.into_any())
        }
    }
}

/// An answer that has not come, left because a call of the same chain wants to run first.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Pending {
    #[pyo3(get)]
    job: Py<Job>,
    rest: Mutex<Option<Waiting>>,
}

#[pymethods]
impl Pending {
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let rest = self.rest.lock().take();
        let Some(waiting) = rest else {
            let text = "this was waited for already";
            return Err(pyo3::exceptions::PyRuntimeError::new_err(text));
        };
        wait(py, waiting)
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
    let look = || match task.is_finished() || outcome.lock().is_some() {
        true => Look::Ready,
        false => Look::Wait(None),
    };
    park(py, look, None, None).inspect_err(|_| task.abort())?;
    let value = outcome.lock().take();
    value.ok_or_else(|| {
        pyo3::exceptions::PyRuntimeError::new_err("the engine failed inside; its log says more")
    })
}
