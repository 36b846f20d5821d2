"""Certificates for tests: good ones, and every way in which one can be wrong.

All are made when they are asked for, in a directory that is given. Imports `trustme` and
`cryptography`.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HOSTS = ("localhost", "127.0.0.1")


class Certificates:
    """A CA, another that nobody trusts, and what they issue."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = trustme.CA()
        self.strange_ca = trustme.CA()
        self._made = 0

    @property
    def ca_file(self) -> str:
        """The CA that is trusted."""
        return self.write("ca.pem", self.ca.cert_pem.bytes())

    def write(self, name: str, content: bytes) -> str:
        """A file in the directory; its path."""
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def issue(self, *names: str, ca: trustme.CA | None = None, **options: Any) -> dict[str, Any]:
        """A certificate by the CA; `cert_file` and `key_file`."""
        cert = (ca or self.ca).issue_cert(*(names or HOSTS), **options)
        chain = b"".join(pem.bytes() for pem in cert.cert_chain_pems)
        return self._files(chain, cert.private_key_pem.bytes())

    def server(self, **options: Any) -> dict[str, Any]:
        """What a server passes."""
        return {"tls": True, **self.issue(**options)}

    def client(self) -> dict[str, Any]:
        """What a client passes."""
        return {"tls": True, "ca_file": self.ca_file}

    def expired(self) -> dict[str, Any]:
        return self.issue(not_before=NOW - 10 * DAY, not_after=NOW - 3 * DAY)

    def not_yet_valid(self) -> dict[str, Any]:
        return self.issue(not_before=NOW + 3 * DAY, not_after=NOW + 10 * DAY)

    def strange(self) -> dict[str, Any]:
        """Issued by the CA that nobody trusts."""
        return self.issue(ca=self.strange_ca)

    def self_signed(self, *, is_ca: bool = False, names: tuple[str, ...] = HOSTS) -> dict[str, Any]:
        """Issued by itself, and with no names where there are none."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            known = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(known, critical=False)
        cert = builder.sign(key, hashes.SHA256())
        return self._files(cert.public_bytes(serialization.Encoding.PEM), pem_of(key))

    def _files(self, chain: bytes, key: bytes) -> dict[str, Any]:
        self._made += 1
        return {
            "cert_file": self.write(f"{self._made}.crt", chain),
            "key_file": self.write(f"{self._made}.key", key),
        }


def pem_of(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """A key as text, encrypted where there is a passphrase."""
    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        hidden = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
