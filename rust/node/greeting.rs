use std::future::poll_fn;
use std::io::ErrorKind;

use bytes::{Buf, BytesMut};

use super::gone;
use super::session::explain;
use crate::link::{Link, part_early, receive, write_all};
use crate::wire::{
    Decoder, Failure, FailureKind, Frame, Hello, Kind, MAX_GREETING, PREAMBLE, PREAMBLE_LEN, Ran,
    VERSION, Welcome, refusal_for,
};

/// How much one read of a greeting takes, in bytes.
const READ: usize = 4 * 1024;

/// Greets a server; the decoder holds what it said beyond its greeting.
pub(super) async fn greet_server(
    link: &dyn Link,
    hello: &Hello,
) -> Result<(Welcome, Decoder), Failure> {
    let mut first = PREAMBLE.to_vec();
    first.extend(Frame::new(Kind::Hello, 0).with_body(hello.encode()).encode());
    write_all(link, &first).await.map_err(lost)?;
    let mut decoder = Decoder::new(MAX_GREETING);
    preamble(link, &mut decoder, |first| {
        let text: String = String::from_utf8_lossy(first).chars().take(60).collect();
        let text = format!("it answered, but it does not speak daffi: {text:?}");
        Failure::new(FailureKind::Protocol, Ran::No, text)
    })
    .await?;
    let frame = frame(link, &mut decoder).await?;
    match frame.kind {
        Kind::Welcome => Ok((Welcome::decode(&frame.body).map_err(protocol)?, decoder)),
        Kind::Goodbye => Err(Failure::decode(&frame.body).map_err(protocol)?),
        Kind::Challenge => {
            let text = "it asks for a token, which this version of daffi can't prove yet";
            Err(Failure::new(FailureKind::Authentication, Ran::No, text))
        }
        _ => Err(protocol("it did not answer the greeting")),
    }
}

/// Hears a client's greeting out. Nothing comes back for somebody who is no client of ours: that
/// one has been told so, in its own language. `first` is what was read of it already.
pub(super) async fn greet_client(
    link: &dyn Link,
    first: BytesMut,
) -> Result<Option<(Hello, Decoder)>, Failure> {
    let mut decoder = Decoder::with(first, MAX_GREETING);
    let mut refusal = None;
    let refuse = |first: &[u8]| {
        refusal = refusal_for(first);
        protocol("another protocol")
    };
    let spoken = preamble(link, &mut decoder, refuse).await;
    if let Some(refusal) = refusal {
        write_all(link, refusal).await.map_err(lost)?;
        part_early(link).await;
        return Ok(None);
    }
    if let Err(failure) = spoken {
        return Err(refuse_client(link, failure).await);
    }
    let hello = async {
        let frame = frame(link, &mut decoder).await?;
        match frame.kind {
            Kind::Hello => Hello::decode(&frame.body).map_err(protocol),
            _ => Err(protocol("a client begins with its greeting")),
        }
    };
    match hello.await {
        Ok(hello) => Ok(Some((hello, decoder))),
        Err(failure) => Err(refuse_client(link, failure).await),
    }
}

/// Tells a client why it is not welcome, and waits until it has heard it, for a while.
async fn refuse_client(link: &dyn Link, failure: Failure) -> Failure {
    let goodbye = Frame::new(Kind::Goodbye, 0).with_body(failure.encode()).encode();
    explain(link, &failure);
    // Whoever is refused may have left already.
    if write_all(link, &[&PREAMBLE[..], &goodbye].concat()).await.is_ok() {
        part_early(link).await;
    }
    failure
}

/// Reads the other side's preamble. `refuse` says what is wrong with one that is not ours.
async fn preamble(
    link: &dyn Link,
    decoder: &mut Decoder,
    refuse: impl FnOnce(&[u8]) -> Failure,
) -> Result<(), Failure> {
    loop {
        let buffer = decoder.buffer();
        if refusal_for(buffer).is_some() {
            return Err(refuse(buffer));
        }
        if let Some([_, _, _, _, lowest, highest, ..]) = buffer.first_chunk::<PREAMBLE_LEN>() {
            if !(*lowest..=*highest).contains(&VERSION) {
                return Err(protocol(format!(
                    "it speaks versions {lowest} to {highest} of the protocol, we speak {VERSION}"
                )));
            }
            buffer.advance(PREAMBLE_LEN);
            return Ok(());
        }
        read(link, decoder).await?;
    }
}

async fn frame(link: &dyn Link, decoder: &mut Decoder) -> Result<Frame, Failure> {
    loop {
        if let Some(frame) = decoder.next_frame().map_err(protocol)? {
            return Ok(frame);
        }
        read(link, decoder).await?;
    }
}

async fn read(link: &dyn Link, decoder: &mut Decoder) -> Result<(), Failure> {
    loop {
        poll_fn(|context| link.poll_readable(context)).await.map_err(lost)?;
        match receive(link, &mut [], decoder.buffer(), READ) {
            Ok((0, 0)) => return Err(lost(ErrorKind::UnexpectedEof.into())),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(lost(error)),
        }
    }
}

fn lost(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof => gone("it closed the connection during the greeting"),
        _ => gone(format!("the connection broke during the greeting: {error}")),
    }
}

fn protocol(error: impl ToString) -> Failure {
    Failure::new(FailureKind::Protocol, Ran::No, error.to_string())
}
