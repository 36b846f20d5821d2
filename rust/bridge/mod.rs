//! The only door to Python.
//!
//! Runtime threads never attach to Python: what needs it is done by the thread that calls, by the
//! node's own callback threads, or by the thread in `memory`. No lock is held while attaching, and
//! every wait detaches first and hears signals every 100 ms. Imports `node` and `wire`.
//!
//! | file | holds |
//! |---|---|
//! | `process` | what there is once per process: the runtime, the nodes; forks and the exit |
//! | `wait` | the one way to wait: for an outcome, a signal, a call of the same chain |
//! | `memory` | Python's memory for large messages, and the thread that gets it |
//! | `payload` | what travels, between Python's objects and messages |
//! | `formats` | JSON and MSGPACK, straight from and to Python objects |
//! | `mailbox` | calls that came, waiting for their threads |
//! | `queue` | their order, and of which chains they are |
//! | `job` | one of them: `Job`, and `Parking` to wait beside it |
//! | `client` | `Client` |
//! | `facts` | what clients and servers take and show alike |
//! | `outgoing` | calls of ours that are waited for |
//! | `stream` | streams of ours |
//! | `server` | `Server` |
//! | `journal` | native messages in Python's `logging` |
//! | `errors` | failures as Python's exceptions |

mod client;
mod errors;
mod facts;
mod formats;
mod job;
mod journal;
mod mailbox;
mod memory;
mod outgoing;
mod payload;
mod process;
mod queue;
mod server;
mod stream;
mod wait;

use pyo3::prelude::*;

/// Fills `daffi._native`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<client::Client>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<job::Parking>()?;
    module.add_class::<mailbox::Mailbox>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<wait::Pending>()?;
    journal::open();
    formats::register(module)?;
    process::register(module)
}
