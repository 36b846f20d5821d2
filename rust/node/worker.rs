use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use bytes::Bytes;
use hashbrown::HashMap;
use tokio::sync::Notify;

use super::incoming::{Facts, Incoming};
use super::inflow::Inflow;
use super::{Counts, Message, Origin, Pace, Wake};
use crate::wire::{Failure, Flags, Frame, Key, Kind};

/// How many calls that came together are handed over at once.
const TOGETHER: usize = 32;

/// Whoever runs functions.
pub trait Executor: Send + Sync + 'static {
    /// Takes over calls, in their order. Never blocks; called from any thread. What is dropped
    /// unanswered is answered with an error.
    fn submit(&self, calls: Vec<Incoming>);

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
    /// A call of this id and size no longer waits here, or an item of a stream, which counts for
    /// nothing. `more` says whether others wait, which will be told of later.
    fn begun(&self, call: Option<(u64, usize)>, more: &dyn Fn() -> bool);
}

/// What is known of a call while it waits or runs.
#[derive(Default)]
pub(super) struct Run {
    pub(super) cancelled: AtomicBool,
    /// It does not wait any more; of a stream, one of its items.
    pub(super) begun: AtomicBool,
    pub(super) wake: Mutex<Option<Arc<dyn Wake>>>,
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
    pub(super) name: String,
    executor: Arc<dyn Executor>,
    pub(super) uplink: Box<dyn Uplink>,
    pub(super) counts: Arc<Counts>,
    pub(super) max_message: u64,
    /// What is said of pickles, where those who send us calls are not trusted.
    pub(super) refusal: Option<Failure>,
    pub(super) runs: Mutex<HashMap<u64, Arc<Run>>>,
    inflows: Mutex<HashMap<u64, Arc<Inflow>>>,
    /// Calls that wait, and that run, with those that nobody waits for.
    pub(super) waiting: AtomicUsize,
    pub(super) running: AtomicUsize,
    changed: Notify,
}

impl Worker {
    pub(super) fn new(
        name: String,
        executor: Arc<dyn Executor>,
        uplink: Box<dyn Uplink>,
        counts: Arc<Counts>,
        max_message: u64,
        refusal: Option<Failure>,
    ) -> Arc<Self> {
        Arc::new(Self {
            max_message,
            refusal,
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

    /// Takes in what came from there for whoever runs functions. Calls that came together are handed
    /// over together, some at a time: whoever runs them need not wait for the last.
    pub(super) fn take_in(
        self: &Arc<Self>,
        messages: impl IntoIterator<Item = Message>,
        origin: &Origin,
    ) {
        let mut calls = Vec::new();
        for message in messages {
            if message.frame.kind == Kind::Call {
                calls.extend(self.call(message, origin));
            } else {
                // What else there is may be about them.
                self.hand_over(&mut calls);
                self.take_in_other(message, origin);
            }
            if calls.len() >= TOGETHER {
                self.hand_over(&mut calls);
            }
        }
        self.hand_over(&mut calls);
    }

    fn hand_over(&self, calls: &mut Vec<Incoming>) {
        if !calls.is_empty() {
            self.executor.submit(std::mem::take(calls));
        }
    }

    fn call(self: &Arc<Self>, message: Message, origin: &Origin) -> Option<Incoming> {
        let oneway = message.frame.flags.has(Flags::ONEWAY);
        let run = (!oneway).then(Arc::<Run>::default);
        if let Some(run) = &run {
            self.runs.lock().insert(message.frame.id, Arc::clone(run));
        }
        let style = if oneway { Style::Oneway } else { Style::Call };
        self.incoming(None, message, style, run, None, origin)
    }

    fn take_in_other(self: &Arc<Self>, message: Message, origin: &Origin) {
        let id = message.frame.id;
        match message.frame.kind {
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
                self.begun(Some((id, 0)));
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

    /// An item of a stream.
    pub(super) fn submit_item(
        self: &Arc<Self>,
        head: Frame,
        item: Message,
        style: Style,
        run: Arc<Run>,
        inflow: Arc<Inflow>,
        origin: &Origin,
    ) {
        if let Some(incoming) =
            self.incoming(Some(head), item, style, Some(run), Some(inflow), origin)
        {
            self.executor.submit(vec![incoming]);
        }
    }

    /// A call, which is its own head, or an item for whoever runs functions; nothing where they never
    /// get to see it.
    fn incoming(
        self: &Arc<Self>,
        head: Option<Frame>,
        mut payload: Message,
        style: Style,
        run: Option<Arc<Run>>,
        inflow: Option<Arc<Inflow>>,
        origin: &Origin,
    ) -> Option<Incoming> {
        let size = payload.weight();
        let left = payload.frame.fields.number(Key::Deadline).map(Duration::from_micros);
        let deadline = left.and_then(|left| Instant::now().checked_add(left));
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let worker = Arc::clone(self);
        let head = head.unwrap_or_else(|| behead(&mut payload.frame));
        let payload = Some(payload);
        let incoming = Incoming::new(Facts {
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
        let Some(failure) = incoming.refusal() else { return Some(incoming) };
        if matches!(style, Style::Oneway | Style::OnewayItem) {
            let (function, text) = (incoming.function(), &failure.message);
            log::warn!(target: "daffi.node", "a call of {function:?} that nobody waits for: {text}");
        }
        incoming.fail(failure);
        None
    }

    /// Nothing more of a stream will run; false when there is none.
    pub(super) fn forget_stream(&self, id: u64, cancelled: bool) -> bool {
        let inflow = self.inflows.lock().remove(&id);
        if let Some(inflow) = &inflow {
            inflow.close(cancelled);
        }
        inflow.is_some()
    }

    /// A call, or an item of a stream, no longer waits here; it is not counted in `waiting` any
    /// more.
    pub(super) fn begun(&self, call: Option<(u64, usize)>) {
        self.uplink.begun(call, &|| self.waiting.load(Ordering::Acquire) > 0);
    }

    pub(super) fn send(&self, message: Message) {
        // More answers follow soon while calls wait: one write for several.
        let busy = self.waiting.load(Ordering::Relaxed) > 0;
        self.uplink.send(message, if busy { Pace::Soon } else { Pace::Now });
    }

    pub(super) fn send_soon(&self, message: Message) {
        self.uplink.send(message, Pace::Soon);
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

/// Takes what a frame says from its body, which keeps the fields only where they tell how it is laid
/// out.
fn behead(frame: &mut Frame) -> Frame {
    let fields = match frame.fields.get(Key::Layout) {
        Some(_) => frame.fields.clone(),
        None => std::mem::take(&mut frame.fields),
    };
    let Frame { kind, format, flags, id, .. } = *frame;
    Frame { kind, format, flags, id, fields, body: Bytes::new() }
}
