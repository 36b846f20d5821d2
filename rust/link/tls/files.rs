use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::link::LinkError;

/// A certificate with its chain, and its key. `whose` goes before "certificate" in what people
/// read.
pub(super) fn certified(
    whose: &str,
    cert_file: &Path,
    key_file: &Path,
) -> Result<SingleCertAndKey, LinkError> {
    let chain = certificates("cert_file", cert_file)?;
    let text = read("key_file", key_file)?;
    let file = Shown("key_file", key_file);
    let key = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => key,
        Err(_) if has(&text, "ENCRYPTED") => {
            return Err(wrong(format!(
                "the key in {file} is encrypted, and nobody is asked for a passphrase: write it \
                 without one (openssl pkey -in KEY -out PLAIN_KEY), readable for its owner alone"
            )));
        }
        Err(_) if has(&text, "BEGIN CERTIFICATE") => {
            return Err(wrong(format!(
                "there is a certificate in {file}, and no private key: are cert_file and key_file \
                 swapped?"
            )));
        }
        Err(_) => return Err(wrong(format!("there is no private key in {file} (PEM)"))),
    };
    let key = any_supported_type(&key).map_err(|_| {
        wrong(format!(
            "the key in {file} is none that can be used: RSA, ECDSA P-256 or P-384, Ed25519"
        ))
    })?;
    let public = key.public_key().map(|key| key.to_vec());
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(SingleCertAndKey::from(certified))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            let cert = Shown("cert_file", cert_file);
            let another = |der: &CertificateDer<'_>| {
                public.as_ref().is_some_and(|key| der.windows(key.len()).any(|part| part == key))
            };
            let order = certified.cert.iter().skip(1).any(another);
            Err(wrong(if order {
                format!(
                    "the certificates in {cert} are in the wrong order: {whose}certificate comes \
                     first, then whoever issued it, up to the CA"
                )
            } else {
                format!("the key in {file} does not belong to the first certificate in {cert}")
            }))
        }
        Err(error) => {
            let cert = Shown("cert_file", cert_file);
            Err(wrong(format!("the first certificate in {cert} can't be used: {error}")))
        }
    }
}

/// Those whose signature counts.
pub(super) fn roots(ca_file: &Path) -> Result<RootCertStore, LinkError> {
    let mut roots = RootCertStore::empty();
    for (number, der) in certificates("ca_file", ca_file)?.into_iter().enumerate() {
        roots.add(der).map_err(|error| {
            let file = Shown("ca_file", ca_file);
            wrong(format!("certificate {} in {file} can't be used: {error}", number + 1))
        })?;
    }
    Ok(roots)
}

fn certificates(
    option: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let (text, file) = (read(option, path)?, Shown(option, path));
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() && has(&text, "PRIVATE KEY") => Err(wrong(format!(
            "there is a private key in {file}, and no certificate: pass the certificate's file"
        ))),
        // How a certificate begins that is not written as text.
        Ok(found) if found.is_empty() && text.first() == Some(&0x30) => Err(wrong(format!(
            "{file} is not PEM: convert it (openssl x509 -inform der -in FILE -out PEM_FILE)"
        ))),
        Ok(found) if found.is_empty() => {
            Err(wrong(format!("there is no certificate in {file} (PEM)")))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(format!("{file} is not well-formed PEM: {error}"))),
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, LinkError> {
    std::fs::read(path)
        .map_err(|error| wrong(format!("can't read {}: {error}", Shown(option, path))))
}

fn has(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|part| part == word.as_bytes())
}

fn wrong(text: String) -> LinkError {
    LinkError::Options(text)
}

/// What rustls does not accept of us, beyond what is found above.
pub(super) fn unusable(error: impl std::fmt::Display) -> LinkError {
    LinkError::Options(format!("TLS can't be set up: {error}"))
}

/// An option and its file, for people.
struct Shown<'a>(&'static str, &'a Path);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1.display())
    }
}
