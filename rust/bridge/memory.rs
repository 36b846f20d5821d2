#![allow(unsafe_code, reason = "Python's objects are filled before anybody else can see them")]

//! Python's memory for large messages.
//!
//! A large body arrives in the `bytes` or `bytearray` that its receiver will get. Such objects are
//! made by a thread of their own, which may wait for the GIL while nobody who reads a connection
//! does; or by a thread of Python's that read it, and does not while it makes them. The former also
//! lets go of buffers that were lent for sending, and tells asyncio what became of what it awaits.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::sync::Mutex;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::{Py, ffi};

use super::journal::Entry;
use super::pages;
use crate::node::{Landing, Landings, Ready};
use crate::wire::Segment;

/// How many announced bytes may be under way in one process.
const BUDGET: u64 = 4 * 1024 * 1024 * 1024;

/// Somebody wants memory for these segments.
struct Request {
    segments: Vec<Segment>,
    beside: bool,
    ready: Ready,
}

enum Order {
    Land(Request, Share),
    Release(PyBuffer<u8>),
    Log(Entry),
    Run(Box<dyn FnOnce() + Send>),
}

/// The thread that gets memory from Python, and what it may still hand out.
pub(super) struct Memory {
    /// Gone once the interpreter is about to end.
    orders: Mutex<Option<Sender<Order>>>,
    /// Breaks when the thread has ended.
    ended: Mutex<Receiver<()>>,
    budget: Mutex<Budget>,
    /// A message under way has its pages before it arrives.
    prefaulted: AtomicBool,
    me: std::sync::Weak<Memory>,
}

struct Budget {
    left: u64,
    waiting: VecDeque<(u64, Request)>,
}

impl Memory {
    pub(super) fn start() -> Arc<Self> {
        let (sender, orders) = channel();
        let (end, ended) = channel::<()>();
        let work = move || {
            let _end = end;
            for order in orders {
                match order {
                    Order::Land(request, share) => request.land(share),
                    Order::Log(entry) => {
                        // What a handler of logging raises is shown by logging itself.
                        Python::try_attach(|py| drop(entry.write(py)));
                    }
                    Order::Run(function) => {
                        Python::try_attach(|_| function());
                    }
                    Order::Release(buffer) => {
                        // When the interpreter is gone, so is the buffer's owner.
                        let buffer = std::mem::ManuallyDrop::new(buffer);
                        Python::try_attach(|_| drop(std::mem::ManuallyDrop::into_inner(buffer)));
                    }
                }
            }
        };
        let spawned = std::thread::Builder::new().name("daffi-memory".into()).spawn(work);
        if let Err(error) = spawned {
            log::error!(target: "daffi.bridge", "no thread for memory: {error}");
        }
        let budget = Budget { left: BUDGET, waiting: VecDeque::new() };
        Arc::new_cyclic(|me| Self {
            orders: Mutex::new(Some(sender)),
            ended: Mutex::new(ended),
            budget: Mutex::new(budget),
            prefaulted: AtomicBool::new(false),
            me: me.clone(),
        })
    }

    fn order(&self, order: Order) {
        let refused = match &*self.orders.lock() {
            Some(orders) => orders.send(order).err().map(|error| error.0),
            None => Some(order),
        };
        match refused {
            Some(Order::Land(request, share)) => {
                drop(share);
                (request.ready)(None);
            }
            // Only Python may free it.
            Some(Order::Release(buffer)) => std::mem::forget(buffer),
            Some(Order::Log(_) | Order::Run(_)) | None => {}
        }
    }

    /// The interpreter is about to end: does what was ordered, for at most so long, and from then
    /// on leaves Python alone. To attach to one that ends would end the process, not nicely.
    pub(super) fn close(&self, most: Duration) {
        self.orders.lock().take();
        // Nothing is ever sent: it breaks when the thread ends.
        let _ = self.ended.lock().recv_timeout(most);
    }

    /// Lets go of a buffer.
    pub(super) fn release(&self, buffer: PyBuffer<u8>) {
        self.order(Order::Release(buffer));
    }

    /// Hands a message over to Python's `logging`.
    pub(super) fn log(&self, entry: Entry) {
        self.order(Order::Log(entry));
    }

    /// Does something that needs Python.
    pub(super) fn run(&self, function: impl FnOnce() + Send + 'static) {
        self.order(Order::Run(Box::new(function)));
    }

    fn give_back(&self, bytes: u64) {
        let mut freed = Vec::new();
        let mut budget = self.budget.lock();
        budget.left += bytes;
        while budget.waiting.front().is_some_and(|(total, ..)| *total <= budget.left) {
            let Some((total, request)) = budget.waiting.pop_front() else { break };
            budget.left -= total;
            let share = Share { memory: self.me.clone(), bytes: total, turn: false };
            freed.push(Order::Land(request, share));
        }
        // One that is refused comes back here.
        drop(budget);
        freed.into_iter().for_each(|order| self.order(order));
    }
}

thread_local! {
    /// This is a thread of Python's, detached, that reads a connection: it may attach for memory.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Lets the calling thread, which is one of Python's and detached, make the memory for what it reads
/// by itself.
pub(super) fn reading<T>(read: impl FnOnce() -> T) -> T {
    struct Reads;
    impl Drop for Reads {
        fn drop(&mut self) {
            READS.set(false);
        }
    }
    READS.set(true);
    let _reads = Reads;
    read()
}

impl Landings for Memory {
    fn reserve(&self, segments: Vec<Segment>, beside: bool, ready: Ready) {
        let total: u64 = segments.iter().map(|segment| segment.len).sum();
        let request = Request { segments, beside, ready };
        let mut budget = self.budget.lock();
        if total > budget.left && total <= BUDGET {
            budget.waiting.push_back((total, request));
            return;
        }
        budget.left = budget.left.saturating_sub(total);
        drop(budget);
        let share = Share { memory: self.me.clone(), bytes: total, turn: false };
        if READS.get() && self.orders.lock().is_some() {
            return request.land(share);
        }
        self.order(Order::Land(request, share));
    }
}

impl Request {
    fn land(self, share: Share) {
        let Self { segments, beside, ready } = self;
        let made = Python::try_attach(|py| Landed::make(py, &segments, share)).flatten();
        let Some(mut landed) = made else { return ready(None) };
        if !beside || !landed.is_long() || !landed.share.take_turn() {
            return ready(Some(Box::new(landed)));
        }
        let held = Arc::new(Mutex::new(Some((landed, ready))));
        let work = {
            let held = Arc::clone(&held);
            move || {
                let Some((landed, ready)) = held.lock().take() else { return };
                landed.prefault();
                ready(Some(Box::new(landed)));
            }
        };
        let thread = std::thread::Builder::new().name("daffi-pages".into());
        if thread.spawn(work).is_err()
            && let Some((landed, ready)) = held.lock().take()
        {
            ready(Some(Box::new(landed)));
        }
    }
}

/// A part of the budget, until the message has arrived or been given up.
struct Share {
    memory: std::sync::Weak<Memory>,
    bytes: u64,
    /// Its pages are there before it arrives, which one message at a time may have: whoever only
    /// announces much gets no more than that.
    turn: bool,
}

impl Share {
    fn take_turn(&mut self) -> bool {
        let memory = self.memory.upgrade();
        self.turn = memory.is_some_and(|memory| !memory.prefaulted.swap(true, Ordering::AcqRel));
        self.turn
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.upgrade() {
            if self.turn {
                memory.prefaulted.store(false, Ordering::Release);
            }
            memory.give_back(self.bytes);
        }
    }
}

struct Part {
    object: Py<PyAny>,
    start: *mut MaybeUninit<u8>,
    len: usize,
}

/// A large message in Python's memory.
pub(super) struct Landed {
    parts: Vec<Part>,
    share: Share,
}

// SAFETY: the pointers are into objects that `parts` keeps alive and that nobody else knows yet.
unsafe impl Send for Landed {}

impl std::fmt::Debug for Landed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Landed").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl Landed {
    fn make(py: Python<'_>, segments: &[Segment], share: Share) -> Option<Self> {
        let parts =
            segments.iter().map(|segment| Part::make(py, segment)).collect::<Option<_>>()?;
        Some(Self { parts, share })
    }

    fn is_long(&self) -> bool {
        self.parts.iter().map(|part| part.len).sum::<usize>() >= pages::PREFAULT_FROM
    }

    fn prefault(&self) {
        pages::prefault(self.parts.iter().map(|part| (part.start, part.len)));
    }

    /// The finished objects.
    pub(super) fn into_objects(self) -> Vec<Py<PyAny>> {
        self.parts.into_iter().map(|part| part.object).collect()
    }
}

impl Part {
    fn make(py: Python<'_>, segment: &Segment) -> Option<Self> {
        let size = ffi::Py_ssize_t::try_from(segment.len).ok()?;
        // SAFETY: both make a new object of `size` bytes that are not initialised, or set an
        // error, which is taken; both pointers stay valid as long as the object is not resized.
        let (object, start) = unsafe {
            let raw = match segment.read_only {
                true => ffi::PyBytes_FromStringAndSize(std::ptr::null(), size),
                false => ffi::PyByteArray_FromStringAndSize(std::ptr::null(), size),
            };
            let Ok(object) = Bound::from_owned_ptr_or_err(py, raw) else {
                return None;
            };
            let start = match segment.read_only {
                true => ffi::PyBytes_AsString(raw),
                false => ffi::PyByteArray_AsString(raw),
            };
            (object.unbind(), start.cast())
        };
        let len = usize::try_from(segment.len).ok()?;
        pages::prefer_huge(start, len);
        Some(Self { object, start, len })
    }
}

impl Landing for Landed {
    fn room(&mut self, offset: u64) -> &mut [MaybeUninit<u8>] {
        let mut offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for part in &mut self.parts {
            if offset < part.len {
                // SAFETY: within the object's memory, which only we know.
                return unsafe {
                    std::slice::from_raw_parts_mut(part.start.add(offset), part.len - offset)
                };
            }
            offset -= part.len;
        }
        &mut []
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
