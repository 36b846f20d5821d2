use std::net::SocketAddr;

use super::super::{Place, Visitors};

fn at<'a>(name: Option<&'a str>, at: &str, secure: bool) -> Place<'a> {
    Place { name, at: Some(at.parse::<SocketAddr>().unwrap()), secure }
}

fn list(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn local() -> Place<'static> {
    at(Some("127.0.0.1"), "127.0.0.1:5000", false)
}

const OWN_ORIGINS: [&str; 9] = [
    "http://localhost",
    "http://localhost:5000",
    "http://localhost:8000",
    "https://localhost:8443",
    "http://127.0.0.1:3000",
    "http://[::1]:3000",
    "http://[0:0:0:0:0:0:0:1]:3000",
    "http://[::ffff:127.0.0.1]:3000",
    "HTTP://LocalHost:3000",
];

const FOREIGN_ORIGINS: [&str; 37] = [
    "",
    "null",
    "Null",
    "localhost",
    "localhost:5000",
    "//localhost",
    "http:localhost",
    "http:///localhost",
    "http://",
    "http://localhost.evil.com",
    "http://localhost.evil.com:5000",
    "http://evil.com",
    "http://evil-localhost",
    "http://sub.localhost",
    "http://localhost.",
    "http://localhost.:5000",
    "http://127.0.0.1.",
    "http://127.0.0.1.evil.com",
    "http://127.0.0.1.nip.io",
    "http://127.1",
    "http://127.0.0.2",
    "http://0x7f.0.0.1",
    "http://2130706433",
    "http://0.0.0.0:5000",
    "http://[::]:5000",
    "http://::1:5000",
    "http://[::1",
    "http://[fe80::1%25eth0]:5000",
    "http://user@localhost:5000",
    "http://user:secret@localhost:5000",
    "http://evil.com@localhost",
    "http://localhost@evil.com",
    "http://localhost:5000/",
    "http://localhost:5000 http://evil.com",
    "http://localhost, http://evil.com",
    "file://localhost",
    "chrome-extension://localhost",
];

#[test]
fn pages_of_our_own_addresses_come_in() {
    let visitors = Visitors::default();
    for origin in OWN_ORIGINS {
        assert!(visitors.admits_origin(origin, local()), "{origin}");
    }
    for origin in FOREIGN_ORIGINS {
        assert!(!visitors.admits_origin(origin, local()), "{origin}");
    }
    for odd in ["http://localhost:", "http://localhost:+80", "http://localhost:99999"] {
        assert!(!visitors.admits_origin(odd, local()), "{odd}");
    }
    for not_ascii in ["http://lоcalhost", "http://localhost。evil.com", "http://①27.0.0.1"] {
        assert!(!visitors.admits_origin(not_ascii, local()), "{not_ascii}");
    }
}

#[test]
fn a_server_elsewhere_is_called_by_the_address_it_was_reached_at() {
    let visitors = Visitors::default();
    let place = at(Some("0.0.0.0"), "192.168.1.5:5000", false);
    for (host, admitted) in [
        ("192.168.1.5:5000", true),
        ("[::ffff:192.168.1.5]:5000", true),
        ("192.168.1.5", false),
        ("192.168.1.6:5000", false),
        ("localhost:5000", false),
        ("127.0.0.1:5000", false),
        ("0.0.0.0:5000", false),
        ("rebound.evil.com:5000", false),
    ] {
        assert_eq!(visitors.admits_host(host, place), admitted, "{host}");
    }
    assert!(visitors.admits_origin("http://192.168.1.5:8000", place));
    assert!(!visitors.admits_origin("http://localhost:8000", place));
    let named = at(Some("Box.example"), "192.168.1.5:5000", false);
    assert!(visitors.admits_host("box.example:5000", named));
    assert!(visitors.admits_origin("https://box.example", named));
    assert!(!visitors.admits_host("box.example.:5000", named));
}

#[test]
fn a_host_is_our_name_and_our_port() {
    let visitors = Visitors::default();
    for (host, admitted) in [
        ("127.0.0.1:5000", true),
        ("localhost:5000", true),
        ("LOCALHOST:5000", true),
        ("[::1]:5000", true),
        ("localhost", false),
        ("localhost:5001", false),
        ("localhost:", false),
        ("localhost.:5000", false),
        ("localhost.evil.com:5000", false),
        ("sub.localhost:5000", false),
        ("user@localhost:5000", false),
        ("evil.com:5000", false),
        ("", false),
        (":5000", false),
        ("::1:5000", false),
        ("[::1:5000", false),
        ("127.1:5000", false),
        ("lоcalhost:5000", false),
        ("localhost:5000, evil.com", false),
        ("http://localhost:5000", false),
        ("localhost:65536", false),
    ] {
        assert_eq!(visitors.admits_host(host, local()), admitted, "{host}");
    }
    for (secure, port, host) in [(false, 80, "localhost"), (true, 443, "localhost")] {
        let address = format!("127.0.0.1:{port}");
        assert!(visitors.admits_host(host, at(None, &address, secure)));
        assert!(!visitors.admits_host(host, at(None, &address, !secure)));
    }
}

#[test]
fn a_unix_socket_is_called_localhost() {
    let visitors = Visitors::default();
    let place = Place { name: None, at: None, secure: false };
    assert!(visitors.admits_host("localhost", place));
    assert!(!visitors.admits_host("evil.com", place));
}

#[test]
fn lists_say_exactly_who() {
    let origins = list(&["https://app.example", "http://other.example:8080", "null"]);
    let hosts = list(&["api.example", "[2001:db8::1]:5000"]);
    let visitors = Visitors::new(Some(&origins), Some(&hosts)).unwrap();
    for (origin, admitted) in [
        ("https://app.example", true),
        ("https://app.example:443", true),
        ("HTTPS://APP.example", true),
        ("http://other.example:8080", true),
        ("null", true),
        ("http://app.example", false),
        ("https://app.example:8443", false),
        ("http://other.example", false),
        ("https://sub.app.example", false),
        ("https://app.example.evil.com", false),
        ("http://localhost:8000", false),
    ] {
        assert_eq!(visitors.admits_origin(origin, local()), admitted, "{origin}");
    }
    for (host, admitted) in [
        ("api.example", true),
        ("api.example:1234", true),
        ("[2001:db8:0:0:0:0:0:1]:5000", true),
        ("[2001:db8::1]", false),
        ("localhost:5000", false),
    ] {
        assert_eq!(visitors.admits_host(host, local()), admitted, "{host}");
    }
    let nobody = Visitors::new(Some(&[]), Some(&[])).unwrap();
    assert!(!nobody.admits_origin("http://localhost", local()));
    assert!(!nobody.admits_host("localhost:5000", local()));
    let all = list(&["*"]);
    let everybody = Visitors::new(Some(&all), Some(&all)).unwrap();
    assert!(everybody.admits_origin("https://evil.com", local()));
    assert!(everybody.admits_origin("null", local()));
    assert!(everybody.admits_host("evil.com", local()));
    assert!(!everybody.admits_host("no host", local()), "it must be one");
}

#[test]
fn a_list_with_an_entry_that_means_nothing_is_refused() {
    for origin in ["localhost", "https://a/", "https://a/b", "", "https://*.a", "ws://", "a b://c"]
    {
        let error = Visitors::new(Some(&list(&[origin])), None).unwrap_err();
        assert!(error.contains("allowed_origins") && error.contains("://"), "{error}");
    }
    for host in ["http://localhost", "a/b", "", "*.a", "a:b", "::1", "a."] {
        let error = Visitors::new(None, Some(&list(&[host]))).unwrap_err();
        assert!(error.contains("allowed_hosts"), "{error}");
    }
}
