use std::path::PathBuf;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::dialling::SelfSigned;
use crate::link::LinkError;

/// Which side we are, and what it was given.
#[derive(Debug)]
pub(super) enum Side {
    /// A server.
    Server {
        /// Whoever issued the certificates that clients must show.
        ca_file: Option<PathBuf>,
    },
    /// A client.
    Client {
        /// Whoever issued the server's certificate.
        ca_file: Option<PathBuf>,
        /// The name that is verified.
        name: String,
        /// It has a certificate of its own.
        certified: bool,
    },
}

impl Side {
    /// What went wrong, and what to do.
    pub(super) fn explain(&self, error: &Error) -> LinkError {
        match error {
            Error::InvalidCertificate(why) => LinkError::Unproven(self.certificate(why)),
            Error::NoCertificatesPresented => LinkError::Unproven(
                "it showed no certificate: it needs cert_file and key_file".into(),
            ),
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidMessage(_) => LinkError::Protocol(match self {
                Self::Client { .. } => {
                    "it answered, but not in TLS: leave tls out (tcp:// instead \
                                        of tls://) where the server speaks none, or check the port"
                        .into()
                }
                Self::Server { .. } => format!("it does not speak TLS as it should: {error}"),
            }),
            Error::PeerIncompatible(PeerIncompatible::ExtendedMasterSecretExtensionRequired) => {
                let text = "its TLS is too old: TLS 1.2 with extended_master_secret, or TLS 1.3";
                LinkError::Protocol(text.into())
            }
            error => LinkError::Protocol(format!("TLS failed: {error}")),
        }
    }

    /// What is wrong with the other end's certificate.
    fn certificate(&self, why: &CertificateError) -> String {
        match why {
            CertificateError::ExpiredContext { time, not_after } => {
                let ago = time.as_secs().saturating_sub(not_after.as_secs());
                format!("its certificate expired {} ago: renew it", Span(ago))
            }
            CertificateError::Expired => "its certificate has expired: renew it".into(),
            CertificateError::NotValidYetContext { time, not_before } => {
                let wait = not_before.as_secs().saturating_sub(time.as_secs());
                format!("its certificate is valid only in {}: are both clocks right?", Span(wait))
            }
            CertificateError::NotValidYet => {
                "its certificate is not valid yet: are both clocks right?".into()
            }
            CertificateError::NotValidForNameContext { presented, .. } => self.name(presented),
            CertificateError::NotValidForName => self.name(&[]),
            CertificateError::UnknownIssuer => format!(
                "its certificate was issued by none of those in {}: pass the CA that issued it",
                self.authority()
            ),
            CertificateError::Other(other) if other.0.is::<SelfSigned>() => format!(
                "its certificate is self-signed, and not in {}: pass that certificate itself as \
                 ca_file, where you know it to be the right one",
                self.authority()
            ),
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                "its certificate is that of a CA: make one for the server that is none \
                 (basicConstraints=CA:FALSE)"
                    .into()
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                let purpose = if self.is_server() { "clientAuth" } else { "serverAuth" };
                format!("its certificate is for another purpose: extendedKeyUsage lacks {purpose}")
            }
            CertificateError::BadSignature => {
                format!("its certificate is not what {} signed", self.authority())
            }
            why => format!("its certificate can't be accepted: {why:?}"),
        }
    }

    fn is_server(&self) -> bool {
        matches!(self, Self::Server { .. })
    }

    fn authority(&self) -> String {
        match self {
            Self::Client { ca_file: Some(path), .. } | Self::Server { ca_file: Some(path) } => {
                format!("ca_file {}", path.display())
            }
            _ => "ca_file".into(),
        }
    }

    fn name(&self, presented: &[String]) -> String {
        let Self::Client { name, .. } = self else {
            return "its certificate is for another name".into();
        };
        // As in DnsName("localhost").
        let names: Vec<_> = presented
            .iter()
            .map(|name| name.split_once('(').map_or(name.as_str(), |(_, rest)| rest))
            .map(|name| name.trim_end_matches(')').trim_matches('"'))
            .collect();
        if names.is_empty() {
            return format!(
                "its certificate has no subjectAltName, so it is for nobody, {name:?} neither: make \
                 one that has (subjectAltName=DNS:...)"
            );
        }
        format!(
            "its certificate is for {}, not for {name:?}: connect by that name, or pass it as \
             server_hostname",
            names.join(", ")
        )
    }

    /// What the other end did not like.
    fn alert(&self, alert: AlertDescription) -> LinkError {
        let word = format!("{alert:?}");
        match (self, alert) {
            (Self::Client { certified: false, .. }, AlertDescription::CertificateRequired) => {
                LinkError::Unproven(
                    "the server wants a client certificate: pass cert_file and key_file".into(),
                )
            }
            (
                Self::Client { certified: true, .. },
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied,
            ) => LinkError::Unproven(match alert {
                AlertDescription::CertificateExpired => {
                    "the server says that the certificate in our cert_file has expired: renew it"
                        .into()
                }
                AlertDescription::UnknownCA => "the server does not know the CA that issued our \
                                                cert_file: its own ca_file must hold it"
                    .into(),
                _ => {
                    format!("the server does not accept the certificate in our cert_file ({word})")
                }
            }),
            (Self::Client { .. }, AlertDescription::HandshakeFailure) => LinkError::Protocol(
                "the server refused the TLS handshake: one that speaks no TLS does so, then leave \
                 tls out (tcp:// instead of tls://, ws:// instead of wss://)"
                    .into(),
            ),
            (Self::Client { .. }, _) => {
                LinkError::Protocol(format!("the server ended the TLS handshake ({word})"))
            }
            (Self::Server { .. }, _) => {
                LinkError::Unproven(format!("it did not accept our certificate, or TLS ({word})"))
            }
        }
    }
}

/// Seconds, for people.
struct Span(u64);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let minutes = Duration::from_secs(self.0).as_secs() / 60;
        match minutes {
            0..120 => write!(f, "{minutes} minutes"),
            120..2880 => write!(f, "{} hours", minutes / 60),
            _ => write!(f, "{} days", minutes / 1440),
        }
    }
}
