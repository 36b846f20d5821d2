use crate::wire::{Failure, FailureKind, Ran};

/// Whether pickles from somebody are read, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pickles {
    /// They are.
    Read,
    /// They come from elsewhere, from somebody who has not proven anything.
    Unproven,
    /// They are switched off here.
    Off,
    /// They come over a connection that may never bring any.
    Never,
}

const INSTEAD: &str = "use serde=JSON or MSGPACK";
const NEVER: &str = "it may never travel over WebSocket";

impl Pickles {
    /// Whether they are read.
    pub fn are_read(self) -> bool {
        self == Self::Read
    }

    /// What a server says of a pickle from one of its clients, if it refuses it.
    pub fn refusal_of_client(self, name: &str) -> Option<Failure> {
        let why = match self {
            Self::Read => return None,
            Self::Unproven => format!(
                "it connects from another machine or user and has not proven who it is. Give both \
                 sides the same token=, or use TLS with certificates for both; or {INSTEAD}; or, \
                 where you trust everybody who can connect, start the server with \
                 allow_pickle=True"
            ),
            Self::Off => format!("the server was started with allow_pickle=False; {INSTEAD}"),
            Self::Never => format!("{NEVER}; {INSTEAD}"),
        };
        Some(refusal(format!("PICKLE from {name:?} is refused: {why}")))
    }

    /// What a server says of a pickle that is meant for one of its clients, if it keeps it back.
    /// Most decide by themselves what they read.
    pub fn refusal_for_client(self, name: &str) -> Option<Failure> {
        let text = || format!("PICKLE for {name:?} is refused: {NEVER}; {INSTEAD}");
        (self == Self::Never).then(|| refusal(text()))
    }

    /// What a client says of a pickle from its server, if it refuses it.
    pub fn refusal_of_server(self, name: &str) -> Option<Failure> {
        let why = match self {
            Self::Read => return None,
            Self::Unproven => format!(
                "it is on another machine, or another user's, and has not proven who it is. Give \
                 both sides the same token=, or use TLS with ca_file=; or {INSTEAD}; or, where you \
                 trust whoever may answer there, pass Client(allow_pickle=True)"
            ),
            Self::Off => format!("this client was made with allow_pickle=False; {INSTEAD}"),
            Self::Never => format!("{NEVER}; {INSTEAD}"),
        };
        Some(refusal(format!("PICKLE from the server {name:?} is refused: {why}")))
    }
}

fn refusal(text: String) -> Failure {
    Failure::new(FailureKind::SerdeNotAllowed, Ran::No, text)
}

/// Who a member has proven to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It has proven nothing.
    Nobody,
    /// Somebody who knows the token.
    Token,
    /// The holder of a certificate: what tells it from others.
    Certificate(Vec<u8>),
}

impl Identity {
    /// Whether this one may have the name of that one, which is there already.
    pub(super) fn may_succeed(&self, old: &Self) -> bool {
        *old == Self::Nobody || self == old
    }
}
