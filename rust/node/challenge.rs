//! The part of a greeting in which both sides show that they know the token.
//!
//! The client shows it first: a server says nothing that is made with its token to somebody who
//! may not know it.

use super::greeting::{hear, protocol, say};
use crate::link::Link;
use crate::wire::{
    Challenge, Decoder, Failure, FailureKind, Frame, Greeter, Hello, Kind, Meeting, Nonce,
    PREAMBLE, Party, Proof, Prover, Ran, Token, Welcome,
};

/// The longest proof, in bytes.
const MAX_PROOF: usize = 1024;

/// What a client hears who has not shown that it knows the token, and has none.
const ASKED: &str = "it asks for a token: pass token=, or set DAFFI_TOKEN";
const WRONG: &str = "its token is another one: pass the same token=, or set the same DAFFI_TOKEN, \
                     on both sides";

/// What a client says of a server that promised nothing, though the client has a token.
pub(super) const NOT_ASKED: &str = "it asks for no token, and so can't show that it knows ours: \
                                    start it with the same token=, or leave it out here, and \
                                    DAFFI_TOKEN too";

/// A server, as its greeting shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    pub(super) incarnation: &'a [u8; 16],
    pub(super) token: Option<&'a Token>,
}

impl Host<'_> {
    /// Has a client show that it knows the token. What comes back shows the same of us.
    pub(super) async fn ask(
        &self,
        token: &Token,
        link: &dyn Link,
        decoder: &mut Decoder,
        greeter: &Greeter,
    ) -> Result<[u8; 32], Failure> {
        let nonce = draw()?;
        let challenge = Challenge {
            nonce: nonce.into(),
            name: self.name.to_owned(),
            incarnation: (*self.incarnation).into(),
        };
        let challenge = Frame::new(Kind::Challenge, 0).with_body(challenge.encode()).encode();
        say(link, &[&PREAMBLE[..], &challenge].concat()).await?;
        decoder.set_limit(MAX_PROOF);
        let said = hear(link, decoder).await.map_err(|failure| Failure {
            message: format!("asked for the token, {}", failure.message),
            ..failure
        })?;
        if said.kind != Kind::Proof {
            return Err(unproven(ASKED));
        }
        let Proof { nonce: theirs, proof } = Proof::decode(&said.body).map_err(protocol)?;
        let Greeter { name, incarnation } = greeter;
        let binding = link.binding();
        let meeting = Meeting {
            client: Party { nonce: &theirs, name, incarnation },
            server: Party { nonce: &nonce, name: self.name, incarnation: self.incarnation },
            binding: binding.as_ref(),
        };
        match token.holds(Prover::Client, &meeting, &proof) {
            true => Ok(token.prove(Prover::Server, &meeting)),
            false => Err(unproven(WRONG)),
        }
    }
}

/// Shows a server that we know the token, and has it show the same.
pub(super) async fn answer(
    challenge: &Frame,
    token: Option<&Token>,
    link: &dyn Link,
    decoder: &mut Decoder,
    hello: &Hello,
) -> Result<Welcome, Failure> {
    let token = token.ok_or_else(|| unproven(ASKED))?;
    let theirs = Challenge::decode(&challenge.body).map_err(protocol)?;
    let nonce = draw()?;
    let binding = link.binding();
    let Hello { name, incarnation, .. } = hello;
    let meeting = Meeting {
        client: Party { nonce: &nonce, name, incarnation },
        server: Party {
            nonce: &theirs.nonce,
            name: &theirs.name,
            incarnation: &theirs.incarnation,
        },
        binding: binding.as_ref(),
    };
    let proof = token.prove(Prover::Client, &meeting);
    let proof = Proof { nonce: nonce.into(), proof: proof.into() };
    say(link, &Frame::new(Kind::Proof, 0).with_body(proof.encode()).encode()).await?;
    let said = hear(link, decoder).await?;
    match said.kind {
        Kind::Welcome => {
            let welcome = Welcome::decode(&said.body).map_err(protocol)?;
            let same = welcome.name == theirs.name && welcome.incarnation == theirs.incarnation;
            let shown = welcome.proof.is_some_and(|p| token.holds(Prover::Server, &meeting, &p));
            if same && shown { Ok(welcome) } else { Err(unproven(WRONG)) }
        }
        Kind::Goodbye => Err(Failure::decode(&said.body).map_err(protocol)?),
        _ => Err(protocol("it did not answer the proof")),
    }
}

pub(super) fn unproven(text: &str) -> Failure {
    Failure::new(FailureKind::Authentication, Ran::No, text)
}

/// A number that nobody can foresee; without one there is no proof.
fn draw() -> Result<Nonce, Failure> {
    let mut nonce = [0; 32];
    match getrandom::fill(&mut nonce) {
        Ok(()) => Ok(nonce),
        Err(error) => Err(unproven(&format!("the system gives no random numbers: {error}"))),
    }
}
