//! Who waits for a call: the thread that makes it, or an event loop.

use std::sync::Arc;

use pyo3::prelude::*;

use super::call::Call;
use super::completions::Completions;
use super::mailbox::Seat;
use super::ticket::Ticket;
use super::wait::{ThreadWake, Waitable, Waiting, wait};
use crate::node::Wake;

pub(super) enum Waiter<'a, 'py> {
    /// The calling thread.
    Thread,
    /// A loop, by its queue.
    Loop(&'a Bound<'py, Completions>, Arc<Ticket>),
}

impl<'a, 'py> Waiter<'a, 'py> {
    pub(super) fn new(
        py: Python<'py>,
        completions: Option<&'a Bound<'py, Completions>>,
    ) -> PyResult<Self> {
        let Some(completions) = completions else { return Ok(Self::Thread) };
        let this = completions.get();
        let ticket = Ticket::new(&this.queue);
        this.about_to_send(py, this.is_alone())?;
        Ok(Self::Loop(completions, ticket))
    }

    /// What wakes it.
    pub(super) fn wake(&self) -> Arc<dyn Wake> {
        match self {
            Self::Thread => ThreadWake::current(),
            Self::Loop(_, ticket) => Arc::clone(ticket) as Arc<dyn Wake>,
        }
    }

    /// Sends something for which this waits.
    pub(super) fn send<T: Send>(
        &self,
        py: Python<'_>,
        send: impl FnOnce(Arc<dyn Wake>) -> T + Send,
    ) -> T {
        let wake = self.wake();
        match crate::node::holder_here().is_some() {
            // Hardly anything is written now.
            true => send(wake),
            false => py.detach(|| send(wake)),
        }
    }

    /// Waits; or gives back what the loop awaits. `chain` is that of the callback that we are in.
    pub(super) fn wait(
        self,
        py: Python<'_>,
        what: Box<dyn Waitable>,
        chain: u64,
        convert: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        match self {
            Self::Thread => wait(py, Waiting { what, seat: Seat::take_place(chain) }),
            Self::Loop(completions, ticket) => {
                if let Some(reader) = &completions.get().queue.reader {
                    what.lend_to(reader);
                }
                let completions = completions.clone().unbind();
                Ok(Call::new(py, completions, ticket, what, convert)?.into_any())
            }
        }
    }
}
