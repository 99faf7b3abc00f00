"""The files of TLS: the server's certificate and the authority of its callers' certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from itemlens_server.errors import FailedPrecondition


@dataclass(frozen=True)
class Pem:
    """What the files of `CertificateFiles` have."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None


@dataclass(frozen=True)
class CertificateFiles:
    """Files in PEM form.

    certificate: the server's, with those between it and its authority
    key:         its private key
    client_ca:   authorities, of one of which callers must have a certificate; None: they need none
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [path for path in (self.certificate, self.key, self.client_ca) if path is not None]

    def read(self) -> Pem:
        """Read the files.

        Raises:
            FailedPrecondition: a file cannot be read, or they do not belong together; the message says which and why.
        """
        try:
            # gRPC itself would refuse each connection later, without a word.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, _no_password)
            certificate, key = self.certificate.read_bytes(), self.key.read_bytes()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise FailedPrecondition(
                f"tls_certificate {self.certificate} and tls_private_key {self.key} cannot be used: {_reason(error)}"
            ) from error
        if self.client_ca is None:
            return Pem(certificate, key, None)
        try:
            ssl.create_default_context(cafile=str(self.client_ca))
            return Pem(certificate, key, self.client_ca.read_bytes())
        except OSError as error:
            raise FailedPrecondition(
                f"tls_client_ca {self.client_ca} cannot be used: {_reason(error)}"
            ) from error


def _no_password() -> str:
    raise ValueError("the private key has a password; give one without")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        known = {"KEY_VALUES_MISMATCH": "the key is not that of the certificate"}
        return known.get(error.reason or "", f"not PEM, or damaged ({error.reason or error})")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
