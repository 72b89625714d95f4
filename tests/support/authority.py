"""A certificate authority for tests, and server certificates for loopback that it signs."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Files of a CA and of one server certificate for `localhost` and 127.0.0.1.

    Attributes:
        ca_file: the CA's certificate, for `SSL_CERT_FILE`.
        cert_file: the server's certificate.
        key_file: the server's private key.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path

    @classmethod
    def made(cls, folder: Path, *hosts: str) -> Authority:
        """A new authority with its files in `folder`; its server certificate is good for these hosts as well."""
        ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        ca = (
            _builder(ca_name, ca_name, ca_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(ca_key, hashes.SHA256())
        )
        names = [*map(x509.DNSName, ("localhost", *hosts)), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        server = (
            _builder(server_name, ca_name, server_key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        authority = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        authority.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        authority.cert_file.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        authority.key_file.write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return authority

    def settings(self) -> dict[str, str]:
        """Environment of a proxy that serves https with this certificate."""
        return {"ATHENS_TLSCERT_FILE": str(self.cert_file), "ATHENS_TLSKEY_FILE": str(self.key_file)}

    def serving(self) -> ssl.SSLContext:
        """A server context with the certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def trusted(self) -> ssl.SSLContext:
        """A client context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
