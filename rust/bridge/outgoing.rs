//! Calls of ours that are waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::loan::Loan;
use super::wait::Waitable;
use super::{errors, payload};
use crate::node::{LoopReader, Lost, Message, Parts, Pending, Reading, STRANDED};
use crate::wire::{Failure, FailureKind};

/// When a call was made, and when waiting for it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) began: Instant,
    pub(super) deadline: Option<Instant>,
}

impl Clock {
    /// From seconds, and from the deadline of the call that this one is made inside of.
    pub(super) fn new(timeout: Option<f64>, parent: Option<Instant>) -> PyResult<Self> {
        let began = Instant::now();
        let own = match timeout {
            None => None,
            Some(seconds) => {
                let bad =
                    |_| pyo3::exceptions::PyValueError::new_err("a timeout is 0 or more seconds");
                // Further away than the clock reaches is for ever.
                began.checked_add(Duration::try_from_secs_f64(seconds.min(1e9)).map_err(bad)?)
            }
        };
        let deadline = match (own, parent) {
            (Some(own), Some(parent)) => Some(own.min(parent)),
            (own, parent) => own.or(parent),
        };
        Ok(Self { began, deadline })
    }

    /// The timeout that counts, in seconds.
    pub(super) fn timeout(&self) -> Option<f64> {
        Some((self.deadline? - self.began).as_secs_f64())
    }

    /// What a call that took too long raises.
    pub(super) fn expired(
        &self,
        py: Python<'_>,
        call: &str,
        lost: Lost,
        facts: Option<Bound<'_, PyDict>>,
    ) -> PyErr {
        let facts = facts.unwrap_or_else(|| PyDict::new(py));
        let elapsed = self.began.elapsed().as_secs_f64();
        let made = || -> PyResult<PyErr> {
            Ok(match lost {
                Lost::Sent => {
                    facts.set_item("call", call)?;
                    facts.set_item("timeout", self.timeout())?;
                    facts.set_item("elapsed", elapsed)?;
                    let text = format!(
                        "{call} did not end within {:.3} s; it may have run, or still be running",
                        self.timeout().unwrap_or(elapsed)
                    );
                    errors::make(py, "CallTimeout", &text, Some(&facts))
                }
                Lost::NoCredit => {
                    let text = format!(
                        "{call} did not run: for {elapsed:.3} s there was no room for it; the workers \
                         do not keep up with their calls"
                    );
                    errors::make(py, "Overloaded", &text, None)
                }
                Lost::NoConnection => {
                    let facts = PyDict::new(py);
                    facts.set_item("sent", false)?;
                    let text = format!(
                        "{call} did not run: for {elapsed:.3} s there was no connection to send it \
                         over"
                    );
                    errors::make(py, "Disconnected", &text, Some(&facts))
                }
            })
        };
        made().unwrap_or_else(|error| error)
    }
}

/// A call or a cast that was made.
pub(super) struct Outgoing {
    pub(super) pending: Pending,
    pub(super) clock: Clock,
    pub(super) function: String,
    pub(super) cast: bool,
    /// Reads what has come for a cast that is late, where that is not left to the caller.
    pub(super) read: Option<Py<PyAny>>,
    /// Those who were named.
    pub(super) receivers: Vec<String>,
    /// Buffers that are lent to it.
    pub(super) loans: Vec<Arc<Loan>>,
    /// Whether it has been taken out of the tables.
    pub(super) ended: bool,
}

impl Waitable for Outgoing {
    fn is_ready(&mut self) -> bool {
        self.pending.slot.is_ended()
    }

    fn deadline(&self) -> Option<Instant> {
        self.clock.deadline.or_else(|| {
            // Not before: most calls end long before that, and need not ask.
            let late = Instant::now() >= self.clock.began + STRANDED;
            late.then(|| self.pending.stranded_until()).flatten()
        })
    }

    fn limit(&self) -> Option<Instant> {
        self.clock.deadline.or_else(|| self.pending.stranded_until())
    }

    fn reading(&self) -> Option<Reading> {
        self.pending.reading()
    }

    fn lend_to(&self, reader: &Arc<LoopReader>) {
        self.pending.lend_to(reader);
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ended = true;
        self.loans.drain(..).for_each(|loan| loan.end(py));
        match self.pending.slot.take() {
            Some(Ok(message)) => self.answer(py, message),
            Some(Err(failure)) => Err(self.raise(py, &failure)),
            None => self.parts(py),
        }
    }

    fn expire(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ended = true;
        let Some(lost) = py.detach(|| self.pending.cancel()) else {
            // It ended just now: a call that is done wins over its timeout.
            while !self.pending.slot.is_ended() {
                std::thread::yield_now();
            }
            return self.finish(py);
        };
        self.loans.drain(..).for_each(|loan| loan.end(py));
        if self.cast {
            let parts = self.pending.slot.take_parts();
            return Err(self.late(py, lost, parts)?);
        }
        let facts = PyDict::new(py);
        facts.set_item("receivers", &self.receivers)?;
        Err(self.clock.expired(py, &self.function, lost, Some(facts)))
    }
}

impl Outgoing {
    fn raise(&self, py: Python<'_>, failure: &Failure) -> PyErr {
        errors::raise(py, failure, &self.function)
    }

    fn answer(&self, py: Python<'_>, message: Message) -> PyResult<Py<PyAny>> {
        let format = message.frame.format as u8;
        let payload =
            payload::unpack(py, message).map_err(|error| errors::known(py, error, true))?;
        Ok((format, payload).into_pyobject(py)?.into_any().unbind())
    }

    fn parts(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut parts = self.pending.slot.take_parts();
        let before = parts.came.len();
        // A worker may see before us that the time is over.
        parts
            .came
            .retain(|(_, outcome)| !matches!(outcome, Err(f) if f.kind == FailureKind::Timeout));
        if parts.came.len() < before {
            return Err(self.late(py, Lost::Sent, parts)?);
        }
        Ok(self.came(py, parts.came)?.into_any().unbind())
    }

    /// What a cast raises when some have not answered in time.
    fn late(&self, py: Python<'_>, lost: Lost, parts: Parts) -> PyResult<PyErr> {
        let facts = PyDict::new(py);
        let mut late = parts.targets.unwrap_or_else(|| self.receivers.clone());
        late.retain(|name| !parts.came.iter().any(|(worker, _)| worker == name));
        facts.set_item("receivers", late)?;
        let came = self.came(py, parts.came)?.into_any();
        let partial = match &self.read {
            Some(read) => read.bind(py).call1((came,))?,
            None => came,
        };
        facts.set_item("partial", partial)?;
        Ok(self.clock.expired(py, &self.function, lost, Some(facts)))
    }

    /// What came for a cast: answers, and exceptions as values.
    fn came<'py>(
        &self,
        py: Python<'py>,
        came: Vec<(String, crate::node::Outcome)>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (worker, outcome) in came {
            let value = match outcome {
                Ok(message) => match self.answer(py, message) {
                    Ok(answer) => answer,
                    Err(error) => error.into_value(py).into_any(),
                },
                Err(failure) => self.raise(py, &failure).into_value(py).into_any(),
            };
            all.set_item(worker, value)?;
        }
        Ok(all)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.ended {
            // Whoever waited was interrupted.
            self.pending.cancel();
        }
        for loan in self.loans.drain(..) {
            Python::attach(|py| loan.end(py));
        }
    }
}
