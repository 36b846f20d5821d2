use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::inflow::Inflow;
use super::worker::{Run, Style, Worker};
use super::{Message, Origin, Wake};
use crate::hub::Pickles;
use crate::wire::{Failure, FailureKind, Fields, Format, Frame, Key, Kind, Ran};

/// A call that came for us. Dropped unanswered, it answers with an error.
pub struct Incoming(Box<Facts>);

/// What there is to know of one. It passes through several hands, and is large.
pub(super) struct Facts {
    pub(super) head: Frame,
    pub(super) payload: Option<Message>,
    pub(super) size: usize,
    pub(super) style: Style,
    pub(super) deadline: Option<Instant>,
    /// Nothing where nobody can give it up.
    pub(super) run: Option<Arc<Run>>,
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
    pub(super) fn new(facts: Facts) -> Self {
        Self(Box::new(facts))
    }

    /// What the header says of it.
    pub fn fields(&self) -> &Fields {
        &self.0.head.fields
    }

    /// The function that is called.
    pub fn function(&self) -> &str {
        self.0.head.fields.text(Key::Function).unwrap_or_default()
    }

    /// Who calls.
    pub fn caller(&self) -> &str {
        self.0.head.fields.origin().map_or("", |(name, _)| name)
    }

    /// Why its payload must not be read, where that is a pickle of somebody who is not trusted: by
    /// us, or by the server that the call entered by.
    pub(super) fn refusal(&self) -> Option<Failure> {
        if self.format() != Format::Pickle {
            return None;
        }
        let vouched = self.0.head.fields.origin().is_some_and(|(_, trusted)| trusted);
        let unvouched = || Pickles::Unproven.refusal_of_client(self.caller());
        self.0.worker.refusal.clone().or_else(|| (!vouched).then(unvouched).flatten())
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The chain that it belongs to; 0 for none.
    pub fn chain(&self) -> u64 {
        self.0.head.fields.number(Key::Chain).unwrap_or_default()
    }

    /// What is expected of us.
    pub fn style(&self) -> Style {
        self.0.style
    }

    /// When it is too late.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// The largest answer, in bytes.
    pub fn max_message(&self) -> u64 {
        self.0.worker.max_message
    }

    /// The node that it came for.
    pub fn node(&self) -> &str {
        &self.0.worker.name
    }

    /// How its payload is written, which is how it is answered.
    pub fn format(&self) -> Format {
        self.0.payload.as_ref().map_or(self.0.head.format, |payload| payload.frame.format)
    }

    /// The payload; nothing once it was taken.
    pub fn take_payload(&mut self) -> Option<Message> {
        self.0.payload.take()
    }

    /// Whether the caller gave it up.
    pub fn is_cancelled(&self) -> bool {
        self.0.run.as_ref().is_some_and(|run| run.cancelled.load(Ordering::Acquire))
    }

    /// Whom to wake when the caller gives it up.
    pub fn wake_on_cancel(&self, wake: Arc<dyn Wake>) {
        let Some(run) = &self.0.run else { return };
        *run.wake.lock() = Some(Arc::clone(&wake));
        if self.is_cancelled() {
            wake.wake();
        }
    }

    /// Whom to tell when it has been answered, or given up.
    pub fn when_closed(&mut self, tell: Box<dyn FnOnce() + Send>) {
        self.0.closed = Some(tell);
    }

    /// Begins to run it, or the item that it has become. False when that must not run any more; it is
    /// then answered already.
    pub fn begin(&mut self) -> bool {
        if !std::mem::replace(&mut self.0.begun, true) {
            // In this order: whoever waits for both to be none must not see neither.
            self.0.worker.running.fetch_add(1, Ordering::AcqRel);
            self.0.worker.waiting.fetch_sub(1, Ordering::AcqRel);
            if let Some(run) = &self.0.run {
                run.begun.store(true, Ordering::Release);
            }
            self.no_longer_waits();
        }
        if self.is_cancelled() {
            self.close(Err(Failure::new(FailureKind::Cancelled, Ran::No, "it was cancelled")));
            return false;
        }
        if self.0.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let text = "its time was over before it could begin";
            self.close(Err(Failure::new(FailureKind::Timeout, Ran::No, text)));
            return false;
        }
        true
    }

    /// Ends an item of a stream that nobody waits for, which ran well, and becomes the next, where
    /// that has come in this format and its header says nothing else; it is to begin then. False
    /// where it is still the one that it was.
    pub fn become_next(&mut self, format: Format) -> bool {
        let Facts { style, inflow, worker, deadline, closed, .. } = &*self.0;
        // Whoever is told of the end of each has to be told.
        if *style != Style::OnewayItem || deadline.is_some() || closed.is_some() {
            return false;
        }
        let fits = |next: &Frame| next.format == format && next.fields.as_bytes().is_empty();
        let Some(next) = inflow.as_ref().and_then(|inflow| inflow.next_in_place(worker, fits))
        else {
            return false;
        };
        worker.counts.note(self.function(), false);
        self.0.payload = Some(next);
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
        self.0.worker.begun(self.0.inflow.is_none().then_some((self.0.head.id, self.0.size)));
    }

    fn close(&mut self, outcome: Result<Message, Failure>) {
        if !std::mem::replace(&mut self.0.open, false) {
            return;
        }
        let worker = &self.0.worker;
        let gauge = if self.0.begun { &worker.running } else { &worker.waiting };
        gauge.fetch_sub(1, Ordering::AcqRel);
        if !self.0.begun {
            self.no_longer_waits();
        }
        worker.counts.note(self.function(), outcome.is_err());
        let id = self.0.head.id;
        match (&self.0.inflow, outcome) {
            (Some(inflow), outcome) => {
                // First, so that the next item takes its turn behind others that wait.
                self.0.closed.take().into_iter().for_each(|tell| tell());
                inflow.done(worker, outcome.err());
            }
            // A late answer to a call that was given up goes nowhere.
            (None, _)
                if self.0.style == Style::Oneway || worker.runs.lock().remove(&id).is_none() => {}
            (None, Ok(Message { mut frame, rest })) => {
                (frame.kind, frame.id) = (Kind::Answer, id);
                worker.send(Message { frame, rest });
            }
            (None, Err(failure)) => worker.fail(id, failure),
        }
        worker.changed();
        self.0.closed.take().into_iter().for_each(|tell| tell());
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let ran = if self.0.begun { Ran::Maybe } else { Ran::No };
        self.close(Err(Failure::new(FailureKind::Lost, ran, "it was dropped unanswered")));
    }
}
