use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error,
    OtherError, SignatureScheme,
};

use super::explaining::Side;
use super::{Tls, files, handshake, identity, provider};
use crate::link::{Link, LinkError};

/// A name for where nothing is verified, and no name can be sent.
const NOBODY: &str = "localhost";

/// TLS as a client's user asks for it.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// Whoever issued the server's certificate; without it nothing is verified.
    pub ca_file: Option<PathBuf>,
    /// The name that the server's certificate must have.
    pub server_hostname: String,
    /// Our own certificate, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// Reads the files. They are read anew for each connection, so that renewed certificates
    /// count without a new start.
    fn config(&self) -> Result<ClientConfig, LinkError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(files::unusable)?;
        let verifier: Arc<dyn ServerCertVerifier> = match &self.ca_file {
            None => Arc::new(Anybody),
            Some(path) => {
                let roots = Arc::new(files::roots(path)?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider());
                Arc::new(Verifier(verifier.build().map_err(files::unusable)?))
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((cert_file, key_file)) => {
                let certified = files::certified("our ", cert_file, key_file)?;
                builder.with_client_cert_resolver(Arc::new(certified))
            }
        };
        config.resumption = Resumption::disabled();
        config.require_ems = true;
        Ok(config)
    }

    fn name(&self) -> Result<ServerName<'static>, LinkError> {
        let name = match ServerName::try_from(self.server_hostname.clone()) {
            Err(_) if self.ca_file.is_none() => ServerName::try_from(NOBODY),
            name => name,
        };
        name.map_err(|_| {
            let text = format!(
                "no certificate can be for {:?}: pass the name in the server's certificate as \
                 server_hostname",
                self.server_hostname
            );
            LinkError::Options(text)
        })
    }

    /// The client's side of the handshake.
    pub(in crate::link) async fn connect(
        &self,
        below: Box<dyn Link>,
    ) -> Result<Box<dyn Link>, LinkError> {
        let session = ClientConnection::new(Arc::new(self.config()?), self.name()?);
        let mut session = Connection::Client(session.map_err(files::unusable)?);
        let side = Side::Client {
            ca_file: self.ca_file.clone(),
            name: self.server_hostname.clone(),
            certified: self.own.is_some(),
        };
        let mut first = BytesMut::new();
        let done = handshake::perform(&*below, &mut session, &mut first, usize::MAX).await;
        done.map_err(|fault| fault.explain(&side))?;
        Ok(Box::new(Tls::new(below, session, first, side, self.ca_file.is_some())?))
    }
}

/// Verifies as webpki does, and tells self-signed certificates from those of a CA.
#[derive(Debug)]
struct Verifier(Arc<WebPkiServerVerifier>);

/// Why a server was not accepted: it vouches for itself.
#[derive(Debug)]
pub(super) struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its certificate is self-signed")
    }
}

impl std::error::Error for SelfSigned {}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result =
            self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match result {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
                if identity::is_self_signed(end_entity) =>
            {
                let why = OtherError(Arc::new(SelfSigned));
                Err(Error::InvalidCertificate(CertificateError::Other(why)))
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Takes any certificate, as long as its key is there: encryption towards whoever it is.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
