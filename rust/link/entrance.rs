//! How a connection comes in: what its first bytes say, and what it is dressed in.

use std::future::poll_fn;
use std::io::ErrorKind;

use bytes::BytesMut;

use super::tls::{Acceptor, HANDSHAKE};
use super::websocket::{self, Place, Visitors};
use super::{Address, Link, LinkError, ServerTls, receive};

/// How many bytes are read to find out what somebody speaks.
const FIRST_READ: usize = 4 * 1024;

/// What a server expects of those who come in.
#[derive(Debug, Clone, Default)]
pub struct EntranceOptions {
    /// They have to speak TLS.
    pub tls: Option<ServerTls>,
    /// Who may come in from pages, and by which names.
    pub visitors: Visitors,
}

/// The same, ready for use.
#[derive(Debug, Default)]
pub struct Entrance {
    tls: Option<Acceptor>,
    /// The name that it listens on.
    name: Option<String>,
    visitors: Visitors,
}

/// A connection that has come in, as far as its greeting.
#[derive(Debug)]
pub struct Entered {
    /// What the greeting travels by.
    pub link: Box<dyn Link>,
    /// What was read of it already; at least one byte.
    pub first: BytesMut,
    /// It came without TLS, which this server asks for: it is to be told so.
    pub barred: bool,
}

impl Entrance {
    /// Reads what the options name, for a server that listens there.
    pub fn prepare(options: &EntranceOptions, address: &Address) -> Result<Self, LinkError> {
        let name = match address {
            Address::Tcp(name, _) => Some(name.clone()),
            Address::Unix(_) => None,
        };
        let tls = options.tls.as_ref().map(Acceptor::new).transpose()?;
        Ok(Self { tls, name, visitors: options.visitors.clone() })
    }

    /// Looks at the first bytes of a connection, and at what they lead to. Takes as long as the
    /// other end does: whoever calls bounds it.
    pub async fn enter(&self, mut link: Box<dyn Link>) -> Result<Entered, LinkError> {
        let mut first = BytesMut::new();
        read_some(&*link, &mut first).await?;
        if let Some(tls) = &self.tls {
            if first.first() != Some(&HANDSHAKE) {
                return Ok(Entered { link, first, barred: true });
            }
            link = Box::new(tls.accept(link, first).await?);
            first = BytesMut::new();
            read_some(&*link, &mut first).await?;
        }
        if first.first().is_some_and(u8::is_ascii_alphabetic) {
            let (name, secure) = (self.name.as_deref(), self.tls.is_some());
            let place = Place { name, at: link.local(), secure };
            link = websocket::answer(link, first, &self.visitors, place).await?;
            first = BytesMut::new();
            read_some(&*link, &mut first).await?;
        }
        Ok(Entered { link, first, barred: false })
    }
}

/// Waits for bytes and reads them behind those that are there; the end is an error.
pub(super) async fn read_some(link: &dyn Link, buffer: &mut BytesMut) -> std::io::Result<()> {
    loop {
        poll_fn(|context| link.poll_readable(context)).await?;
        match receive(link, &mut [], buffer, FIRST_READ) {
            Ok((_, 0)) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
