//! The only door to Python.
//!
//! Runtime threads never attach to Python: what needs it is done by the thread that calls, by the
//! node's own callback threads, or by the thread in `memory`. No lock is held while attaching, nor
//! the lease of a connection, and every wait detaches first and hears signals every 100 ms. Imports
//! `node` and `wire`.
//!
//! | file | holds |
//! |---|---|
//! | `process` | what there is once per process: the runtime, the nodes; forks and the exit |
//! | `wait` | the one way to wait: for an outcome, a signal, a call of the same chain |
//! | `memory` | Python's memory for large messages, and the thread that gets it |
//! | `pages` | what the system puts under that memory, and when |
//! | `loan` | Python's buffers on their way out: copied, or lent |
//! | `payload` | what travels, between Python's objects and messages |
//! | `formats` | JSON and MSGPACK, straight from and to Python objects |
//! | `mailbox` | calls that came, waiting for their threads, and the functions that there are |
//! | `queue` | their order, and of which chains they are |
//! | `job` | one of them: `Job`, and `Parking` to wait beside it |
//! | `client` | `Client` |
//! | `facts` | what clients and servers take and show alike |
//! | `outgoing` | calls of ours that are waited for |
//! | `stream` | streams of ours |
//! | `posting` | calls of ours that nobody waits for |
//! | `waiter` | who waits for a call: a thread, or an event loop |
//! | `completions` | what comes for one event loop, and its one wake-up |
//! | `bell` | what wakes it |
//! | `deadlines` | deadlines of what it waits for |
//! | `call`, `future` | a call as it sees it; what asyncio and Trio ask of that |
//! | `reception` | calls that came for a node on a loop: who may run, and where |
//! | `begin` | what happens once per node or connection |
//! | `server` | `Server` |
//! | `token` | `Token`, the secret that nodes are given |
//! | `journal` | native messages in Python's `logging` |
//! | `errors` | failures as Python's exceptions |

mod begin;
mod bell;
mod call;
mod client;
mod completions;
mod deadlines;
mod errors;
mod facts;
mod formats;
mod future;
mod job;
mod journal;
mod loan;
mod mailbox;
mod memory;
mod outgoing;
mod pages;
mod payload;
mod posting;
mod process;
mod queue;
mod reception;
mod server;
mod stream;
mod ticket;
mod token;
mod turnstile;
mod wait;
mod waiter;

use pyo3::prelude::*;

/// Fills `daffi._native`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<call::Call>()?;
    module.add_class::<future::CallCoroutine>()?;
    module.add_class::<future::CallFuture>()?;
    module.add_class::<client::Client>()?;
    module.add_class::<completions::Completions>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<job::Parking>()?;
    module.add_class::<mailbox::Mailbox>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<token::Token>()?;
    module.add_class::<wait::Pending>()?;
    journal::open();
    formats::register(module)?;
    process::register(module)
}
