use bytes::{Buf, BytesMut};
use httparse::{EMPTY_HEADER, Header, Request, Status};
use tungstenite::handshake::derive_accept_key;

use super::visitors::Place;
use super::{End, Visitors, WebSocket};
use crate::link::entrance::read_some;
use crate::link::{Link, LinkError, part_early, write_all};

/// The longest head of a request, in bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The most headers that it may have.
pub(super) const MAX_HEADERS: usize = 64;
/// What HTTP calls itself by, and what it may be asked for.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH"];
/// The subprotocol, for clients that ask for one.
const SUBPROTOCOL: &str = "daffi";
const VERSION: &str = "13";
/// How much of what somebody sent is repeated to them, in characters.
const MAX_QUOTE: usize = 100;

/// What to do about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has so many bytes, and this is the answer.
    Welcome(usize, String),
    Refused(Refusal),
}

/// Why a request is not answered as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// For people: what to do.
    pub(super) text: String,
}

/// Answers a request to upgrade that begins with `head`. Whoever is refused has heard why when the
/// error comes back.
pub(in crate::link) async fn answer(
    link: Box<dyn Link>,
    mut head: BytesMut,
    visitors: &Visitors,
    place: Place<'_>,
) -> Result<Box<dyn Link>, LinkError> {
    loop {
        match judge(&head, visitors, place) {
            None => read_some(&*link, &mut head).await?,
            Some(Verdict::Welcome(len, answer)) => {
                write_all(&*link, answer.as_bytes()).await?;
                head.advance(len);
                return Ok(Box::new(WebSocket::new(End::Server, link, head)));
            }
            Some(Verdict::Refused(refusal)) => {
                write_all(&*link, refusal.response().as_bytes()).await?;
                part_early(&*link).await;
                return Err(LinkError::Protocol(refusal.text));
            }
        }
    }
}

/// What to do about what has come so far; none while it is too little to tell.
pub(super) fn judge(head: &[u8], visitors: &Visitors, place: Place<'_>) -> Option<Verdict> {
    if !begins_like_http(head) {
        let text = "This port speaks daffi and WebSocket. Use daffi.Client, or a browser client.";
        return Some(Verdict::Refused(Refusal::new(400, text)));
    }
    let too_long = || {
        let text = format!("The request is too long: at most {MAX_HEAD} bytes are read.");
        Some(Verdict::Refused(Refusal::new(400, text)))
    };
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(len)) if len > MAX_HEAD => too_long(),
        Ok(Status::Complete(len)) => Some(match check(&request, visitors, place) {
            Ok(answer) => Verdict::Welcome(len, answer),
            Err(refusal) => Verdict::Refused(refusal),
        }),
        Ok(Status::Partial) if head.len() > MAX_HEAD => too_long(),
        Ok(Status::Partial) => None,
        Err(httparse::Error::TooManyHeaders) => {
            let text = format!("The request has too many headers: at most {MAX_HEADERS} are read.");
            Some(Verdict::Refused(Refusal::new(400, text)))
        }
        Err(error) => {
            let text = format!("That is no request of HTTP/1.1: {error}.");
            Some(Verdict::Refused(Refusal::new(400, text)))
        }
    }
}

fn begins_like_http(head: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        let line = method.bytes().chain(*b" ");
        line.zip(head).all(|(ours, theirs)| ours == *theirs)
    })
}

/// Whether it is a request to upgrade by somebody who may come in; the answer to it.
fn check(
    request: &Request<'_, '_>,
    visitors: &Visitors,
    place: Place<'_>,
) -> Result<String, Refusal> {
    let headers = Headers(request.headers);
    if request.version != Some(1) {
        return Err(Refusal::new(
            400,
            "This port speaks daffi and WebSocket: use HTTP/1.1 to open one.",
        ));
    }
    if request.method != Some("GET") {
        return Err(Refusal::new(
            405,
            "This port speaks daffi and WebSocket: use GET to open one.",
        ));
    }
    if !headers.lists("upgrade", "websocket")? || !headers.lists("connection", "upgrade")? {
        let text = "This port speaks daffi and WebSocket, and serves no pages. Connect to it with \
                    daffi.Client, or from a page with new DaffiClient(name, {wsUrl: \"ws://...\"}).";
        return Err(Refusal::new(426, text));
    }
    if headers.one("sec-websocket-version")? != Some(VERSION) {
        let text = "Use version 13 of WebSocket: Sec-WebSocket-Version is missing or another one.";
        return Err(Refusal::new(426, text));
    }
    let key = headers.one("sec-websocket-key")?.filter(|key| is_key(key));
    let key = key
        .ok_or_else(|| Refusal::new(400, "Sec-WebSocket-Key must be 16 random bytes in base64."))?;
    let brings_more = headers.one("content-length")?.is_some_and(|length| length != "0");
    if brings_more || headers.one("transfer-encoding")?.is_some() {
        return Err(Refusal::new(400, "A request to open a WebSocket has no body."));
    }
    let offered = headers.count("sec-websocket-protocol") > 0;
    if offered && !headers.lists_exactly("sec-websocket-protocol", SUBPROTOCOL)? {
        let text = "Offer the subprotocol \"daffi\", or none.";
        return Err(Refusal::new(400, text));
    }
    let host = headers.one("host")?;
    let host = host.ok_or_else(|| Refusal::new(400, "The request names no Host."))?;
    if !visitors.admits_host(host, place) {
        let text = format!(
            "The Host {} is none of this server's addresses. Connect to an address that it listens \
             on, or start it with allowed_hosts=[{}].",
            quote(host),
            quote(host)
        );
        return Err(Refusal::new(403, text));
    }
    if let Some(origin) = headers.one("origin")?
        && !visitors.admits_origin(origin, place)
    {
        let text = format!(
            "Pages of {} may not connect to this server. Start it with allowed_origins=[{}] if \
             they should.",
            quote(origin),
            quote(origin)
        );
        return Err(Refusal::new(403, text));
    }
    let chosen =
        if offered { format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n") } else { String::new() };
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{chosen}\r\n",
        derive_accept_key(key.as_bytes())
    ))
}

/// What somebody sent, for people.
fn quote(text: &str) -> String {
    let short: String = text.chars().take(MAX_QUOTE).collect();
    format!("{short:?}")
}

/// Whether this is base64 of 16 bytes, in the one way of writing it.
fn is_key(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    // The last letter of 22 holds two bits.
    let ends = text.strip_suffix("==").is_some_and(|key| key.ends_with(['A', 'Q', 'g', 'w']));
    text.len() == 24 && ends && text.bytes().take(22).all(letter)
}

/// The headers of a request or of a response.
pub(super) struct Headers<'a>(pub(super) &'a [Header<'a>]);

impl<'a> Headers<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    }

    fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// The one that has this name, if there is one.
    pub(super) fn one(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut all = self.all(name);
        let Some(value) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err(Refusal::new(400, format!("The request has more than one {name}.")));
        }
        text(name, value).map(Some)
    }

    /// Whether those that have this name list a word, in any case.
    pub(super) fn lists(&self, name: &str, word: &str) -> Result<bool, Refusal> {
        self.any(name, |listed| listed.eq_ignore_ascii_case(word))
    }

    fn lists_exactly(&self, name: &str, word: &str) -> Result<bool, Refusal> {
        self.any(name, |listed| listed == word)
    }

    fn any(&self, name: &str, is: impl Fn(&str) -> bool) -> Result<bool, Refusal> {
        for value in self.all(name) {
            if text(name, value)?.split(',').any(|listed| is(listed.trim_matches([' ', '\t']))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn text<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, Refusal> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
    text.ok_or_else(|| Refusal::new(400, format!("The header {name} is not ASCII.")))
}

impl Refusal {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(super) fn response(&self) -> String {
        let (reason, more) = match self.status {
            403 => ("Forbidden", ""),
            405 => ("Method Not Allowed", "Allow: GET\r\n"),
            426 => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
            _ => ("Bad Request", ""),
        };
        let connection = if self.status == 426 { "Upgrade, close" } else { "close" };
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\n{more}\
             Connection: {connection}\r\n\r\n{}\r\n",
            self.status,
            self.text.len() + 2,
            self.text
        )
    }
}
