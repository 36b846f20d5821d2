use std::sync::Arc;
use std::time::Instant;

use crate::sync::Mutex;
use pyo3::prelude::*;

use super::completions::Completions;
use super::errors;
use super::memory::Memory;
use super::outgoing::Clock;
use super::payload::{self, Lending};
use super::wait::Waitable;
use super::waiter::Waiter;
use crate::node::{Lost, Message, Pace, Pending, Reading, SOLO, Session, Wake};
use crate::wire::{Frame, Key, Kind};

/// One stream to one worker. Dropping it ends it.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Stream {
    inner: Arc<Inner>,
    memory: Arc<Memory>,
    format: u8,
    chain: u64,
    /// When the call that it was opened in is too late.
    deadline: Option<Instant>,
    /// The largest item, in bytes.
    most: u64,
}

struct Inner {
    pending: Pending,
    function: String,
    acknowledged: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: u64,
    ended: bool,
}

impl Stream {
    #[allow(clippy::too_many_arguments, reason = "a stream has that many facts")]
    pub(super) fn new(
        pending: Pending,
        memory: Arc<Memory>,
        function: String,
        format: u8,
        acknowledged: bool,
        chain: u64,
        deadline: Option<Instant>,
        most: u64,
    ) -> Self {
        let state = Mutex::default();
        let inner = Arc::new(Inner { pending, function, acknowledged, state });
        Self { inner, memory, format, chain, deadline, most }
    }
}

#[pymethods]
impl Stream {
    #[pyo3(signature = (payload, timeout=None, completions=None))]
    fn send(
        &self,
        py: Python<'_>,
        payload: &Bound<'_, PyAny>,
        timeout: Option<f64>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let clock = Clock::new(timeout, self.deadline)?;
        let packed = payload::pack(&self.memory, self.format, payload, Lending::All)
            .map_err(|error| errors::known(py, error, false))?;
        if packed.total() > self.most {
            let (size, most) = (packed.total(), self.most);
            let text = format!(
                "{}: an item of {size} bytes, more than the {most} of max_message",
                self.inner.function
            );
            let error = errors::make(py, "MessageTooLarge", &text, None);
            return Err(errors::known(py, error, false));
        }
        let mut message = packed.into_message(Kind::Item);
        if let Some(deadline) = clock.deadline {
            let left = deadline.saturating_duration_since(Instant::now()).as_micros() as u64;
            let fields = message.frame.fields.without(&[]);
            message.frame.fields = fields.number(Key::Deadline, left).build();
        }
        self.wait_for(py, clock, Stage::Credit(message), completions)
    }

    /// Waits until the worker has taken it.
    #[pyo3(signature = (timeout=None, completions=None))]
    fn opened(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let clock = Clock::new(timeout, self.deadline)?;
        self.wait_for(py, clock, Stage::Opening, completions)
    }

    fn end(&self, py: Python<'_>) {
        py.detach(|| self.inner.end());
    }
}

impl Stream {
    fn wait_for(
        &self,
        py: Python<'_>,
        clock: Clock,
        stage: Stage,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let waiter = Waiter::new(py, completions)?;
        let wake = waiter.wake();
        let mut item = Item { inner: Arc::clone(&self.inner), clock, wake, number: 0, stage };
        // Nearly always there is nothing to wait for.
        if !self.inner.acknowledged && completions.is_none() && py.detach(|| item.is_ready()) {
            return item.finish(py);
        }
        self.inner.pending.slot.wake_too(Arc::clone(&item.wake));
        waiter.wait(py, Box::new(item), self.chain, None)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.inner.end();
    }
}

impl Inner {
    fn end(&self) {
        if !std::mem::replace(&mut self.state.lock().ended, true) {
            self.pending.item(Frame::new(Kind::End, 0).into(), Pace::Soon);
        }
    }
}

/// One item on its way, or none.
struct Item {
    inner: Arc<Inner>,
    clock: Clock,
    wake: Arc<dyn Wake>,
    /// Which item of the stream it is, once it was sent; the first is 1.
    number: u64,
    stage: Stage,
}

enum Stage {
    /// There is no item: it waits until the worker has taken the stream.
    Opening,
    /// It waits for the worker to allow it.
    Credit(Message),
    /// It is large, and being sent.
    Sending(Arc<Session>, u64),
    /// It is on its way, and too much else with it.
    Crowded(Arc<Session>),
    /// It waits until it has run.
    Run,
    Done,
}

impl Waitable for Item {
    fn is_ready(&mut self) -> bool {
        let inner = &self.inner;
        let slot = &inner.pending.slot;
        loop {
            let (ended, allowed) = slot.progress();
            self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Opening if allowed == 0 => {
                    self.stage = Stage::Opening;
                    return ended;
                }
                Stage::Credit(message) => {
                    let mut state = inner.state.lock();
                    if ended || allowed <= state.sent {
                        drop(state);
                        self.stage = Stage::Credit(message);
                        // Credit comes for what has left.
                        inner.pending.flush();
                        return ended;
                    }
                    state.sent += 1;
                    self.number = state.sent;
                    let pace = if inner.acknowledged { Pace::Now } else { Pace::Bulk };
                    match inner.pending.item(message, pace) {
                        Some((session, Some(transfer))) => Stage::Sending(session, transfer),
                        Some((session, None)) if !inner.acknowledged && session.is_crammed() => {
                            Stage::Crowded(session)
                        }
                        Some((_, None)) if !inner.acknowledged => Stage::Done,
                        // Without a connection the stream ends by itself, with its failure.
                        _ => Stage::Run,
                    }
                }
                Stage::Sending(session, transfer) => {
                    if !ended && !session.has_sent(transfer, &self.wake) {
                        self.stage = Stage::Sending(session, transfer);
                        return false;
                    }
                    if inner.acknowledged { Stage::Run } else { Stage::Done }
                }
                Stage::Crowded(session) => {
                    if !ended && !session.has_room(&self.wake) {
                        self.stage = Stage::Crowded(session);
                        return false;
                    }
                    Stage::Done
                }
                Stage::Run if allowed <= self.number || !inner.acknowledged => {
                    self.stage = Stage::Run;
                    return ended;
                }
                Stage::Opening | Stage::Run | Stage::Done => return true,
            };
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.clock.deadline.or_else(|| match self.stage {
            Stage::Opening | Stage::Credit(_) => self.inner.pending.stranded_until(),
            Stage::Sending(..) | Stage::Crowded(_) | Stage::Run | Stage::Done => None,
        })
    }

    fn reading(&self) -> Option<Reading> {
        let often = self.inner.acknowledged && self.inner.state.lock().sent >= SOLO.into();
        often.then(|| self.inner.pending.reading_alone()).flatten()
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if matches!(self.stage, Stage::Done) {
            return Ok(py.None());
        }
        self.stage = Stage::Done;
        let inner = &self.inner;
        if let Some(failure) = inner.pending.slot.failure() {
            return Err(errors::raise(py, &failure, &inner.function));
        }
        let text = format!("the stream to {} has ended", inner.function);
        Err(errors::make(py, "Disconnected", &text, None))
    }

    fn expire(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let unsent = matches!(self.stage, Stage::Credit(_));
        let lost = match py.detach(|| self.inner.give_up()) {
            // Somebody else ended it meanwhile.
            None => return self.finish(py),
            Some(Lost::Sent) if unsent => Lost::NoCredit,
            Some(lost) => lost,
        };
        self.stage = Stage::Done;
        Err(self.clock.expired(py, &self.inner.function, lost, None))
    }
}

impl Inner {
    /// Ends the stream at once, what was sent included.
    fn give_up(&self) -> Option<Lost> {
        self.state.lock().ended = true;
        self.pending.cancel()
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.inner.pending.slot.wake_no_more(&self.wake);
        if !matches!(self.stage, Stage::Done) {
            // Whoever waited was interrupted.
            self.inner.give_up();
        }
    }
}
