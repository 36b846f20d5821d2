use proptest::prelude::*;

use super::super::request::{MAX_HEAD, Verdict, judge};
use super::super::{Place, Visitors};

const GOOD: [&str; 5] = [
    "Host: localhost:5000",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn request(line: &str, headers: &[&str]) -> Vec<u8> {
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line}\r\n{head}\r\n").into_bytes()
}

fn judged(bytes: &[u8]) -> Option<Verdict> {
    let at = "127.0.0.1:5000".parse().ok();
    judge(bytes, &Visitors::default(), Place { name: Some("127.0.0.1"), at, secure: false })
}

/// The request with some of its headers replaced, or with more of them.
fn changed(changes: &[&str]) -> Vec<u8> {
    let name = |header: &str| header.split(':').next().unwrap_or_default().to_lowercase();
    let kept = GOOD.iter().filter(|header| changes.iter().all(|new| name(new) != name(header)));
    let headers: Vec<&str> =
        kept.copied().chain(changes.iter().copied().filter(|new| new.contains(": "))).collect();
    request("GET / HTTP/1.1", &headers)
}

#[test]
fn a_good_request_is_welcome() {
    for more in [
        &[][..],
        &["Connection: keep-alive, Upgrade"],
        &["Upgrade: WebSocket"],
        &["Origin: http://localhost:8000"],
        &["Content-Length: 0"],
        &["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
        &["User-Agent: x", "Accept: */*", "Cookie: a=b"],
    ] {
        let request = changed(more);
        let Some(Verdict::Welcome(len, answer)) = judged(&request) else { panic!("{more:?}") };
        assert_eq!(len, request.len());
        assert!(answer.starts_with("HTTP/1.1 101 "));
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!answer.contains("Extensions") && !answer.contains("Protocol:"));
    }
    let offered = changed(&["Sec-WebSocket-Protocol: soap, daffi"]);
    let Some(Verdict::Welcome(_, answer)) = judged(&offered) else { panic!() };
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: daffi\r\n"));
}

#[test]
fn a_bad_request_is_refused_with_a_reason() {
    let many: Vec<String> = (0..70).map(|n| format!("X-{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("X: {}", "y".repeat(MAX_HEAD));
    let good = |line| request(line, &GOOD);
    for (what, status, bytes) in [
        ("no HTTP", 400, b"hello".to_vec()),
        ("another protocol", 400, b"SSH-2.0-OpenSSH_9\r\n".to_vec()),
        ("small letters", 400, b"get / HTTP/1.1\r\n".to_vec()),
        ("no request", 400, b"GET \0 HTTP/1.1\r\n\r\n".to_vec()),
        ("old", 400, good("GET / HTTP/1.0")),
        ("new", 400, good("GET / HTTP/2.0")),
        ("POST", 405, good("POST / HTTP/1.1")),
        ("HEAD", 405, good("HEAD / HTTP/1.1")),
        ("a page", 426, request("GET / HTTP/1.1", &["Host: localhost:5000"])),
        ("another upgrade", 426, changed(&["Upgrade: h2c"])),
        ("no connection", 426, changed(&["Connection: keep-alive"])),
        ("an old version", 426, changed(&["Sec-WebSocket-Version: 8"])),
        ("no version", 426, changed(&["Sec-WebSocket-Version"])),
        ("no key", 400, changed(&["Sec-WebSocket-Key"])),
        ("a short key", 400, changed(&["Sec-WebSocket-Key: c2hvcnQ="])),
        ("an odd key", 400, changed(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="])),
        ("no host", 400, changed(&["Host"])),
        ("two hosts", 400, changed(&["Host: localhost:5000", "host: localhost:5000"])),
        ("another host", 403, changed(&["Host: evil.com:5000"])),
        ("another origin", 403, changed(&["Origin: http://localhost.evil.com"])),
        ("no origin to speak of", 403, changed(&["Origin: null"])),
        ("an empty origin", 403, changed(&["Origin: "])),
        ("an origin that is not ASCII", 400, changed(&["Origin: http://lоcalhost"])),
        ("two origins", 400, changed(&["Origin: http://localhost", "Origin: http://localhost"])),
        ("a body", 400, changed(&["Content-Length: 5"])),
        ("a body in chunks", 400, changed(&["Transfer-Encoding: chunked"])),
        ("another subprotocol", 400, changed(&["Sec-WebSocket-Protocol: soap"])),
        ("many headers", 400, changed(&many)),
        ("a long header", 400, changed(&[&long])),
        ("a header folded in two", 400, changed(&["X: a\r\n b"])),
    ] {
        let Some(Verdict::Refused(refusal)) = judged(&bytes) else { panic!("{what}") };
        assert_eq!(refusal.status, status, "{what}: {}", refusal.text);
        let response = refusal.response();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{what}: {head}");
        assert!(body.trim_end().ends_with('.') && body.len() < 400, "{what}: {body}");
        assert_eq!(head.contains("\r\nAllow: GET\r\n"), status == 405, "{what}: {head}");
        assert_eq!(head.contains("\r\nUpgrade: websocket\r\n"), status == 426, "{what}: {head}");
    }
}

#[test]
fn what_never_ends_is_refused_when_it_is_too_long() {
    let mut endless = b"GET / HTTP/1.1\r\nX: ".to_vec();
    assert_eq!(judged(&endless), None);
    endless.resize(MAX_HEAD, b'y');
    assert_eq!(judged(&endless), None);
    endless.push(b'y');
    assert!(matches!(judged(&endless), Some(Verdict::Refused(_))));
}

proptest! {
    #[test]
    fn garbage_is_refused_or_waited_for(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let welcome = matches!(judged(&bytes), Some(Verdict::Welcome(..)));
        prop_assert!(!welcome);
        let _ = judged(&[b"GET / HTTP/1.1\r\n", &bytes[..]].concat());
    }

    #[test]
    fn a_request_is_nothing_until_it_is_whole(
        cut in 0..1000_usize,
        behind in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let whole = changed(&["Origin: http://localhost:8000"]);
        let part = &whole[..cut % whole.len()];
        prop_assert_eq!(judged(part), None);
        let more = [&whole[..], &behind].concat();
        let Some(Verdict::Welcome(len, _)) = judged(&more) else { panic!() };
        prop_assert_eq!(len, whole.len());
    }
}
