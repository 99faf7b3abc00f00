"""TLS and keys: what a client shows to a server, and what it asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from ._target import stays_here

# An HTTP/2 header has no other characters.
_KEY_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True)
class Tls:
    """A connection by TLS.

    `Tls()` trusts the authorities that gRPC comes with. Each value is a file in PEM form, or its bytes. Files are read
    when the client is made.
    """

    ca: Path | str | bytes | None = None
    """The authorities to trust instead: for a self-signed server, its own certificate."""
    certificate: Path | str | bytes | None = None
    """The client's certificate, where the server asks for one."""
    private_key: Path | str | bytes | None = field(default=None, repr=False)
    """The private key of `certificate`."""
    server_name: str = ""
    """The name that the server's certificate has, if it is not the host of the target."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Credentials of a channel.

        Raises:
            ValueError: only one of certificate and private_key is given, or one is empty.
            OSError: a file cannot be read.
        """
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together: give both or none")
        return grpc.ssl_channel_credentials(
            _read(self.ca, "ca"),
            _read(self.private_key, "private_key"),
            _read(self.certificate, "certificate"),
        )

    def options(self) -> Sequence[tuple[str, Any]]:
        """Options of a channel."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []


def check_key(key: str, target: str, tls: Tls | None, allow_plaintext: bool) -> str:
    """Return a key after a check.

    Raises:
        ValueError: it has characters that no key has; or it would go to another machine without TLS.
    """
    if not set(key) <= _KEY_CHARACTERS:
        raise ValueError("key has white space or other characters that no key has")
    if key and tls is None and not allow_plaintext and not stays_here(target):
        raise ValueError(
            f"the key would go to {target} in plain text, where the network can read it: give tls=itemlens.Tls(), or "
            "allow_plaintext_key=True where something else encrypts it, such as a service mesh"
        )
    return key


def _read(value: Path | str | bytes | None, name: str) -> bytes | None:
    data = value if value is None or isinstance(value, bytes) else Path(value).read_bytes()
    if data is not None and b"-----BEGIN" not in data:
        raise ValueError(f"{name} is not in PEM form: it has no line -----BEGIN ...-----")
    return data
