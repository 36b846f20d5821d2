use std::future::poll_fn;
use std::io::ErrorKind;

use bytes::{Buf, BytesMut};

use super::challenge::{self, Host, NOT_ASKED, unproven};
use super::gone;
use super::session::explain;
use crate::link::{Entered, Link, LinkError, part_early, receive, write_all};
use crate::wire::{
    Decoder, Failure, FailureKind, Frame, Greeter, Hello, Kind, MAX_GREETING, PREAMBLE,
    PREAMBLE_LEN, Ran, Token, VERSION, Welcome, plain_refusal_for, refusal_for,
};

/// How much one read of a greeting takes, in bytes.
const READ: usize = 4 * 1024;

/// A client that has greeted, and shown that it knows the token if there is one.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) hello: Hello,
    /// What it said beyond its greeting.
    pub(super) decoder: Decoder,
    /// What shows it the same of us, where there is a token; our preamble is sent then.
    pub(super) proof: Option<[u8; 32]>,
}

/// Greets a server; the decoder holds what it said beyond its greeting.
pub(super) async fn greet_server(
    link: &dyn Link,
    hello: &Hello,
    token: Option<&Token>,
) -> Result<(Welcome, Decoder), Failure> {
    let mut first = PREAMBLE.to_vec();
    first.extend(Frame::new(Kind::Hello, 0).with_body(hello.encode()).encode());
    say(link, &first).await?;
    let mut decoder = Decoder::new(MAX_GREETING);
    preamble(link, &mut decoder, |first| {
        let text: String = String::from_utf8_lossy(first).chars().take(60).collect();
        let text = format!("it answered, but it does not speak daffi: {text:?}");
        Failure::new(FailureKind::Protocol, Ran::No, text)
    })
    .await?;
    let said = hear(link, &mut decoder).await?;
    let welcome = match said.kind {
        Kind::Challenge => challenge::answer(&said, token, link, &mut decoder, hello).await?,
        Kind::Welcome if token.is_some() => return Err(unproven(NOT_ASKED)),
        Kind::Welcome => Welcome::decode(&said.body).map_err(protocol)?,
        Kind::Goodbye => return Err(Failure::decode(&said.body).map_err(protocol)?),
        _ => return Err(protocol("it did not answer the greeting")),
    };
    Ok((welcome, decoder))
}

/// Hears a client's greeting out. Nothing comes back for somebody who is no client of ours: that
/// one has been told so, in its own language.
pub(super) async fn greet_client(
    entered: Entered,
    host: Host<'_>,
) -> Result<Option<(Box<dyn Link>, Guest)>, Failure> {
    let Entered { link, first, barred } = entered;
    if barred {
        return bar(&*link, &first).await.map(|()| None);
    }
    let guest = hear_client(&*link, first, host).await?;
    Ok(guest.map(|guest| (link, guest)))
}

/// Tells somebody who came without TLS that it is asked for.
async fn bar(link: &dyn Link, first: &[u8]) -> Result<(), Failure> {
    let Some(refusal) = plain_refusal_for(first) else {
        let failure = protocol("this server speaks TLS: pass tls=True, or a URL with tls://");
        return Err(refuse_client(link, failure, false).await);
    };
    refuse_stranger(link, refusal).await
}

async fn refuse_stranger(link: &dyn Link, refusal: &[u8]) -> Result<(), Failure> {
    say(link, refusal).await?;
    part_early(link).await;
    Ok(())
}

async fn hear_client(
    link: &dyn Link,
    first: BytesMut,
    host: Host<'_>,
) -> Result<Option<Guest>, Failure> {
    let mut decoder = Decoder::with(first, MAX_GREETING);
    let mut refusal = None;
    let refuse = |first: &[u8]| {
        refusal = refusal_for(first);
        protocol("another protocol")
    };
    let spoken = preamble(link, &mut decoder, refuse).await;
    if let Some(refusal) = refusal {
        return refuse_stranger(link, refusal).await.map(|()| None);
    }
    if let Err(failure) = spoken {
        return Err(refuse_client(link, failure, false).await);
    }
    let mut asked = false;
    let greeted = async {
        let said = hear(link, &mut decoder).await?;
        if said.kind != Kind::Hello {
            return Err(protocol("a client begins with its greeting"));
        }
        let mut proof = None;
        if let Some(token) = host.token {
            let greeter = Greeter::decode(&said.body).map_err(protocol)?;
            asked = true;
            proof = Some(host.ask(token, link, &mut decoder, &greeter).await?);
        }
        Ok((Hello::decode(&said.body).map_err(protocol)?, proof))
    };
    match greeted.await {
        Ok((hello, proof)) => Ok(Some(Guest { hello, decoder, proof })),
        Err(failure) => Err(refuse_client(link, failure, asked).await),
    }
}

/// Tells a client why it is not welcome, and waits until it has heard it, for a while. One that
/// was `asked` for the token has our preamble.
async fn refuse_client(link: &dyn Link, failure: Failure, asked: bool) -> Failure {
    let goodbye = Frame::new(Kind::Goodbye, 0).with_body(failure.encode()).encode();
    explain(link, &failure);
    // Whoever is refused may have left already.
    let preamble: &[u8] = if asked { &[] } else { &PREAMBLE };
    if say(link, &[preamble, &goodbye].concat()).await.is_ok() {
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

/// The next frame.
pub(super) async fn hear(link: &dyn Link, decoder: &mut Decoder) -> Result<Frame, Failure> {
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

/// Writes all of it.
pub(super) async fn say(link: &dyn Link, bytes: &[u8]) -> Result<(), Failure> {
    write_all(link, bytes).await.map_err(lost)
}

fn lost(error: std::io::Error) -> Failure {
    refused(error.into()).unwrap_or_else(|error| match error {
        LinkError::System(error) if error.kind() == ErrorKind::UnexpectedEof => {
            gone("it closed the connection during the greeting")
        }
        error => gone(format!("the connection broke during the greeting: {error}")),
    })
}

/// The failure of a connection that one of the two ends did not want; the error again, where the
/// system only could not make it.
pub(super) fn refused(error: LinkError) -> Result<Failure, LinkError> {
    match error {
        LinkError::Protocol(text) => Ok(protocol(text)),
        LinkError::Unproven(text) => Ok(Failure::new(FailureKind::Authentication, Ran::No, text)),
        error => Err(error),
    }
}

pub(super) fn protocol(error: impl ToString) -> Failure {
    Failure::new(FailureKind::Protocol, Ran::No, error.to_string())
}
