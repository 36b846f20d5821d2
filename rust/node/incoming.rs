use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::inflow::Inflow;
use super::worker::{Run, Style, Worker};
use super::{Message, Origin, Wake};
use crate::hub::Pickles;
use crate::wire::{Failure, FailureKind, Format, Frame, Key, Kind, Ran};

/// A call that came for us. Dropped unanswered, it answers with an error.
pub struct Incoming {
    pub(super) head: Frame,
    pub(super) payload: Option<Message>,
    pub(super) size: usize,
    pub(super) style: Style,
    pub(super) deadline: Option<Instant>,
    pub(super) run: Arc<Run>,
    pub(super) inflow: Option<Arc<Inflow>>,
    pub(super) origin: Origin,
    pub(super) worker: Arc<Worker>,
    pub(super) begun: bool,
    pub(super) open: bool,
    pub(super) closed: Option<Box<dyn FnOnce() + Send>>,
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

    /// Why its payload must not be read, where that is a pickle of somebody who is not trusted: by
    /// us, or by the server that the call entered by.
    pub(super) fn refusal(&self) -> Option<Failure> {
        if self.format() != Format::Pickle {
            return None;
        }
        let vouched = self.head.fields.origin().is_some_and(|(_, trusted)| trusted);
        let unvouched = || Pickles::Unproven.refusal_of_client(self.caller());
        self.worker.refusal.clone().or_else(|| (!vouched).then(unvouched).flatten())
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
    pub fn format(&self) -> Format {
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
        self.worker.begun(self.inflow.is_none().then_some((self.head.id, self.size)));
    }

    fn close(&mut self, outcome: Result<Message, Failure>) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        let worker = &self.worker;
        let gauge = if self.begun { &worker.running } else { &worker.waiting };
        gauge.fetch_sub(1, Ordering::AcqRel);
        if !self.begun {
            self.no_longer_waits();
        }
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
