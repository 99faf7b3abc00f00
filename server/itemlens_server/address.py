"""The address that a server listens on: parsing, a check that it is free, and the target for local callers."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from itemlens_server.errors import FailedPrecondition

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]/\s]+):(\d{1,5})")
_LOOPBACKS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "[0:0:0:0:0:0:0:0]": "[::1]"}
_UNIX = ("unix:", "unix-abstract:")


@dataclass(frozen=True)
class Address:
    """host:port, [IPv6]:port, unix:PATH or unix-abstract:NAME."""

    text: str
    host: str = ""
    """An IPv6 host is in brackets. "" for a Unix socket."""
    port: int = 0
    """0: the system chooses a free port."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address.

        Raises:
            ValueError: `text` is not an address; the message says what to write.
        """
        if text.startswith(_UNIX):
            if text.partition(":")[2].strip("/"):
                return cls(text)
            raise ValueError("it has no path; write unix:PATH")
        parts = _HOST_AND_PORT.fullmatch(text)
        if parts and int(parts[2]) < 65536:
            return cls(text, parts[1], int(parts[2]))
        if re.fullmatch(r":?\d+", text):
            raise ValueError(
                f"it has no host; write 127.0.0.1:{text.lstrip(':')} for this machine alone, "
                f"0.0.0.0:{text.lstrip(':')} for all"
            )
        if re.fullmatch(r"[\w.-]+:?|\[[^\]]*\]:?", text):
            raise ValueError(f"it has no port; write host:port, such as {text.rstrip(':')}:50051")
        raise ValueError("it is not an address; write host:port, [IPv6]:port or unix:PATH")

    @property
    def target(self) -> str:
        """The target for callers on this machine. A wildcard host becomes the loopback.

        Raises:
            FailedPrecondition: the port is 0, so it is not known before the server runs.
        """
        if not self.host:
            return self.text
        if not self.port:
            raise FailedPrecondition(
                f"{self.text} takes any free port; give the port from the server's log with --target"
            )
        return f"{_LOOPBACKS.get(self.host, self.host)}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if not self.host:
            return True
        name = self.host.strip("[]").lower()
        if name.rstrip(".") == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False  # a name of the network
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    def check_free(self) -> None:
        """Bind the address, and release it.

        Raises:
            FailedPrecondition: the address is in use, or this machine does not have it.
        """
        try:
            if self.host:
                self._try_port()
            elif self.text.startswith("unix:"):
                self._try_path()
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise FailedPrecondition(
                f"cannot listen on {self.text}: {reason}; stop the process that listens there, or change --listen"
            ) from error

    def _try_port(self) -> None:
        name = self.host.strip("[]")
        found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        failures = []
        for family, kind, protocol, _, where in found:
            try:
                with socket.socket(family, kind, protocol) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
                    probe.bind(where)
            except OSError as error:
                failures.append(error)
        # A host name may have an address of a family that this machine lacks. An address in use is always an error.
        taken = [error for error in failures if error.errno == errno.EADDRINUSE]
        if taken or len(failures) == len(found):
            raise (taken or failures)[0]

    def _try_path(self) -> None:
        path = Path(re.sub("^unix:(//)?", "", self.text))
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}")
        if not path.exists():
            return
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:  # gRPC would take the path over from a running server
                raise OSError(errno.EADDRINUSE, "another server listens there")
