//! How a connection goes out: where to, and what it is dressed in.

use std::fmt;

use super::{Address, Link, LinkError, socket};

/// What a client connects to.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Where the server is.
    pub address: Address,
}

impl From<Address> for Dial {
    fn from(address: Address) -> Self {
        Self { address }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Connects to a server. The error does not say which; whoever calls does. Takes as long as the
/// other end does: whoever calls bounds it.
pub async fn connect(dial: &Dial) -> Result<Box<dyn Link>, LinkError> {
    Ok(socket::connect(&dial.address).await?)
}
