//! Calls that came for one node, waiting for its threads, and what it offers.
//!
//! The threads belong to Python and are made by it; they come here for work. While one of them
//! waits in a call that it made from inside a callback, it has a seat: calls of the same chain are
//! handed to it there, so that `workers=1` never waits for itself.

mod seats;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, MutexGuard};
use hashbrown::HashMap;
use pyo3::prelude::*;

use super::completions::Completions;
use super::job::Job;
use super::memory::{self, Memory};
use super::queue::Queue;
use super::reception::Reception;
use super::wait::{SLICE, ThreadWake};
use crate::node::{Executor, Incoming, Origin, SOLO};
use seats::Chair;
pub(super) use seats::Seat;

thread_local! {
    /// The mailbox that this thread takes jobs from.
    static OWN: RefCell<Option<Arc<Post>>> = const { RefCell::new(None) };
}

/// A call on its way to the thread that will run it.
pub(super) struct Delivered {
    pub(super) incoming: Incoming,
    pub(super) post: Arc<Post>,
}

/// What a mailbox shares with the engine.
pub(super) struct Post {
    state: Mutex<State>,
    came: Condvar,
    workers: usize,
    memory: Arc<Memory>,
    /// What is offered, by name.
    functions: Mutex<HashMap<String, Py<PyAny>>>,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// Threads that wait for work and were not called, the reader included.
    idle: usize,
    /// Threads that were called and have not woken up yet.
    called: usize,
    /// A thread that reads the connection that its next call will come over.
    reader: Option<Arc<ThreadWake>>,
    /// Where the last calls came from, and how many in a row found nothing to do here.
    last: (Origin, u32),
    threads: usize,
    closed: bool,
    /// Threads that wait inside a callback, by chain, the innermost last.
    seats: HashMap<u64, Vec<Arc<Chair>>>,
}

impl State {
    /// A thread has woken up. It may be another one than was called: that one then counts as idle.
    fn leave(&mut self) {
        let count = if self.called > 0 { &mut self.called } else { &mut self.idle };
        *count -= 1;
    }
}

impl Executor for Post {
    fn submit(&self, calls: Vec<Incoming>) {
        let mut state = self.state.lock();
        if state.closed {
            // Dropped after the lock is gone: they answer.
            drop(state);
            return;
        }
        let (mut came, mut chairs) = (0, Vec::new());
        for incoming in calls {
            let chain = incoming.chain();
            let chair = match chain {
                0 => None,
                chain => state.seats.get(&chain).and_then(|chairs| chairs.last()).cloned(),
            };
            if let Some(chair) = chair {
                chair.jobs.lock().push_back(incoming);
                chairs.push(chair);
            } else {
                state.queue.push_back(incoming);
                came += 1;
            }
        }
        // The reader takes the first; where it is the one that came with it, it is not asleep.
        let reader = state.reader.clone().filter(|_| came > 0);
        let others = came.min(state.queue.len() - usize::from(reader.is_some()));
        let called = others.min(state.idle - usize::from(state.reader.is_some()));
        state.idle -= called;
        state.called += called;
        drop(state);
        chairs.iter().for_each(|chair| chair.wake.wake());
        if let Some(reader) = reader {
            reader.ring();
        }
        (0..called).for_each(|_| self.came.notify_one());
    }

    fn sweep(&self) {
        // Dropped, and so answered, after the lock is gone.
        drop(self.take_cancelled());
    }
}

impl Post {
    /// Takes out the calls that were given up.
    fn take_cancelled(&self) -> VecDeque<Incoming> {
        self.state.lock().queue.take_cancelled()
    }

    /// No more calls are taken; those that wait are dropped, and so answered.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
        self.wake_all(state);
        drop(dropped);
    }

    /// The memory that large results are sent from.
    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Whether no call waits here, and it is not closed.
    pub(super) fn has_nothing_else(&self) -> bool {
        let state = self.state.lock();
        state.queue.is_empty() && !state.closed
    }

    fn offer(&self, functions: Vec<(String, Py<PyAny>)>) {
        let functions = functions.into_iter().collect();
        let before = std::mem::replace(&mut *self.functions.lock(), functions);
        // Not under the lock: what it held may end with it, and run code of its own.
        drop(before);
    }

    /// The function of this name.
    pub(super) fn function(&self, py: Python<'_>, name: &str) -> Option<Py<PyAny>> {
        self.functions.lock().get(name).map(|function| function.clone_ref(py))
    }

    fn wake_all(&self, state: MutexGuard<'_, State>) {
        let reader = state.reader.clone();
        drop(state);
        if let Some(reader) = reader {
            reader.ring();
        }
        self.came.notify_all();
    }

    /// Whether the calling thread is one of this mailbox's, that is, runs a callback.
    pub(super) fn is_own_thread(&self) -> bool {
        OWN.with_borrow(|own| own.as_ref().is_some_and(|own| std::ptr::eq(Arc::as_ptr(own), self)))
    }

    fn next(&self, most: Duration) -> Option<Option<Incoming>> {
        let mut state = self.state.lock();
        let waits = |state: &mut State| state.queue.is_empty() && !state.closed;
        if waits(&mut state) {
            state.idle += 1;
            state = self.read(state, most);
            state.leave();
        }
        let until = Instant::now() + most;
        while waits(&mut state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Counted anew each time: whoever was called and comes too late may be called again.
            state.idle += 1;
            self.came.wait_for(&mut state, left);
            state.leave();
        }
        match state.queue.pop_front() {
            Some(incoming) => {
                let (origin, solo) = std::mem::take(&mut state.last);
                let same = origin.is(incoming.origin()) && state.queue.is_empty();
                let solo = if same { solo.saturating_add(1) } else { 0 };
                state.last = (incoming.origin().clone(), solo);
                Some(Some(incoming))
            }
            None => state.closed.then_some(None),
        }
    }

    /// Reads the connection that the last calls came over, where they were alone and nobody else
    /// reads for this mailbox.
    fn read<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        most: Duration,
    ) -> MutexGuard<'a, State> {
        let (origin, solo) = &state.last;
        if state.reader.is_some() || *solo < SOLO {
            return state;
        }
        let Some(reading) = origin.reading() else { return state };
        let wake = ThreadWake::own();
        let Some(bell) = wake.bell() else { return state };
        state.reader = Some(Arc::clone(&wake));
        drop(state);
        let came = || {
            let state = self.state.lock();
            !state.queue.is_empty() || state.closed
        };
        let until = Instant::now() + most.min(SLICE);
        memory::reading(|| reading.wait(bell, until, came));
        let mut state = self.state.lock();
        state.reader = None;
        if state.queue.is_empty() {
            // The runtime can do that while little comes.
            state.last = Default::default();
        }
        state
    }
}

/// Calls that came for one node, waiting for the threads that run them.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Mailbox {
    pub(super) post: Arc<Post>,
    /// Who runs where, on a node whose own world is an event loop.
    reception: Option<Arc<Reception>>,
}

impl Mailbox {
    /// Who takes the calls that come.
    pub(super) fn executor(&self) -> Arc<dyn Executor> {
        match &self.reception {
            Some(reception) => Arc::clone(reception) as Arc<dyn Executor>,
            None => Arc::clone(&self.post) as Arc<dyn Executor>,
        }
    }
}

#[pymethods]
impl Mailbox {
    #[new]
    #[pyo3(signature = (workers, on_loop=false))]
    fn new(workers: usize, on_loop: bool) -> Self {
        let post = Arc::new(Post {
            state: Mutex::default(),
            came: Condvar::new(),
            workers: workers.max(1),
            memory: super::process::current().memory(),
            functions: Mutex::default(),
        });
        let reception = on_loop.then(|| Reception::new(Arc::clone(&post), workers.max(1)));
        Self { post, reception }
    }

    #[getter]
    fn workers(&self) -> usize {
        self.post.workers
    }

    fn settle(&self, completions: &Bound<'_, Completions>, start: Py<PyAny>) {
        if let Some(reception) = &self.reception {
            reception.settle(Arc::clone(&completions.get().queue), start);
        }
    }

    fn set_coroutines(&self, names: Vec<String>) {
        if let Some(reception) = &self.reception {
            reception.set_coroutines(names);
        }
    }

    fn offer(&self, functions: Vec<(String, Py<PyAny>)>) {
        self.post.offer(functions);
    }

    fn take(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        let post = &self.post;
        OWN.with_borrow_mut(|own| {
            if own.is_none() {
                *own = Some(Arc::clone(post));
            }
        });
        let ready = {
            let mut state = post.state.lock();
            let ready = state.queue.pop_front();
            if ready.is_some() {
                state.last = Default::default();
            }
            ready
        };
        let incoming = match ready {
            Some(incoming) => Some(incoming),
            None => loop {
                if let Some(next) = py.detach(|| post.next(SLICE * 10)) {
                    break next;
                }
                py.check_signals()?;
            },
        };
        let delivered = incoming.map(|incoming| Delivered { incoming, post: Arc::clone(post) });
        Ok(delivered.map(Job::taken))
    }

    /// Whether this job came to this mailbox.
    fn has(&self, job: &Bound<'_, Job>) -> bool {
        Arc::ptr_eq(job.get().post(), &self.post)
    }

    fn crowded(&self) -> bool {
        let mut state = self.post.state.lock();
        let busy = state.idle + state.called == 0;
        let more = busy && state.threads < self.post.workers && !state.closed;
        state.threads += usize::from(more);
        more
    }

    fn close(&self, py: Python<'_>) {
        match &self.reception {
            Some(reception) => py.detach(|| reception.close()),
            None => py.detach(|| self.post.close()),
        }
        self.post.offer(Vec::new());
    }

    fn __len__(&self) -> usize {
        self.post.state.lock().queue.len()
    }
}
