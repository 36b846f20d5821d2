//! How a connection goes out: where to, and what it is dressed in.

use std::fmt;

use super::{Address, ClientTls, Link, LinkError, socket, websocket};

/// What a client connects to.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Where the server is.
    pub address: Address,
    /// Speaks TLS, like this.
    pub tls: Option<ClientTls>,
    /// Whether to speak WebSocket.
    pub websocket: bool,
}

impl From<Address> for Dial {
    fn from(address: Address) -> Self {
        Self { address, tls: None, websocket: false }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.websocket, &self.tls) {
            (false, _) => "",
            (true, None) => "ws://",
            (true, Some(_)) => "wss://",
        };
        write!(f, "{scheme}{}", self.address)
    }
}

/// Connects to a server. The error does not say which; whoever calls does. Takes as long as the
/// other end does: whoever calls bounds it.
pub async fn connect(dial: &Dial) -> Result<Box<dyn Link>, LinkError> {
    let mut link = socket::connect(&dial.address).await?;
    if let Some(tls) = &dial.tls {
        link = tls.connect(link).await?;
    }
    if !dial.websocket {
        return Ok(link);
    }
    let host = match &dial.address {
        Address::Tcp(..) => dial.address.to_string(),
        Address::Unix(_) => "localhost".into(),
    };
    websocket::ask(link, &host).await
}
