//! The living roles: nodes that connect, listen, call and answer.
//!
//! Knows `wire`, `hub` and `link`, and nothing of Python: whoever runs functions comes in through
//! [`Executor`], whoever owns the memory of large messages through [`Landings`].
//!
//! | file | holds |
//! |---|---|
//! | `session` | one connection: who may read, who may write, how it ends; its rules |
//! | `outbox` | what a connection still has to write, in which order |
//! | `batch` | what is being written of it |
//! | `inbox` | bytes that came, cut into messages; large ones put together in place |
//! | `arriving` | large messages that are under way to us, and how far ahead they may be sent |
//! | `read` | [`Reading`]: threads that read what they wait for |
//! | `refusing` | large messages that will not arrive, and who hears of it |
//! | `body` | bodies too large for one frame: [`Source`] and [`Landing`] |
//! | `greeting` | the first words on a connection, on either side |
//! | `challenge` | those of them in which both show that they know the token |
//! | `trust` | whose pickles are read, and who somebody has proven to be |
//! | `client` | a node that connects, calls, comes back after a loss |
//! | `call` | a call of ours: [`Slot`], where its outcome arrives |
//! | `server` | a node that listens: Router and Service |
//! | `worker` | calls that came for us: [`Executor`] |
//! | `incoming` | one of them: [`Incoming`] |
//! | `inflow` | streams that came for us |
//! | `events` | who comes and goes, for whoever listens in this process |
//! | `gate` | whether spinning before sleeping pays |
//! | `fork` | what tells a forked child that connections are not its own |
//! | `stats` | what is counted |

mod arriving;
mod batch;
mod body;
mod call;
mod challenge;
mod client;
mod events;
mod fork;
mod gate;
mod greeting;
mod inbox;
mod incoming;
mod inflow;
mod outbox;
mod read;
mod refusing;
mod server;
mod session;
mod spares;
mod stats;
#[cfg(test)]
mod tests;
mod trust;
mod worker;

pub use body::{Landing, Landings, Large, Ready, Source, VecLanding, VecLandings};
pub use call::{Outcome, Parts, Slot, Wake};
pub use client::{Call, Client, ClientOptions, Pending, Posted, Target};
pub use events::Events;
pub use fork::{forked, forks};
pub use incoming::Incoming;
pub use read::{Origin, Reading, SOLO};
pub use server::{Server, ServerOptions};
pub use session::Pace;
pub use session::{LoopReader, Session, hold, holder_here, holds_much, let_go};
pub use stats::Counts;
pub use worker::{Executor, Style};

use std::io;
use std::time::Duration;

use crate::hub;
pub use crate::hub::{Balance, Lost};
pub use crate::link::{Address, Bell, ClientTls, Dial, EntranceOptions, ServerTls, Visitors};
use crate::wire::{Failure, FailureKind, Ran};

/// A frame, with its body where that is too large for one.
pub type Message = hub::Message<Large>;

/// How long a connection may be silent before we say that we are alive.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long a peer may be silent before it counts as dead.
pub const SILENCE: Duration = Duration::from_secs(6);
/// How long a peer may take none of the bytes that wait for it.
pub const NO_PROGRESS: Duration = Duration::from_secs(10);
/// How many bytes may wait for a peer.
pub const MAX_QUEUED: usize = 64 * 1024 * 1024;
/// How long a call that names no timeout waits for a connection that broke.
pub const STRANDED: Duration = Duration::from_secs(10);
/// How long a greeting may take on a server.
pub const GREETING: Duration = Duration::from_secs(5);

/// Why a node does not start, or does not connect.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address can't be bound or reached.
    #[error("can't {action} {address}: {source}{}", advice(action, source))]
    Address {
        /// What was tried.
        action: &'static str,
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// What was asked for can't be done.
    #[error("{0}")]
    Options(String),
    /// It took too long.
    #[error(
        "can't connect to {address}: no answer within {seconds} s (connect_timeout); is it a server \
         of daffi, and does no firewall stand in between?"
    )]
    Slow {
        /// Where.
        address: Address,
        /// How long.
        seconds: f64,
    },
    /// Somebody answered, but not as we need it.
    #[error("{}", .0.message)]
    Refused(Failure),
}

/// What to do where the system says no. Our own refusals say it themselves.
fn advice(action: &str, error: &io::Error) -> &'static str {
    let connecting = action == "connect to";
    match error.kind() {
        _ if error.raw_os_error().is_none() => "",
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound if connecting => {
            "; is the server up? connect(wait=...) goes on trying for so many seconds"
        }
        io::ErrorKind::NotFound => "; is its folder there?",
        io::ErrorKind::AddrInUse => {
            "; another process listens there: stop that one, or pass another port (0 for a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: 0.0.0.0 stands for all that it has"
        }
        _ => "",
    }
}

/// The failure of everything that was under way when a connection ended.
fn gone(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Disconnected, Ran::Maybe, message)
}
