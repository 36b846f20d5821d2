//! Who is here, who gets the call, who is waiting, who has credit.
//!
//! State and rules only: no sockets, no threads, no clock of its own. Whoever owns a [`Hub`] hands
//! it messages with the time at which they came, and carries out the [`Action`]s that it returns,
//! in their order. Imports `wire` and nothing else of ours.
//!
//! | file | holds |
//! |---|---|
//! | `router` | the server's side: [`Hub`], who joins and leaves, questions, presence |
//! | `delivery` | the server's side of a call: to its workers, and back |
//! | `waiting` | calls that wait for their worker's credit; calls whose peers go |
//! | `streams` | streams on their way through a server |
//! | `routes` | calls on their way through a server, found from either end |
//! | `through` | large messages that pass through a server in pieces |
//! | `members` | members, what they offer, whose turn it is |
//! | `questions` | questions that can't be answered yet |
//! | `tallies` | what became of the calls to each function of a member |
//! | `calls` | the caller's side: calls that are not answered yet |
//! | `credit` | windows and ledgers |
//! | `trust` | whose pickles are read; who may have whose name |

mod calls;
mod credit;
mod delivery;
mod members;
mod questions;
mod router;
mod routes;
mod streams;
mod tallies;
#[cfg(test)]
mod tests;
mod through;
mod trust;
mod waiting;

pub use calls::{Calls, Lost, Row};
pub use credit::{Ledger, Window};
pub use members::{Balance, PeerKey};
pub use router::{Action, Hub, Joining, Message};
pub use tallies::Gauges;
pub use trust::{Identity, Pickles};
