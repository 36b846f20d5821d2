//! WebSocket: a link around a link. Its messages carry whole frames, see rule 3 of [`Link`].
//!
//! | file | holds |
//! |---|---|
//! | `incoming` | frames taken apart; what breaks the rules |
//! | `outgoing` | messages taken whole; pongs and last words |
//! | `mask` | what a client's bytes are masked with |
//! | `request` | the upgrade as a server sees it, and how it is refused |
//! | `visitors` | whose pages and which names are let in |
//! | `asking` | the upgrade as a client sees it |

mod asking;
mod incoming;
mod mask;
mod outgoing;
mod request;
#[cfg(test)]
mod tests;
mod visitors;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tungstenite::protocol::frame::coding::CloseCode;

pub(super) use asking::ask;
use incoming::{Incoming, Reply};
use outgoing::{Closing, Outgoing};
pub(super) use request::answer;
pub(super) use visitors::Place;
pub use visitors::Visitors;

use super::{Bell, Link, MaybeUninitSlice, Parting, Trust};

/// The largest message that is taken, in bytes. Ours are smaller: see the outbox of a session.
const MAX_MESSAGE: u64 = 16 * 1024 * 1024;

/// Which end of a WebSocket we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// A WebSocket whose upgrade is done.
#[derive(Debug)]
pub(super) struct WebSocket {
    end: End,
    below: Box<dyn Link>,
    /// May be held while taking `outgoing`, never the other way round.
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
}

impl WebSocket {
    /// Goes on with what was read behind the upgrade.
    fn new(end: End, below: Box<dyn Link>, read: BytesMut) -> Self {
        let incoming = Mutex::new(Incoming::new(end, read));
        Self { end, below, incoming, outgoing: Mutex::new(Outgoing::new(end)) }
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, reply: Reply) {
        let mut outgoing = self.outgoing();
        match reply {
            Reply::Pong(body) => outgoing.pong(body),
            Reply::Close(closing) => {
                outgoing.close(closing);
                // Whoever reads learns that it is over, and may not write again.
                let _ = outgoing.go_on(&*self.below);
            }
        }
    }
}

impl Link for WebSocket {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        self.incoming().read(&*self.below, slices, |reply| self.reply(reply))
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [] => self.outgoing().go_on(&*self.below).map(|()| 0),
            slices => self.outgoing().write(&*self.below, slices),
        }
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.incoming().has_more() {
            return Poll::Ready(Ok(()));
        }
        self.below.poll_readable(context)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.below.poll_writable(context)
    }

    fn explain(&self, parting: Parting, why: &str) {
        let code = match (parting, self.end) {
            (Parting::Leaving, End::Server) => CloseCode::Away,
            (Parting::Fault, _) => CloseCode::Protocol,
            _ => CloseCode::Normal,
        };
        self.outgoing().explain(Closing::new(code, why));
    }

    fn try_finish(&self) -> io::Result<()> {
        let mut outgoing = self.outgoing();
        outgoing.finish();
        // The other end says its last word in turn, and a server then closes what is below.
        outgoing.go_on(&*self.below)
    }

    fn close(&self) {
        // A last word, where one fits in.
        let _ = self.try_finish();
        self.below.close();
    }

    fn make_lendable(&self) -> bool {
        self.below.make_lendable()
    }

    fn lend(&self) -> bool {
        self.below.lend()
    }

    fn await_readable(&self, bell: &Bell, most: Duration) -> io::Result<()> {
        self.below.await_readable(bell, most)
    }

    fn take_back(&self) {
        self.below.take_back();
    }

    fn trust(&self) -> Trust {
        Trust::Never
    }

    fn identity(&self) -> Option<Vec<u8>> {
        self.below.identity()
    }

    fn local(&self) -> Option<SocketAddr> {
        self.below.local()
    }

    fn peer(&self) -> String {
        format!("{}, over WebSocket", self.below.peer())
    }
}
