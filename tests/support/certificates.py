"""Certificates for tests: an authority made on the spot, and server certificates that it signs."""

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates for localhost, 127.0.0.1 and `names`: trust the file `ca`, serve with `cert` and `key`."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._names = names
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = _builder(self._name, self._name, self._key).add_extension(constraints, critical=True)
        self.ca.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.renew()

    @property
    def context(self) -> ssl.SSLContext:
        """For a client that trusts it and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca))

    def issue(self, common_name: str = "localhost") -> tuple[bytes, bytes]:
        """A new certificate and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        known = [x509.DNSName(name) for name in ("localhost", *self._names)]
        names = x509.SubjectAlternativeName([*known, x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
        builder = _builder(subject, self._name, key).add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return (
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def renew(self, common_name: str = "localhost") -> None:
        """Puts a new certificate and key into `cert` and `key`, each file at one stroke, one after the other."""
        for file, content in zip((self.cert, self.key), self.issue(common_name), strict=True):
            new = file.with_suffix(".new")
            new.write_bytes(content)
            os.replace(new, file)  # noqa: PTH105 - As the tools that renew do it.


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
