"""Checks of target addresses, and the proxy that gRPC uses for a target."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_URL = re.compile(r"(?:https?|grpcs?|h2c?|tcp|tls)://([^/]*)", re.IGNORECASE)
_RESOLVER = re.compile(r"(?:unix|unix-abstract|vsock):|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NETWORK = re.compile(r"(?:dns:(?://[^/]*/)?|ipv[46]:)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[^\[\]/]+\]|[^:\[\]/@\s]+):(\d{1,5})")

# The variables in the order in which gRPC reads them. The first set one counts.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")


def check(target: str) -> str:
    """Return the target after a check. Valid: host:port, [IPv6]:port, unix:PATH, other schemes that gRPC resolves.

    Raises:
        TypeError: the target is not a str.
        ValueError: the target is a URL, has no port, or is not an address.
    """
    if not isinstance(target, str):
        raise TypeError(f"target must be a str such as 'localhost:50051', not a {type(target).__name__}")
    _hosts(target)
    return target


def is_local(target: str) -> bool:
    """Whether the target is on this machine, so that no proxy is used."""
    return all(_is_loopback(host) for host in _hosts(target))


def stays_here(target: str) -> bool:
    """Whether what is sent to a target cannot leave this machine, whatever a name service answers."""
    if _NETWORK.match(target) is None and _RESOLVER.match(target):
        return target.lower().startswith(("unix:", "unix-abstract:"))
    if target.lower().startswith("dns://"):
        return False  # a name server of the caller's choice
    return all(host.lower() == "localhost" or _is_literal_loopback(host) for host in _hosts(target))


def _is_literal_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy(target: str, environment: Mapping[str, str] = os.environ) -> str:
    """The proxy that gRPC uses for a target, as "host:port (from http_proxy)"; "" for none."""
    variable = next((name for name in _PROXIES if environment.get(name)), "")
    if not variable or is_local(target):
        return ""
    exceptions = next((environment[name] for name in _EXCEPTIONS if environment.get(name)), "")
    if any(_is_excepted(host, entry.strip()) for host in _hosts(target) for entry in exceptions.split(",")):
        return ""
    # Without the user and password of the proxy's URL.
    return f"{urlsplit(environment[variable]).netloc.rpartition('@')[2]} (from {variable})"


def _hosts(target: str) -> list[str]:
    """The hosts that a target names; none for a Unix socket."""
    if url := _URL.match(target):
        raise ValueError(
            f"target {target!r} is a URL; give host and port alone: {url[1] or 'localhost:50051'!r}"
        )
    network = _NETWORK.match(target)
    if not network and _RESOLVER.match(target):
        return []
    addresses = target[network.end() :] if network else target
    return [_host(address, target) for address in addresses.split(",")]


def _host(address: str, target: str) -> str:
    parts = _HOST_AND_PORT.fullmatch(address)
    if parts and 0 < int(parts[2]) < 65536:
        return parts[1].strip("[]")
    if re.fullmatch(r"[\w.-]+:?|\[.*\]", address):
        raise ValueError(
            f"target {target!r} has no port; give host:port, such as {address.rstrip(':') + ':50051'!r}"
        )
    raise ValueError(f"target {target!r} is not an address; give host:port, [IPv6]:port or unix:PATH")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _is_excepted(host: str, entry: str) -> bool:
    """Whether an entry of no_proxy (a domain suffix or a network) matches a host."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return bool(entry) and host.endswith(entry)
