//! TLS around another link: a session of rustls and what is below it, under one lock.
//!
//! | file | holds |
//! |---|---|
//! | `files` | certificates and keys, read from PEM, and what is wrong with them |
//! | `accepting` | TLS on a server: its options, and how a connection gets it |
//! | `dialling` | TLS on a client: its options, whom it verifies, and how a connection gets it |
//! | `handshake` | the first messages, on either side |
//! | `explaining` | what went wrong, and what to pass |
//! | `identity` | whom a certificate names |
//! | `room` | where what was decrypted goes |

mod accepting;
mod dialling;
mod explaining;
mod files;
mod handshake;
mod identity;
mod room;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, Connection};

pub use accepting::ServerTls;
pub(super) use accepting::{Acceptor, HANDSHAKE};
pub use dialling::ClientTls;
use explaining::Side;
use room::Room;
#[cfg(test)]
pub(super) use tests::secured;

use super::{Bell, Link, LinkError, MaybeUninitSlice, Trust, receive};
use crate::sync::Mutex;

/// How much one read from below takes, in bytes: at first, and where much comes.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 256 * 1024;
/// How much is encrypted before it is written, in bytes.
const WRITE: usize = 256 * 1024;
/// What the value is made from that only the two ends know.
const BINDING: &[u8] = b"EXPORTER-daffi";

/// A link that is encrypted, after its handshake.
pub(super) struct Tls {
    below: Box<dyn Link>,
    state: Mutex<State>,
    side: Side,
    binding: Option<[u8; 32]>,
    identity: Option<Vec<u8>>,
}

struct State {
    session: Connection,
    /// What came from below and was not looked at yet.
    incoming: BytesMut,
    /// How much is read from below next.
    read: usize,
    /// The last read got less than that: there was no more.
    short: bool,
    /// Why nothing more can be read.
    failed: Option<Failed>,
}

/// What ended reading before its orderly end.
enum Failed {
    /// The link below.
    Cut,
    /// What came over it.
    Tls(rustls::Error),
}

impl Failed {
    fn again(&self, side: &Side) -> io::Error {
        match self {
            Self::Cut => {
                let text = "it was cut off, without the goodbye of TLS";
                io::Error::new(ErrorKind::UnexpectedEof, text)
            }
            Self::Tls(error) => io::Error::new(ErrorKind::InvalidData, side.explain(error)),
        }
    }
}

/// The algorithms that we use: those of ring, and of the keys the shorter first, which nobody can
/// guess either.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    Arc::new(provider)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("below", &self.below).finish_non_exhaustive()
    }
}

impl Tls {
    /// A link whose handshake is done. `verified` says whether the other end's certificate was;
    /// `incoming` is what came behind the handshake.
    fn new(
        below: Box<dyn Link>,
        mut session: Connection,
        incoming: BytesMut,
        side: Side,
        verified: bool,
    ) -> Result<Self, LinkError> {
        let binding = session.export_keying_material([0; 32], BINDING, None);
        let binding = binding.map_err(|error| LinkError::Protocol(error.to_string()))?;
        session.set_buffer_limit(Some(WRITE));
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let identity = certificate.filter(|_| verified);
        let identity = identity.map(|der| identity::of(der).unwrap_or_else(|| der.to_vec()));
        let state = State { session, incoming, read: SMALL_READ, short: false, failed: None };
        Ok(Self { below, state: Mutex::new(state), side, binding: Some(binding), identity })
    }
}

impl State {
    /// Moves what has been decrypted to where it belongs. True at the orderly end.
    fn hand_out(&mut self, room: &mut Room<'_, '_>) -> bool {
        let mut reader = self.session.reader();
        while !room.is_full() {
            // It fails where more has to come first.
            let Ok(bytes) = reader.fill_buf() else { return false };
            if bytes.is_empty() {
                return true;
            }
            let count = room.take(bytes);
            reader.consume(count);
        }
        false
    }

    /// Reads from below.
    fn fetch(&mut self, below: &dyn Link) -> io::Result<()> {
        let result = receive(below, &mut [], &mut self.incoming, self.read);
        match &result {
            Ok((_, 0)) => self.failed = Some(Failed::Cut),
            Ok((_, count)) => {
                self.short = *count < self.read;
                if !self.short {
                    self.read = (self.read * 4).min(LARGE_READ);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.read > SMALL_READ => {
                // Nothing came: gives back what only a burst needs.
                self.incoming = BytesMut::new();
                self.read = (self.read / 4).max(SMALL_READ);
            }
            Err(_) => {}
        }
        result.map(|_| ())
    }

    /// Decrypts the beginning of what came: as much as rustls takes at once, which keeps its buffer
    /// large while much comes.
    fn decrypt(&mut self) {
        let mut fed = 0;
        while let Some(mut input) = self.incoming.get(fed..).filter(|input| !input.is_empty()) {
            match self.session.read_tls(&mut input) {
                // Nothing counts that comes behind the end.
                Ok(0) => fed = self.incoming.len(),
                Ok(count) => fed += count,
                Err(_) if fed > 0 => break,
                Err(error) => {
                    let error = rustls::Error::General(error.to_string());
                    self.failed = Some(Failed::Tls(error));
                    break;
                }
            }
        }
        self.incoming.advance(fed);
        if let Err(error) = self.session.process_new_packets() {
            self.failed = Some(Failed::Tls(error));
        }
        if self.failed.is_some() {
            self.incoming.clear();
        }
    }

    /// Whether there is something that poll would not be told of from below.
    fn is_to_be_read(&mut self) -> bool {
        !self.incoming.is_empty()
            || self.failed.is_some()
            || self.session.reader().fill_buf().is_ok()
    }

    /// Writes what is held back; `WouldBlock` where some still is.
    fn flush(&mut self, below: &dyn Link) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Below(below)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Link for Tls {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        let mut room = Room::new(slices);
        let mut state = self.state.lock();
        loop {
            let ended = state.hand_out(&mut room);
            if ended || room.is_full() {
                return Ok(room.filled);
            }
            let waits = match &state.failed {
                Some(failed) => Err(failed.again(&self.side)),
                // Where there was no more, there is none now: whoever reads comes again.
                None if state.incoming.is_empty() && room.filled > 0 && state.short => {
                    return Ok(room.filled);
                }
                None if state.incoming.is_empty() => state.fetch(&*self.below),
                None => Ok(()),
            };
            match waits {
                Ok(()) => state.decrypt(),
                // It comes again with the next read.
                Err(_) if room.filled > 0 => return Ok(room.filled),
                Err(error) => return Err(error),
            }
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.flush(&*self.below)?;
        if slices.is_empty() {
            return Ok(0);
        }
        let mut count = state.session.writer().write_vectored(slices)?;
        if count == 0 {
            // New keys come first.
            state.flush(&*self.below)?;
            count = state.session.writer().write_vectored(slices)?;
        }
        match state.flush(&*self.below) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.lock().is_to_be_read() {
            return Poll::Ready(Ok(()));
        }
        self.below.poll_readable(context)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.below.poll_writable(context)
    }

    fn try_finish(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        // Said once, however often it is called.
        state.session.send_close_notify();
        state.flush(&*self.below)?;
        self.below.try_finish()
    }

    fn close(&self) {
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
        match self.identity {
            Some(_) => Trust::Proven,
            None => self.below.trust(),
        }
    }

    fn binding(&self) -> Option<[u8; 32]> {
        self.binding
    }

    fn identity(&self) -> Option<Vec<u8>> {
        self.identity.clone()
    }

    fn local(&self) -> Option<SocketAddr> {
        self.below.local()
    }

    fn peer(&self) -> String {
        self.below.peer()
    }
}

/// The link below, as rustls writes to it.
struct Below<'a>(&'a dyn Link);

impl Write for Below<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
