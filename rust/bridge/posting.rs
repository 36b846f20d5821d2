//! Calls of ours that nobody waits for: what their caller may wait for all the same.

use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;

use super::errors;
use super::outgoing::Clock;
use super::wait::Waitable;
use crate::node::{Lost, Pending, Posted, Session, Wake};

/// A call until it has been sent, and until there is room for the next.
pub(super) struct Posting {
    stage: Stage,
    wake: Arc<dyn Wake>,
    clock: Clock,
    function: String,
}

enum Stage {
    /// It waits for credit or for the connection.
    Unsent(Pending),
    /// It is on its way, and much else with it.
    Crowded(Arc<Session>),
    Done,
}

impl Posting {
    pub(super) fn new(posted: Posted, wake: Arc<dyn Wake>, clock: Clock, function: String) -> Self {
        let stage = match posted {
            Posted::Sent(session) => Stage::Crowded(session),
            Posted::Waits(pending) => Stage::Unsent(pending),
        };
        Self { stage, wake, clock, function }
    }
}

impl Waitable for Posting {
    fn is_ready(&mut self) -> bool {
        match &self.stage {
            Stage::Unsent(pending) => pending.slot.is_ended(),
            Stage::Crowded(session) => session.has_room(&self.wake),
            Stage::Done => true,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Unsent(pending) => pending.stranded_until(),
            _ => None,
        }
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Stage::Unsent(pending) = std::mem::replace(&mut self.stage, Stage::Done)
            && let Some(failure) = pending.slot.failure()
        {
            return Err(errors::raise(py, &failure, &self.function));
        }
        Ok(py.None())
    }

    fn expire(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Stage::Unsent(pending) = std::mem::replace(&mut self.stage, Stage::Done)
            && let Some(lost) = py.detach(|| pending.cancel())
            && lost != Lost::Sent
        {
            return Err(self.clock.expired(py, &self.function, lost, None));
        }
        Ok(py.None())
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        if let Stage::Unsent(pending) = &self.stage {
            // Whoever waited was interrupted.
            pending.cancel();
        }
    }
}
