use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

/// A number that is used once, drawn at random by each side of a connection.
pub type Nonce = [u8; 32];

/// What comes first in all that is proven, so that a proof is good for nothing else. It ends in the
/// version of the protocol.
const PURPOSE: &[u8] = b"daffi token 1";

/// A secret that both sides of a connection know. It is not kept as text.
#[derive(Clone)]
pub struct Token(hmac::Key);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Who proves that it knows the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prover {
    /// Who connected.
    Client,
    /// Who listened.
    Server,
}

/// One side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// Drawn for this connection.
    pub nonce: &'a Nonce,
    /// The node's name.
    pub name: &'a str,
    /// Drawn when the node started.
    pub incarnation: &'a [u8; 16],
}

/// Everything that a proof is about, so that it is good on one connection only, in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Meeting<'a> {
    /// Who connected.
    pub client: Party<'a>,
    /// Who listened.
    pub server: Party<'a>,
    /// What only the two ends of the link below know.
    pub binding: Option<&'a [u8; 32]>,
}

impl Meeting<'_> {
    /// What is proven, as bytes.
    pub fn bytes(&self, prover: Prover) -> Vec<u8> {
        let (client, server) = (&self.client, &self.server);
        let who: &[u8] = match prover {
            Prover::Client => b"client",
            Prover::Server => b"server",
        };
        let parts: [&[u8]; 9] = [
            PURPOSE,
            who,
            client.nonce,
            server.nonce,
            client.name.as_bytes(),
            server.name.as_bytes(),
            client.incarnation,
            server.incarnation,
            self.binding.map_or(&[], |binding| binding),
        ];
        let mut bytes = Vec::with_capacity(256);
        for part in parts {
            // Names are bounded, all others have fixed lengths.
            bytes.extend_from_slice(&(part.len() as u16).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

impl Token {
    /// From the text that people pass.
    pub fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// What shows that this side knows the token.
    pub fn prove(&self, prover: Prover, meeting: &Meeting<'_>) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &meeting.bytes(prover));
        let mut proof = [0; 32];
        proof.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        proof
    }

    /// Whether this proof shows that the other side knows it. How long that takes says nothing.
    pub fn holds(&self, prover: Prover, meeting: &Meeting<'_>, proof: &[u8; 32]) -> bool {
        hmac::verify(&self.0, &meeting.bytes(prover), proof).is_ok()
    }
}

/// What a server that has a token asks of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The server's nonce.
    pub nonce: ByteArray<32>,
    /// The server's name.
    pub name: String,
    /// Drawn at random at each start of a node.
    pub incarnation: ByteArray<16>,
}

/// What a client answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The client's nonce.
    pub nonce: ByteArray<32>,
    /// What shows that it knows the token.
    pub proof: ByteArray<32>,
}
