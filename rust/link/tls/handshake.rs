use std::future::poll_fn;
use std::io::{self, ErrorKind};

use bytes::{Buf, BytesMut};
use rustls::Connection;

use super::Below;
use super::explaining::Side;
use crate::link::{Link, LinkError, read_some};

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection broke.
    System(io::Error),
    /// One side did not like what the other said; it has been told.
    Tls(rustls::Error),
    /// It sent too much.
    Excess(usize),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Fault {
    /// Whether the other end may still listen to why.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    pub(super) fn explain(self, side: &Side) -> LinkError {
        match self {
            Self::System(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let text = "it closed the connection during the TLS handshake";
                LinkError::System(io::Error::new(ErrorKind::UnexpectedEof, text))
            }
            Self::System(error) => LinkError::System(error),
            Self::Tls(error) => side.explain(&error),
            Self::Excess(most) => {
                LinkError::Protocol(format!("it sent more than {most} bytes before the handshake"))
            }
        }
    }
}

/// Performs the handshake. What came behind it is left in `incoming`; until then the other end may
/// send `most` bytes.
pub(super) async fn perform(
    below: &dyn Link,
    session: &mut Connection,
    incoming: &mut BytesMut,
    most: usize,
) -> Result<(), Fault> {
    let mut heard = 0;
    loop {
        write(below, session).await?;
        if !session.is_handshaking() {
            return Ok(());
        }
        if incoming.is_empty() {
            read_some(below, incoming).await?;
        }
        while session.is_handshaking() && !incoming.is_empty() {
            let mut input = &**incoming;
            let count = session.read_tls(&mut input)?;
            incoming.advance(count);
            heard += count;
            if let Err(error) = session.process_new_packets() {
                // The first failure is the one that matters.
                let _ = write(below, session).await;
                return Err(Fault::Tls(error));
            }
        }
        if heard > most {
            return Err(Fault::Excess(most));
        }
    }
}

async fn write(below: &dyn Link, session: &mut Connection) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(&mut Below(below)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| below.poll_writable(context)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
