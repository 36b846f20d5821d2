//! How bytes travel: addresses, listeners, sockets.
//!
//! Moves bytes and knows no other room but the locks: no frames, no members, no Python.
//!
//! | file | holds |
//! |---|---|
//! | `address` | where a server listens |
//! | `dial` | how a connection goes out: where to, and what it is dressed in |
//! | `entrance` | how a connection comes in: what its first bytes say |
//! | `error` | why a connection did not come about |
//! | `listener` | bound addresses, socket files |
//! | `socket` | plain TCP and Unix sockets as links |
//! | `lendable` | sockets that a thread may wait for in place of the runtime, on Linux |
//! | `bell` | gets such a thread out of its wait |
//! | `selector` | tells an event loop of such sockets |
//! | `receive` | reading into a buffer and into memory of its own at once |
//! | `parting` | last words, and waiting until they were heard |
//! | `tls` | TLS as a link around a link |
//! | `websocket` | WebSocket as a link around a link |

mod address;
mod bell;
mod dial;
mod entrance;
mod error;
#[cfg(target_os = "linux")]
mod lendable;
mod listener;
mod parting;
mod receive;
mod selector;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

pub use address::Address;
pub use bell::Bell;
pub use dial::{Dial, connect};
use entrance::read_some;
pub use entrance::{Entered, Entrance, EntranceOptions};
pub use error::LinkError;
pub use listener::Listener;
pub use parting::{part, part_early, write_all};
pub use receive::receive;
pub use selector::Selector;
pub use socket::Socket;
pub use socket2::MaybeUninitSlice;
pub use tls::{ClientTls, ServerTls};
pub use websocket::Visitors;

/// How many slices one write may have.
pub const MAX_SLICES: usize = 1024;

/// A connection that never blocks whoever uses it.
///
/// Any thread may read or write; the owner sees to it that one reads and one writes at a time.
/// That is what lets a calling thread write by itself, a burst leave in one system call, and a
/// large payload arrive where it belongs. Links compose: TLS and WebSocket are links around a
/// link.
///
/// The rules, for links (L) and for their owners (O):
///
/// 1. (O) `try_read` gets room for at least one byte. (L) It fills the slices in their order, says
///    how many bytes that were, and looks at nothing behind them. `Ok(0)` is the orderly end, and
///    nothing else is.
/// 2. (L) `WouldBlock` from `try_read` comes only after the link below said so and nothing is left
///    inside; `poll_readable` is ready while something is. A read may so return less than there
///    is: only `WouldBlock` says that there is nothing more (but see rule 6).
/// 3. (O) A call of `try_write` begins and ends at a frame, with at most [`MAX_SLICES`] slices. (L)
///    A link that has messages of its own makes one of each call, takes all of it or nothing, and
///    never splits a frame. (O) After a partial write the next call goes on with the same bytes,
///    at the place where it stopped.
/// 4. (L) A link may take bytes in and hold them back. `try_write` of nothing goes on with them:
///    `WouldBlock` says that some are held back still, and that `poll_writable` will tell; `Ok(0)`
///    that none are. Anybody may call it at any time, beside the writer. Reading may be what makes
///    a link hold bytes back (an answer to a ping, to new keys), so whoever reads calls it.
/// 5. (L) A direction that has failed stays failed. A failed write does not take away what can
///    still be read.
/// 6. A thread may wait in place of the task that polls. `make_lendable`, called once by that task,
///    says whether the link knows how; what was polled before is to be polled anew. (L) Between
///    `lend` and `take_back`, `poll_readable` need not tell of what comes; after it, it tells again,
///    of what is there already too. `try_read` finds what is there at any time, told or not;
///    `await_readable` wakes up for it, and for `close`, and a selector tells of both. (O) It reads
///    until `WouldBlock` before it sleeps and before it takes back, so that nothing is left inside a
///    link around a link: that one passes the five on, or leaves them as they are. Where
///    `keeps_nothing` it may leave something unread: sleeping, selectors and taking back see that.
pub trait Link: Send + Sync + Debug {
    /// Reads into the slices; see rules 1 and 2.
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize>;

    /// Writes from the slices, in their order, as much as goes without waiting; see rules 3 and 4.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ready when reading may succeed. One task at a time may wait.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when writing may succeed. One task at a time may wait.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Why `try_finish` comes next, for links that can say so.
    fn explain(&self, _parting: Parting, _why: &str) {}

    /// Ends our direction in an orderly way, behind everything that was written; reading goes on.
    /// After `WouldBlock`, wait for `poll_writable` and call it again. Nothing is written after it.
    fn try_finish(&self) -> io::Result<()>;

    /// Cuts both directions; whoever waits wakes up. What is under way may be lost.
    fn close(&self);

    /// Makes it possible to lend it, see rule 6; false where that can't be done.
    fn make_lendable(&self) -> bool {
        false
    }

    /// Lends reading to the calling thread; false where that can't be done.
    fn lend(&self) -> bool {
        false
    }

    /// Whether nothing is ever left inside; see rule 6.
    fn keeps_nothing(&self) -> bool {
        false
    }

    /// While lent: sleeps until reading may succeed, the bell rings, or so much time is over. May
    /// wake up for less.
    fn await_readable(&self, _bell: &Bell, _most: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// While lent: has the selector tell of what comes, or not any more.
    fn select(&self, _selector: &Selector, _tell: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends what `lend` began.
    fn take_back(&self) {}

    /// How far pickles from the other end may be believed.
    fn trust(&self) -> Trust;

    /// A value that only the two ends know, and that no two connections share: what is proven
    /// together with it can't be passed on over another. None where the link keeps no secrets, and
    /// over WebSocket, where a browser could not get at it.
    fn binding(&self) -> Option<[u8; 32]> {
        None
    }

    /// Whom the other end has proven to be; the same for the same one, each time it comes.
    fn identity(&self) -> Option<Vec<u8>> {
        None
    }

    /// Our own end, where that is an IP address.
    fn local(&self) -> Option<SocketAddr> {
        None
    }

    /// The other end, for people.
    fn peer(&self) -> String;
}

/// How a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Everything has been said.
    Done,
    /// We are about to go away.
    Leaving,
    /// The other end broke the protocol.
    Fault,
}

/// Where the other end of a link is, as far as the link can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// On this machine: loopback, or a process of our own user.
    Near,
    /// Elsewhere, or somebody else.
    Far,
    /// Elsewhere, and has proven who it is.
    Proven,
    /// Somebody who is never believed, whatever has been set.
    Never,
}
