"""An authority of the tests, and files with certificates of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import trustme

from itemlens_server.access.certificates import CertificateFiles


class Authority:
    """An authority, whose certificate is in a file."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder, self._ca = folder, trustme.CA()
        self.path = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.path))

    def issue(
        self,
        name: str = "server",
        host: str = "127.0.0.1",
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> tuple[Path, Path]:
        """Write a certificate for a host, and its key, to files of a name. Return both paths."""
        issued = self._ca.issue_cert(host, "localhost", not_before=since, not_after=until)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key

    def files(self, client_ca: Path | None = None) -> CertificateFiles:
        """Certificates of a server."""
        return CertificateFiles(*self.issue(), client_ca)

    def settings(self, client_ca: Path | None = None) -> dict[str, Any]:
        """The settings of a server with certificates."""
        certificate, key = self.issue()
        given: dict[str, Any] = {"tls_certificate": certificate, "tls_private_key": key}
        return given | ({"tls_client_ca": client_ca} if client_ca else {})
