use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use hashbrown::HashMap;
use tokio::sync::Notify;

use super::inflow::Inflow;
use super::{Counts, Message, Origin, Pace, Wake};
use crate::wire::{Failure, FailureKind, Flags, Frame, Key, Kind, Ran};

/// Whoever runs functions.
pub trait Executor: Send + Sync + 'static {
    /// Takes over a call. Never blocks; called from any thread. What is dropped unanswered is
    /// answered with an error.
    fn submit(&self, incoming: Incoming);

    /// Some call that waited was given up: those that wait and are cancelled may be dropped.
    fn sweep(&self);
}

/// What is expected of whoever runs a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// An answer.
    Call,
    /// Nothing: nobody waits.
    Oneway,
    /// An answer, which acknowledges one item of a stream.
    Item,
    /// Nothing: an item of a stream without acknowledgements.
    OnewayItem,
}

/// Where what a worker says goes.
pub(super) trait Uplink: Send + Sync + 'static {
    fn send(&self, message: Message, pace: Pace);
    /// A call of this size no longer waits here.
    fn begun(&self, id: u64, bytes: usize);
}

/// What is known of a call while it waits or runs.
#[derive(Default)]
pub(super) struct Run {
    cancelled: AtomicBool,
    /// It does not wait any more; of a stream, one of its items.
    begun: AtomicBool,
    wake: Mutex<Option<Arc<dyn Wake>>>,
}

impl Run {
    fn mark(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(super) fn cancel(&self) {
        self.mark();
        let wake = self.wake.lock().clone();
        if let Some(wake) = wake {
            wake.wake();
        }
    }
}

/// The calls that came for one node over one connection, or in a Service over all of them.
pub(super) struct Worker {
    name: String,
    executor: Arc<dyn Executor>,
    uplink: Box<dyn Uplink>,
    pub(super) counts: Arc<Counts>,
    max_message: u64,
    runs: Mutex<HashMap<u64, Arc<Run>>>,
    inflows: Mutex<HashMap<u64, Arc<Inflow>>>,
    /// Calls that wait, and that run, with those that nobody waits for.
    waiting: AtomicUsize,
    running: AtomicUsize,
    changed: Notify,
}

impl Worker {
    pub(super) fn new(
        name: String,
        executor: Arc<dyn Executor>,
        uplink: Box<dyn Uplink>,
        counts: Arc<Counts>,
        max_message: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            max_message,
            name,
            executor,
            uplink,
            counts,
            runs: Mutex::default(),
            inflows: Mutex::default(),
            waiting: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    /// Takes in what came from there for whoever runs functions.
    pub(super) fn take_in(self: &Arc<Self>, message: Message, origin: &Origin) {
        let id = message.frame.id;
        match message.frame.kind {
            Kind::Call => {
                let oneway = message.frame.flags.has(Flags::ONEWAY);
                let run = Arc::new(Run::default());
                if !oneway {
                    self.runs.lock().insert(id, Arc::clone(&run));
                }
                let head = message.frame.clone();
                let style = if oneway { Style::Oneway } else { Style::Call };
                self.submit(head, message, style, run, None, origin);
            }
            Kind::Cancel => {
                let run = self.runs.lock().remove(&id);
                let waits = match run {
                    Some(run) => {
                        run.cancel();
                        !run.begun.load(Ordering::Acquire)
                    }
                    None => self.forget_stream(id, true),
                };
                if waits {
                    self.executor.sweep();
                }
            }
            Kind::Open => {
                let inflow = Inflow::new(message.frame, origin.clone());
                self.inflows.lock().insert(id, Arc::clone(&inflow));
                self.uplink.begun(id, 0);
                inflow.open(self);
            }
            Kind::Item | Kind::End => {
                let inflow = self.inflows.lock().get(&id).cloned();
                if let Some(inflow) = inflow {
                    inflow.take_in(self, message);
                }
            }
            _ => {}
        }
    }

    pub(super) fn submit(
        self: &Arc<Self>,
        head: Frame,
        payload: Message,
        style: Style,
        run: Arc<Run>,
        inflow: Option<Arc<Inflow>>,
        origin: &Origin,
    ) {
        let size = payload.weight();
        let left = payload.frame.fields.number(Key::Deadline).map(Duration::from_micros);
        let deadline = left.and_then(|left| Instant::now().checked_add(left));
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let worker = Arc::clone(self);
        let payload = Some(payload);
        self.executor.submit(Incoming {
            head,
            payload,
            size,
            style,
            deadline,
            run,
            inflow,
            origin: origin.clone(),
            worker,
            begun: false,
            open: true,
            closed: None,
        });
    }

    /// Nothing more of a stream will run; false when there is none.
    pub(super) fn forget_stream(&self, id: u64, cancelled: bool) -> bool {
        let inflow = self.inflows.lock().remove(&id);
        if let Some(inflow) = &inflow {
            inflow.close(cancelled);
        }
        inflow.is_some()
    }

    pub(super) fn send(&self, message: Message) {
        // More answers follow soon while calls wait: one write for several.
        let busy = self.waiting.load(Ordering::Relaxed) > 0;
        self.uplink.send(message, if busy { Pace::Soon } else { Pace::Now });
    }

    pub(super) fn fail(&self, id: u64, failure: Failure) {
        let body = failure.by(&self.name).encode();
        self.send(Frame::new(Kind::Failure, id).with_body(body).into());
    }

    /// Nobody can be answered any more: what waits must not run, what runs may stop.
    pub(super) fn abandon(&self) {
        let runs = std::mem::take(&mut *self.runs.lock());
        // All are marked before the first wakes: one that ends must not make room for another.
        for run in runs.values() {
            run.mark();
        }
        for run in runs.into_values() {
            run.cancel();
        }
        let inflows = std::mem::take(&mut *self.inflows.lock());
        for inflow in inflows.into_values() {
            inflow.close(true);
        }
        self.executor.sweep();
    }

    /// Calls that wait, calls that run, streams.
    pub(super) fn gauges(&self) -> (usize, usize, usize) {
        let load = |gauge: &AtomicUsize| gauge.load(Ordering::Acquire);
        (load(&self.waiting), load(&self.running), self.inflows.lock().len())
    }

    /// Waits until no more than so many calls wait or run, and no stream is open.
    pub(super) async fn idle(&self, but: usize) {
        loop {
            let changed = self.changed.notified();
            let (waiting, running, streams) = self.gauges();
            if waiting + running <= but && streams == 0 {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn changed(&self) {
        self.changed.notify_waiters();
    }
}

/// A call that came for us. Dropped unanswered, it answers with an error.
pub struct Incoming {
    head: Frame,
    payload: Option<Message>,
    size: usize,
    style: Style,
    deadline: Option<Instant>,
    run: Arc<Run>,
    inflow: Option<Arc<Inflow>>,
    origin: Origin,
    worker: Arc<Worker>,
    begun: bool,
    open: bool,
    closed: Option<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let function = self.function();
        f.debug_struct("Incoming").field("function", &function).finish_non_exhaustive()
    }
}

impl Incoming {
    /// The function that is called.
    pub fn function(&self) -> &str {
        self.head.fields.text(Key::Function).unwrap_or_default()
    }

    /// Who calls.
    pub fn caller(&self) -> &str {
        self.head.fields.origin().map_or("", |(name, _)| name)
    }

    /// Whether the server that the call entered by trusts the caller.
    pub fn is_trusted(&self) -> bool {
        self.head.fields.origin().is_some_and(|(_, trusted)| trusted)
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The chain that it belongs to; 0 for none.
    pub fn chain(&self) -> u64 {
        self.head.fields.number(Key::Chain).unwrap_or_default()
    }

    /// What is expected of us.
    pub fn style(&self) -> Style {
        self.style
    }

    /// When it is too late.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The largest answer, in bytes.
    pub fn max_message(&self) -> u64 {
        self.worker.max_message
    }

    /// The node that it came for.
    pub fn node(&self) -> &str {
        &self.worker.name
    }

    /// How its payload is written, which is how it is answered.
    pub fn format(&self) -> crate::wire::Format {
        self.payload.as_ref().map_or(self.head.format, |payload| payload.frame.format)
    }

    /// The payload; nothing once it was taken.
    pub fn take_payload(&mut self) -> Option<Message> {
        self.payload.take()
    }

    /// Whether the caller gave it up.
    pub fn is_cancelled(&self) -> bool {
        self.run.cancelled.load(Ordering::Acquire)
    }

    /// Whom to wake when the caller gives it up.
    pub fn wake_on_cancel(&self, wake: Arc<dyn Wake>) {
        *self.run.wake.lock() = Some(Arc::clone(&wake));
        if self.is_cancelled() {
            wake.wake();
        }
    }

    /// Whom to tell when it has been answered, or given up.
    pub fn when_closed(&mut self, tell: Box<dyn FnOnce() + Send>) {
        self.closed = Some(tell);
    }

    /// Begins to run it. False when it must not run any more; it is then answered already.
    pub fn begin(&mut self) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            // In this order: whoever waits for both to be none must not see neither.
            self.worker.running.fetch_add(1, Ordering::AcqRel);
            self.worker.waiting.fetch_sub(1, Ordering::AcqRel);
            self.run.begun.store(true, Ordering::Release);
            self.no_longer_waits();
        }
        if self.is_cancelled() {
            self.close(Err(Failure::new(FailureKind::Cancelled, Ran::No, "it was cancelled")));
            return false;
        }
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let text = "its time was over before it could begin";
            self.close(Err(Failure::new(FailureKind::Timeout, Ran::No, text)));
            return false;
        }
        true
    }

    /// Answers with this payload; a frame's kind and id are seen to.
    pub fn answer(mut self, payload: Message) {
        self.close(Ok(payload));
    }

    /// Answers with a failure.
    pub fn fail(mut self, failure: Failure) {
        self.close(Err(failure));
    }

    /// A stream gave its credit back when it was opened.
    fn no_longer_waits(&self) {
        if self.inflow.is_none() {
            self.worker.uplink.begun(self.head.id, self.size);
        }
    }

    fn close(&mut self, outcome: Result<Message, Failure>) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        if !self.begun {
            self.no_longer_waits();
        }
        let worker = &self.worker;
        let gauge = if self.begun { &worker.running } else { &worker.waiting };
        gauge.fetch_sub(1, Ordering::AcqRel);
        worker.counts.note(self.function(), outcome.is_err());
        let id = self.head.id;
        match (&self.inflow, outcome) {
            (Some(inflow), outcome) => inflow.done(worker, outcome.err()),
            // A late answer to a call that was given up goes nowhere.
            (None, _)
                if self.style == Style::Oneway || worker.runs.lock().remove(&id).is_none() => {}
            (None, Ok(Message { mut frame, rest })) => {
                (frame.kind, frame.id) = (Kind::Answer, id);
                worker.send(Message { frame, rest });
            }
            (None, Err(failure)) => worker.fail(id, failure),
        }
        worker.changed();
        if let Some(tell) = self.closed.take() {
            tell();
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let ran = if self.begun { Ran::Maybe } else { Ran::No };
        self.close(Err(Failure::new(FailureKind::Lost, ran, "it was dropped unanswered")));
    }
}
