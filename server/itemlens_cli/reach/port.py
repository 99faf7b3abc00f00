"""What a port speaks: TLS or plain text, gRPC's HTTP/2 or something else."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from itemlens import Tls
from itemlens_cli.reach.connection import Open

# The first bytes of an HTTP/2 client, with empty SETTINGS. A server answers with its own SETTINGS, a frame of type 4.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HEADER_BYTES, _SETTINGS = 9, 4


@dataclass(frozen=True)
class Answer:
    """How a port answered a hello.

    tls:         the version of TLS, such as "TLSv1.3"; "" for plain text
    http2:       whether it is HTTP/2, as gRPC needs it
    certificate: the server's, as DER; b"" if there was none
    said:        what it did instead of speaking HTTP/2
    closed:      with TLS: whether it ended the connection, as a server does that wants another client certificate
    """

    tls: str = ""
    http2: bool = False
    certificate: bytes = b""
    said: str = ""
    closed: bool = False


def ask(connect: Open, name: str, tls: Tls | None) -> Answer:
    """Say hello to a port, by TLS first, with the client's certificate of `tls`. Nothing is verified here.

    Raises:
        OSError: there is no connection.
    """
    with connect() as raw:
        try:
            with unverified(tls).wrap_socket(raw, server_hostname=name or None) as connection:
                return _by_tls(connection)
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):  # what refuses a handshake in the words of TLS speaks TLS
                return Answer("TLS", said=_words(error), closed=True)
        except OSError:
            pass  # closed, or silent: it may wait for plain text
    with connect() as raw:
        return _settings(raw)


def unverified(tls: Tls | None) -> ssl.SSLContext:
    """A client of HTTP/2 that believes every certificate. It shows that of `tls`.

    Raises:
        OSError: the files of `tls` cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if tls is not None and tls.certificate is not None and tls.private_key is not None:
        # With a password, even a wrong one, OpenSSL does not ask for one.
        context.load_cert_chain(str(tls.certificate), str(tls.private_key), password="")
    return context


def _by_tls(connection: ssl.SSLSocket) -> Answer:
    version, certificate = connection.version() or "TLS", connection.getpeercert(binary_form=True) or b""
    if connection.selected_alpn_protocol() != "h2":
        return Answer(version, False, certificate, "TLS without HTTP/2 (ALPN h2)")
    answer = _settings(connection)
    return Answer(version, answer.http2, certificate, answer.said, answer.closed)


def _settings(connection: socket.socket) -> Answer:
    """Send the hello, and look at what comes."""
    data = b""
    try:
        connection.sendall(HELLO)
        while len(data) < _HEADER_BYTES and (more := connection.recv(_HEADER_BYTES)):
            data += more
    except TimeoutError:
        return Answer(said="no answer to the first bytes of HTTP/2")
    except ssl.SSLError as error:
        return Answer(said=_words(error), closed=True)
    except OSError as error:
        return Answer(said=error.strerror or str(error), closed=True)
    if len(data) >= _HEADER_BYTES and data[3] == _SETTINGS:
        return Answer(http2=True)
    if data.startswith(b"HTTP/"):
        return Answer(said="HTTP/1.1, not HTTP/2")
    if not data:
        return Answer(said="it ends the connection", closed=True)
    return Answer(said=f"something else than HTTP/2: {data!r}")


def _words(error: ssl.SSLError) -> str:
    """TLSV13_ALERT_CERTIFICATE_REQUIRED in words."""
    return (error.reason or str(error)).partition("ALERT_")[2].replace("_", " ").lower() or str(error)
