use bytes::{Buf, BytesMut};
use httparse::{EMPTY_HEADER, Response, Status};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::request::{Headers, MAX_HEAD, MAX_HEADERS};
use super::{End, WebSocket};
use crate::link::entrance::read_some;
use crate::link::{Link, LinkError, write_all};

/// How much of the reason is read that comes with a refusal, in bytes.
const MAX_REASON: usize = 1024;

/// What a server says to a request to upgrade.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// In so many bytes: come in.
    Welcome(usize),
    /// In so many bytes: no, for a reason of so many bytes that follows.
    Refused { head: usize, status: u16, reason: usize },
}

/// Asks a server, by the name that the user knows it by, to go on with WebSocket. The error says
/// what it said. Takes as long as the other end does.
pub(in crate::link) async fn ask(
    link: Box<dyn Link>,
    host: &str,
) -> Result<Box<dyn Link>, LinkError> {
    let key = generate_key();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    write_all(&*link, request.as_bytes()).await?;
    let mut answer = BytesMut::new();
    loop {
        match understand(&answer, &derive_accept_key(key.as_bytes()))? {
            None => read_some(&*link, &mut answer).await?,
            Some(Said::Welcome(len)) => {
                answer.advance(len);
                return Ok(Box::new(WebSocket::new(End::Client, link, answer)));
            }
            Some(Said::Refused { head, status, reason }) => {
                answer.advance(head);
                while answer.len() < reason && read_some(&*link, &mut answer).await.is_ok() {}
                let reason = answer.get(..reason.min(answer.len())).unwrap_or_default();
                let reason = String::from_utf8_lossy(reason);
                let text = format!("it refused the WebSocket ({status}): {}", reason.trim());
                return Err(LinkError::Protocol(text));
            }
        }
    }
}

/// What the server has said so far; none while it is too little to tell.
fn understand(answer: &[u8], accept: &str) -> Result<Option<Said>, LinkError> {
    let wrong = |what: &str| {
        LinkError::Protocol(format!("it answered, but it does not speak WebSocket: {what}"))
    };
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let parsed = response.parse(answer).map_err(|error| wrong(&error.to_string()))?;
    let Status::Complete(head) = parsed else {
        return match answer.len() > MAX_HEAD {
            true => Err(wrong("its answer is too long")),
            false => Ok(None),
        };
    };
    let headers = Headers(response.headers);
    let status = response.code.unwrap_or_default();
    let twice = |_| wrong("a header is there twice, or is not ASCII");
    if status != 101 {
        let reason = headers.one("content-length").map_err(twice)?;
        let reason = reason.and_then(|text| text.parse().ok()).unwrap_or(0);
        return Ok(Some(Said::Refused { head, status, reason: MAX_REASON.min(reason) }));
    }
    let upgrades = headers.lists("upgrade", "websocket").map_err(twice)?
        && headers.lists("connection", "upgrade").map_err(twice)?;
    if !upgrades || headers.one("sec-websocket-accept").map_err(twice)? != Some(accept) {
        return Err(wrong("it agrees, but not to this request"));
    }
    for agreed in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        if headers.one(agreed).map_err(twice)?.is_some() {
            return Err(wrong("it agrees to what nobody asked for"));
        }
    }
    Ok(Some(Said::Welcome(head)))
}
