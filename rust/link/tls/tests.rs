//! What is particular to TLS: who counts as proven, what binds, and what ends a connection. That it
//! keeps the rules of a link is tested with the other links.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;

use bytes::BytesMut;
use rcgen::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa};

use super::super::tests::{pair, path, read, write};
use super::{ClientTls, ServerTls, identity};
use crate::link::{
    Address, Dial, Entered, Entrance, EntranceOptions, Link, LinkError, Listener, Trust,
};
use crate::link::{connect, receive};

struct Files {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

/// A CA and a certificate for both sides.
fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params_for("localhost").signed_by(&key, &ca).unwrap();
        let write = |text: String| {
            let file = path();
            std::fs::write(&file, text).unwrap();
            file
        };
        Files { ca: write(ca.pem()), cert: write(cert.pem()), key: write(key.serialize_pem()) }
    })
}

fn params_for(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn server(mutual: bool) -> ServerTls {
    let files = files();
    ServerTls {
        cert_file: files.cert.clone(),
        key_file: files.key.clone(),
        ca_file: mutual.then(|| files.ca.clone()),
    }
}

fn client(verifies: bool, shows: bool) -> ClientTls {
    let files = files();
    ClientTls {
        ca_file: verifies.then(|| files.ca.clone()),
        server_hostname: "localhost".into(),
        own: shows.then(|| (files.cert.clone(), files.key.clone())),
    }
}

/// Both ends of a connection with TLS; the client's first.
pub(in crate::link) async fn secured(address: Address) -> (Box<dyn Link>, Box<dyn Link>) {
    shaken(address, server(false), client(true, false)).await
}

async fn shaken(
    address: Address,
    server: ServerTls,
    client: ClientTls,
) -> (Box<dyn Link>, Box<dyn Link>) {
    let listener = Listener::bind(&address).await.unwrap();
    let address = match (address, listener.port()) {
        (Address::Tcp(host, _), Some(port)) => Address::Tcp(host, port),
        (address, _) => address,
    };
    let options = EntranceOptions { tls: Some(server), ..EntranceOptions::default() };
    let entrance = Entrance::prepare(&options, &address).unwrap();
    let dial = Dial { tls: Some(client), ..address.into() };
    let coming = async {
        let Entered { link, first, barred } =
            entrance.enter(listener.accept().await.unwrap()).await.unwrap();
        assert_eq!((&first[..], barred), (&b"\0first"[..], false));
        link
    };
    let going = async {
        let link = connect(&dial).await.unwrap();
        write(&*link, b"\0first").await;
        link
    };
    tokio::join!(going, coming)
}

fn tcp() -> Address {
    Address::Tcp("127.0.0.1".into(), 0)
}

#[tokio::test]
async fn both_ends_know_a_value_that_no_other_connection_has() {
    let (near, far) = secured(tcp()).await;
    let (other, _far) = secured(tcp()).await;
    assert!(near.binding().is_some());
    assert_eq!(near.binding(), far.binding());
    assert_ne!(near.binding(), other.binding());
}

#[tokio::test]
async fn who_has_been_verified_is_proven() {
    for (verifies, mutual) in [(false, false), (true, false), (false, true), (true, true)] {
        let (near, far) = shaken(tcp(), server(mutual), client(verifies, mutual)).await;
        for (end, proven) in [(near, verifies), (far, mutual)] {
            let trust = if proven { Trust::Proven } else { Trust::Near };
            assert_eq!((end.trust(), end.identity().is_some()), (trust, proven));
        }
    }
}

#[test]
fn a_renewed_certificate_names_the_same() {
    let der = |params: CertificateParams| {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    };
    let name = |params| identity::of(&der(params)).unwrap();
    assert_eq!(name(params_for("a.example")), name(params_for("a.example")));
    assert_ne!(name(params_for("a.example")), name(params_for("b.example")));
    assert!(identity::is_self_signed(&der(params_for("a.example"))));
    // However it is cut short, it is no certificate.
    let whole = der(params_for("a.example"));
    for len in 0..whole.len() {
        assert_eq!(identity::of(&whole[..len]), None);
    }
}

#[tokio::test]
async fn what_is_cut_off_has_not_ended() {
    let (near, far) = secured(tcp()).await;
    write(&*near, b"half").await;
    near.close();
    assert_eq!(read(&*far, 100).await.unwrap(), b"half");
    for _ in 0..2 {
        assert_eq!(read(&*far, 100).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn who_answers_in_another_language_is_refused() {
    let (below, plain) = pair(tcp()).await;
    let tls = client(false, false);
    let answering = async {
        let mut first = BytesMut::new();
        while first.is_empty() {
            std::future::poll_fn(|context| plain.poll_readable(context)).await.unwrap();
            let _ = receive(&*plain, &mut [], &mut first, 4096);
        }
        write(&*plain, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    };
    let (connected, ()) = tokio::join!(tls.connect(below), answering);
    assert!(matches!(connected, Err(LinkError::Protocol(text)) if text.contains("not in TLS")));
}

#[tokio::test]
async fn more_than_fits_below_is_held_back_and_goes_on() {
    let (near, far) = secured(tcp()).await;
    let data = vec![7; 1 << 20];
    let writing = async {
        let mut sent = 0;
        let mut blocked = 0;
        while sent < 20 << 20 {
            match near.try_write(&[std::io::IoSlice::new(&data)]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    blocked += 1;
                    std::future::poll_fn(|context| near.poll_writable(context)).await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        while near.try_write(&[]).is_err() {
            std::future::poll_fn(|context| near.poll_writable(context)).await.unwrap();
        }
        near.try_finish().unwrap();
        (sent, blocked)
    };
    let reading = async {
        let mut count = 0;
        loop {
            let bytes = read(&*far, 100_000).await.unwrap();
            if bytes.is_empty() {
                return count;
            }
            assert!(bytes.iter().all(|byte| *byte == 7));
            count += bytes.len();
        }
    };
    let ((sent, blocked), count) = tokio::join!(writing, reading);
    assert_eq!(sent, count);
    assert!(blocked > 0);
}
