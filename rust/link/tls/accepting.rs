use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Connection, ServerConfig, ServerConnection};

use super::explaining::Side;
use super::{Tls, files, handshake, provider};
use crate::link::{Link, LinkError, part_early};

/// The first byte of whoever begins with TLS.
pub(in crate::link) const HANDSHAKE: u8 = 0x16;
/// How many bytes a client may send before its handshake is done.
const MOST: usize = 16 * 1024;

/// TLS as a server's user asks for it.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The server's certificate, and those that lead from it to a CA: PEM.
    pub cert_file: PathBuf,
    /// Its private key: PEM.
    pub key_file: PathBuf,
    /// Whoever issued the certificates that clients must show; without it, they need none.
    pub ca_file: Option<PathBuf>,
}

/// The same, ready for use.
#[derive(Debug)]
pub(in crate::link) struct Acceptor {
    config: Arc<ServerConfig>,
    /// Whoever issued the certificates that clients must show.
    ca_file: Option<PathBuf>,
}

impl Acceptor {
    /// Reads the files.
    pub(in crate::link) fn new(tls: &ServerTls) -> Result<Self, LinkError> {
        let certified = files::certified("", &tls.cert_file, &tls.key_file)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(files::unusable)?;
        let builder = match &tls.ca_file {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(files::roots(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.build().map_err(files::unusable)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(certified));
        // Each connection proves itself anew, and its binding is its own.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.require_ems = true;
        Ok(Self { config: Arc::new(config), ca_file: tls.ca_file.clone() })
    }

    /// The server's side of the handshake. Who fails has been told why.
    pub(in crate::link) async fn accept(
        &self,
        below: Box<dyn Link>,
        mut first: BytesMut,
    ) -> Result<Tls, LinkError> {
        let session = ServerConnection::new(Arc::clone(&self.config)).map_err(files::unusable)?;
        let mut session = Connection::Server(session);
        let side = Side::Server { ca_file: self.ca_file.clone() };
        let done = handshake::perform(&*below, &mut session, &mut first, MOST).await;
        if let Err(fault) = done {
            if fault.is_told() {
                part_early(&*below).await;
            }
            return Err(fault.explain(&side));
        }
        Tls::new(below, session, first, side, self.ca_file.is_some())
    }
}
