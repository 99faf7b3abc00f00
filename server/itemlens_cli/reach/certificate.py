"""The certificate of a server: its names, its times, and whether the client trusts it.

`ssl` tells the contents of a certificate that it verified, and the first error otherwise. Each question here has a
handshake of its own, in which everything else is believed, so that all that is wrong is told at once.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc

from itemlens import Tls
from itemlens_cli.reach.connection import Open
from itemlens_cli.reach.port import unverified
from itemlens_cli.reach.rows import Row, named
from itemlens_server.config import CLIENT_PREFIX

SOON = timedelta(days=14)

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL.
_ANY_TIME = 0x200000
_SELF_SIGNED = 18
_UNKNOWN = (_SELF_SIGNED, 19, 20, 21)
"""X509_V_ERR_... of OpenSSL: the chain ends at a certificate that is not trusted."""


@dataclass(frozen=True)
class Certificate:
    """What a certificate says."""

    names: tuple[str, ...]
    issuer: str
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"for {named(list(self.names)) or 'no name'}; by {self.issuer}"


@dataclass(frozen=True)
class Shown:
    """The certificate that a server shows, in the form DER, to a client that asks for `name`."""

    connect: Open
    name: str
    data: bytes

    def check(self, tls: Tls, now: datetime) -> tuple[list[Row], bool]:
        """All that is wrong with it for a client, and whether the client takes it all the same."""
        try:
            read = self._read()
        except OSError as error:
            row = ("certificate", f"cannot be read: {_reason(error)}", "issue one for a server of TLS")
            return [row], False
        rows = [self._trust(read, tls), self._named(read), _dates(read, now)]
        problem = self._whole(tls)
        if problem and not any(fix for *_, fix in rows):
            fix = "renew that one, and give its file to the client or the server"
            rows.append(("certificate's authority", problem, fix))
        return rows, not problem

    def told(self) -> Row:
        """What it says."""
        try:
            return "certificate", str(self._read()), ""
        except OSError as error:
            return "certificate", f"cannot be read: {_reason(error)}", ""

    def _read(self) -> Certificate:
        found = self._handshake(self._itself(), "")
        names = [str(name) for _, name in found.get("subjectAltName", ())]
        return Certificate(
            tuple(names) or (_common_name(found["subject"]),), _common_name(found["issuer"]),
            _moment(found["notBefore"]), _moment(found["notAfter"]),
        )  # fmt: skip

    def _trust(self, read: Certificate, tls: Tls) -> Row:
        try:
            self._handshake(_trusting(tls, _authorities(tls), _ANY_TIME), "")
        except ssl.SSLCertVerificationError as error:
            if error.verify_code not in _UNKNOWN:
                return "certificate", f"{read}: {error.verify_message}", "issue another one"
            own = error.verify_code == _SELF_SIGNED
            state = f"{read}; it is {'self-signed, and not' if own else 'not by one'} in {trusted(tls)}"
            fix = f"set {CLIENT_PREFIX}CA to the file of {'this certificate' if own else 'its authority'}"
            between = "; if it is, the server's `tls_certificate` must have the certificates in between, too"
            return "certificate", state, fix + ("" if own or tls.ca is None else between)
        except OSError as error:
            return "certificate", f"{read}; cannot be verified: {_reason(error)}", "try again"
        return "certificate", f"{read}; trusted by {trusted(tls)}", ""

    def _named(self, read: Certificate) -> Row:
        if not self.name:
            return "certificate's name", "a Unix socket has no name to compare", ""
        try:
            self._handshake(self._itself(), self.name)
        except ssl.SSLCertVerificationError:
            return (
                "certificate's name", f"it is not for {self.name}, but for {named(list(read.names))}",
                "call the server by a name of the certificate, or issue one for this name; if the name differs on "
                f"purpose, set {CLIENT_PREFIX}SERVER_NAME to the certificate's",
            )  # fmt: skip
        except OSError as error:
            return "certificate's name", f"cannot be verified: {_reason(error)}", "try again"
        return "certificate's name", f"right for {self.name}", ""

    def _whole(self, tls: Tls) -> str:
        """What is wrong if nothing is believed: also with the authority, and with certificates in between."""
        try:
            self._handshake(_trusting(tls, _authorities(tls)), self.name)
        except ssl.SSLCertVerificationError as error:
            return f"{error.verify_message}: that of the authority, or one in between"
        except OSError as error:
            return _reason(error)
        return ""

    def _itself(self) -> ssl.SSLContext:
        """A context that trusts this certificate alone, at any time."""
        context = _trusting(None, None, _ANY_TIME)
        context.load_verify_locations(cadata=self.data)
        return context

    def _handshake(self, context: ssl.SSLContext, name: str) -> dict[str, Any]:
        """What the certificate says, once it is verified, for a name if one is given.

        Raises:
            ssl.SSLCertVerificationError: it is not as the context wants it.
            OSError: there is no connection.
        """
        context.check_hostname = bool(name)
        with (
            self.connect() as raw,
            context.wrap_socket(raw, server_hostname=self.name or None) as connection,
        ):
            return dict(connection.getpeercert() or {})


def _trusting(tls: Tls | None, authorities: Path | None, flags: int = 0) -> ssl.SSLContext:
    context = unverified(tls)
    context.verify_mode = ssl.CERT_REQUIRED
    # As gRPC: what is trusted need not be an authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | flags
    if authorities is not None:
        context.load_verify_locations(cafile=authorities)
    return context


def check_files(tls: Tls) -> None:
    """Check what gRPC does not check before it connects.

    Raises:
        OSError: a file cannot be used, or a certificate and its key do not belong together.
    """
    _trusting(tls, _authorities(tls))


def trusted(tls: Tls) -> str:
    """What a client trusts, in words."""
    return "the public authorities that gRPC knows" if tls.ca is None else str(tls.ca)


def _authorities(tls: Tls) -> Path:
    """The file of the authorities that gRPC trusts."""
    if tls.ca is not None:
        return Path(str(tls.ca))
    own = Path(grpc.__file__).parent / "_cython" / "_credentials" / "roots.pem"
    return Path(os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH") or own)


def _dates(read: Certificate, now: datetime) -> Row:
    what, day = "certificate's dates", "%Y-%m-%d %H:%M"
    clock = f"this machine's clock says {now:{day}} UTC: is it right?"
    if now < read.start:
        state = f"it is not yet valid: from {read.start:{day}}; {clock}"
        return what, state, "set the clock, as with NTP; otherwise wait, or issue another certificate"
    if now > read.end:
        state = f"it has expired: at {read.end:{day}}; {clock}"
        return what, state, "renew it: the server takes the new file at the next connection; or set the clock"
    left = f"valid for {(read.end - now).days:,} more days, to {read.end:%Y-%m-%d}"
    return what, left, "renew it" if read.end - now < SOON else ""


def _common_name(names: Any) -> str:
    """The name of a subject: CN, or all that it says."""
    parts = [(str(kind), str(value)) for entry in names for kind, value in entry]
    common = [value for kind, value in parts if kind == "commonName"]
    return common[0] if common else ", ".join(value for _, value in parts)


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _reason(error: OSError) -> str:
    said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.strerror
    return said or str(error)
