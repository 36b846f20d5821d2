//! How bytes travel: addresses, listeners, sockets.
//!
//! Moves bytes and knows no other room: no frames, no members, no Python.

mod address;
mod listener;
mod receive;
mod socket;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

pub use address::Address;
pub use listener::Listener;
pub use receive::receive;
pub use socket::{Socket, connect};
pub use socket2::MaybeUninitSlice;

/// A connection that never blocks whoever uses it.
///
/// Any thread may read or write; the owner sees to it that one reads and one writes at a time.
/// That is what lets a calling thread write by itself, a burst leave in one system call, and a
/// large payload arrive where it belongs. Links compose: TLS and WebSocket are links around a
/// link.
///
/// Two rules make that possible. A link may take bytes in and hold them back; `try_write` of
/// nothing then goes on with them, and answers `WouldBlock` until they are all gone. And a call of
/// `try_write` that does not follow a partial one begins at a frame: a link that has messages of
/// its own makes one of each call, takes all of it or nothing, and never splits a frame.
pub trait Link: Send + Sync + Debug {
    /// Reads into the slices, in their order. `Ok(0)` is the end; `WouldBlock` says that there is
    /// nothing now, and that `poll_readable` will tell.
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize>;

    /// Writes from the slices, in their order, as much as goes without waiting.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ready when reading may succeed. One task at a time may wait.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when writing may succeed. One task at a time may wait.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends it in both directions; whoever waits wakes up. What was written still travels.
    fn close(&self);

    /// Whether the other end is on this machine and, as far as the socket can tell, ours.
    fn is_near(&self) -> bool;

    /// The other end, for people.
    fn peer(&self) -> String;
}
