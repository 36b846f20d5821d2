use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Result};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::{Link, receive};

/// How long whoever is turned away may take to hear it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes everything, however long it takes.
pub async fn write_all(link: &dyn Link, mut bytes: &[u8]) -> Result<()> {
    loop {
        let slices = [IoSlice::new(bytes)];
        // Writing nothing lets a link go on with what it holds back.
        match link.try_write(if bytes.is_empty() { &[] } else { &slices }) {
            Ok(_) if bytes.is_empty() => return Ok(()),
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes.advance(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| link.poll_writable(context)).await?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ends our direction, and lets `discard` read and throw away until the other side has ended its
/// own: a socket that is closed while something unread is in it takes back what it has just said.
pub async fn part(link: &dyn Link, mut discard: impl FnMut() -> Result<usize>) -> Result<()> {
    while let Err(error) = link.try_finish() {
        match error.kind() {
            ErrorKind::WouldBlock => poll_fn(|context| link.poll_writable(context)).await?,
            ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
    loop {
        poll_fn(|context| link.poll_readable(context)).await?;
        match discard() {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same for a link that nobody else reads, for a while.
pub async fn part_early(link: &dyn Link) {
    let mut buffer = BytesMut::new();
    let discard = || {
        buffer.clear();
        receive(link, &mut [], &mut buffer, 4096).map(|(_, count)| count)
    };
    // Whoever does not listen does not get to hear it.
    let _ = tokio::time::timeout(PATIENCE, part(link, discard)).await;
}
