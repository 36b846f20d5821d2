//! How a connection goes out: where to, and what it is dressed in.

use std::fmt;

use super::{Address, Link, LinkError, socket, websocket};

/// What a client connects to.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Where the server is.
    pub address: Address,
    /// Whether to speak WebSocket.
    pub websocket: bool,
}

impl From<Address> for Dial {
    fn from(address: Address) -> Self {
        Self { address, websocket: false }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.websocket { "ws://" } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

/// Connects to a server. The error does not say which; whoever calls does. Takes as long as the
/// other end does: whoever calls bounds it.
pub async fn connect(dial: &Dial) -> Result<Box<dyn Link>, LinkError> {
    let link = socket::connect(&dial.address).await?;
    if !dial.websocket {
        return Ok(link);
    }
    let host = match &dial.address {
        Address::Tcp(..) => dial.address.to_string(),
        Address::Unix(_) => "localhost".into(),
    };
    websocket::ask(link, &host).await
}
