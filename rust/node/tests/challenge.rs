//! Both sides show that they know the token, or there is no connection.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::talking::{Functions, options};
use super::{Bare, PATIENCE, tcp, welcome};
use crate::hub::Balance;
use crate::link::{Address, Entered, Link, Listener, MaybeUninitSlice, Trust};
use crate::node::challenge::Host;
use crate::node::greeting::{greet_client, greet_server};
use crate::node::{
    Client, ClientOptions, EntranceOptions, NodeError, Server, ServerOptions, VecLandings,
};
use crate::wire::{
    Challenge, Failure, FailureKind, Frame, Hello, Kind, Limits, PREAMBLE, Proof, Token,
};

fn token(secret: Option<&str>) -> Option<Token> {
    secret.map(Token::new)
}

async fn server(secret: Option<&str>) -> (Arc<Server>, Address) {
    let options = ServerOptions {
        name: "server".into(),
        address: Address::Tcp("127.0.0.1".into(), 0),
        entrance: EntranceOptions::default(),
        max_message: 1 << 20,
        balance: Balance::RoundRobin,
        allow_pickle: None,
        token: token(secret),
    };
    let server = Server::new(options, None, Arc::new(VecLandings));
    server.start().await.unwrap();
    let address = Address::Tcp("127.0.0.1".into(), server.port().unwrap());
    (server, address)
}

fn client(address: &Address, secret: Option<&str>) -> Arc<Client> {
    let options = ClientOptions { token: token(secret), ..options("caller", address) };
    Client::new(options, Arc::<Functions>::default(), Arc::new(VecLandings))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_know_the_token_of_a_server_does_not_get_in() {
    for (theirs, ours, says) in [
        (Some("secret"), Some("secret"), None),
        (None, None, None),
        (Some("secret"), Some("secret "), Some("another")),
        (Some("secret"), None, Some("DAFFI_TOKEN")),
        (None, Some("secret"), Some("no token")),
    ] {
        let (server, address) = server(theirs).await;
        let client = client(&address, ours);
        match (client.connect(None).await, says) {
            (Ok(()), None) => assert_eq!(server.members().len(), 1),
            (Err(NodeError::Refused(failure)), Some(says)) => {
                assert_eq!(failure.kind, FailureKind::Authentication, "{failure:?}");
                assert!(failure.message.contains(says), "{}", failure.message);
                assert!(!failure.message.contains("secret"), "{}", failure.message);
                // A server that asked for nothing has let it in, for a moment.
                assert!(theirs.is_none() || server.members().is_empty());
            }
            other => panic!("{theirs:?} {ours:?}: {other:?}"),
        }
        client.stop(PATIENCE, 0).await;
        server.stop(PATIENCE, 0).await;
    }
}

#[tokio::test]
async fn who_asks_for_the_token_must_know_it() {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1".into(), 0)).await.unwrap();
    let address = Address::Tcp("127.0.0.1".into(), listener.port().unwrap());
    // What a server could say that has only heard of tokens.
    for proof in [None, Some(false), Some(true)] {
        let client = client(&address, Some("secret"));
        let imposter = async {
            let mut bare = Bare::new(listener.accept().await.unwrap());
            bare.hear_preamble().await;
            assert_eq!(bare.hear().await.unwrap().kind, Kind::Hello);
            let (nonce, incarnation) = ([1; 32].into(), [7; 16].into());
            let challenge = Challenge { nonce, name: "server".into(), incarnation };
            let challenge = Frame::new(Kind::Challenge, 0).with_body(challenge.encode());
            bare.say(&[&PREAMBLE[..], &challenge.encode()].concat()).await;
            let Proof { proof: theirs, .. } =
                Proof::decode(&bare.hear().await.unwrap().body).unwrap();
            let mut welcome = welcome("server", 1);
            // Its own proof, sent back to it, is none of ours.
            welcome.proof = proof.map(|own| if own { theirs } else { [0; 32].into() });
            bare.say(&Frame::new(Kind::Welcome, 0).with_body(welcome.encode()).encode()).await;
            bare.hear().await
        };
        let (heard, connected) = tokio::join!(imposter, client.connect(None));
        assert_eq!(heard, None, "it leaves without a word");
        let Err(NodeError::Refused(failure)) = connected else { panic!("{connected:?}") };
        assert_eq!(failure.kind, FailureKind::Authentication);
    }
}

/// A link that has a secret of its own, as one under TLS has.
#[derive(Debug)]
struct Bound(Box<dyn Link>, [u8; 32]);

impl Link for Bound {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        self.0.try_read(slices)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(slices)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(context)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(context)
    }

    fn try_finish(&self) -> io::Result<()> {
        self.0.try_finish()
    }

    fn close(&self) {
        self.0.close();
    }

    fn trust(&self) -> Trust {
        self.0.trust()
    }

    fn binding(&self) -> Option<[u8; 32]> {
        Some(self.1)
    }

    fn peer(&self) -> String {
        self.0.peer()
    }
}

/// How both sides of a connection end that know the same token.
async fn greeted(theirs: Option<[u8; 32]>, ours: Option<[u8; 32]>) -> [Result<(), Failure>; 2] {
    let (near, far) = tcp().await;
    let dress = |link: Box<dyn Link>, binding: Option<[u8; 32]>| match binding {
        Some(binding) => Box::new(Bound(link, binding)),
        None => link,
    };
    let (near, far) = (dress(near, ours), dress(far, theirs));
    let hello = Hello {
        name: "caller".into(),
        incarnation: [3; 16].into(),
        functions: Vec::new(),
        formats: Vec::new(),
        capabilities: Vec::new(),
        limits: Limits { max_message: 1, calls: 1, bytes: 1 },
        watch: false,
    };
    let token = Token::new("secret");
    let server = async {
        let host = Host { name: "server", incarnation: &[7; 16], token: Some(&token) };
        let entered = Entered { link: far, first: BytesMut::new(), barred: false };
        let (far, guest) = greet_client(entered, host).await?.unwrap();
        let welcome =
            crate::wire::Welcome { proof: guest.proof.map(Into::into), ..welcome("server", 1) };
        let welcome = Frame::new(Kind::Welcome, 0).with_body(welcome.encode());
        crate::node::greeting::say(&*far, &welcome.encode()).await
    };
    let client = async { greet_server(&*near, &hello, Some(&token)).await.map(drop) };
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(client, server) });
    both.await.unwrap().into()
}

#[tokio::test]
async fn a_proof_is_good_on_its_own_connection_only() {
    let (one, another) = (Some([1; 32]), Some([2; 32]));
    for (theirs, ours) in [(None, None), (one, one)] {
        assert_eq!(greeted(theirs, ours).await, [Ok(()), Ok(())]);
    }
    // Somebody between the two, who ends one connection and begins another.
    for (theirs, ours) in [(one, another), (one, None), (None, one)] {
        for outcome in greeted(theirs, ours).await {
            assert_eq!(outcome.unwrap_err().kind, FailureKind::Authentication);
        }
    }
}
