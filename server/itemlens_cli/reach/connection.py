"""Names, addresses and ports: whether this machine reaches the server at all."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from itemlens_cli.reach.rows import Row, milliseconds, named

SLOW_NAME_SECONDS = 1.0

Open = Callable[[], socket.socket]
"""Makes a connection."""

_SCHEME = re.compile(r"(?:dns:(?://[^/]*/)?|ipv[46]:)", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d+$)", re.IGNORECASE)
_UNIX = re.compile(r"unix(-abstract)?:(?://)?(.+)")


@dataclass
class Reached:
    """The connections that could be made.

    host:    the name or address that the target gives; "" for a Unix socket
    open:    makes one more connection; None if none could be made
    seconds: how long the fastest one took, which is about one round trip; 0 if none was made
    """

    host: str = ""
    open: Open | None = None
    seconds: float = 0.0

    def check(self, target: str, timeout: float) -> Iterator[Row]:
        """Connect to each address of a target."""
        if unix := _UNIX.fullmatch(target):
            yield self._unix(("\0" if unix[1] else "") + unix[2], target, timeout)
            return
        for place in _SCHEME.sub("", target, count=1).split(","):
            self.host, _, port = place.rpartition(":")
            self.host = self.host.strip("[]")
            yield from self._network(int(port), timeout)

    def _network(self, port: int, timeout: float) -> Iterator[Row]:
        began = time.perf_counter()
        try:
            found = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            yield (
                "name", f"{self.host} has no address: {_reason(error)}",
                "check the name in --target, and this machine's DNS; in a container, the network it is in",
            )  # fmt: skip
            return
        took = time.perf_counter() - began
        addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
        if not _is_address(self.host):
            slow = "DNS is slow: look at this machine's resolver" if took > SLOW_NAME_SECONDS else ""
            yield "name", f"{self.host} is {named(addresses)}, in {milliseconds(took)}", slow
        tried = [(address, self._try(address, port, timeout)) for address in addresses]
        for address, outcome in tried:
            yield self._told(address, port, outcome, timeout)

    def _try(self, address: str, port: int, timeout: float) -> OSError | float:
        """The seconds that a connection takes, or why there is none."""

        def opened() -> socket.socket:
            return socket.create_connection((address, port), timeout)

        began = time.perf_counter()
        try:
            opened().close()
        except OSError as error:
            return error
        took = time.perf_counter() - began
        self.open, self.seconds = self.open or opened, min(self.seconds or took, took)
        return took

    def _told(self, address: str, port: int, outcome: OSError | float, timeout: float) -> Row:
        what = f"TCP [{address}]:{port}" if ":" in address else f"TCP {address}:{port}"
        if isinstance(outcome, float):
            return what, f"connected in {milliseconds(outcome)}", ""
        if isinstance(outcome, TimeoutError):
            fix = "a firewall or network policy drops it, or the address is wrong: open the port"
            return what, f"no answer in {timeout:g} s", fix
        if self.open is not None:  # such as [::1] of localhost, where only 127.0.0.1 is listened on
            return what, f"{_reason(outcome)}; calls use another address", ""
        if isinstance(outcome, ConnectionRefusedError):
            return (
                what, "refused: nothing listens there",
                "start the server, which listens once its models are loaded; check the port; and if it runs on another "
                "machine or in a container, its setting `listen` must not be 127.0.0.1 or localhost",
            )  # fmt: skip
        return what, _reason(outcome), "check the address, and the routes of this machine's network"

    def _unix(self, path: str, target: str, timeout: float) -> Row:
        def opened() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            try:
                connection.connect(path)
            except BaseException:
                connection.close()
                raise
            return connection

        began = time.perf_counter()
        try:
            opened().close()
        except OSError as error:
            fix = "start the server, check its setting `listen`, and whether this user may use the socket"
            return target, _reason(error), fix
        self.open, self.seconds = opened, time.perf_counter() - began
        return target, f"connected in {milliseconds(self.seconds)}", ""


def resolved_by_grpc_alone(target: str) -> bool:
    """Whether only gRPC knows what addresses a target means, such as xds:///shop."""
    known = _SCHEME.match(target) or _UNIX.fullmatch(target)
    return not known and _OTHER_SCHEME.match(target) is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
