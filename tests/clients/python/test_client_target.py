"""Targets: valid and invalid ones, and proxies."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import itemlens
from itemlens._target import check, is_local, proxy
from itemlens._transport import channel_options

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "example.com:1",
        "[::1]:50051",
        "ipv4:10.0.0.1:80,10.0.0.2:80",
        "ipv6:[::1]:80",
        "dns:///example.com:80",
        "dns://8.8.8.8/example.com:80",
        "unix:relative.sock",
        "unix:///run/x.sock",
        "unix-abstract:x",
        "xds:///service",
    ],
)
def test_valid_targets_are_accepted(target: str) -> None:
    assert check(target) == target


@pytest.mark.parametrize(
    ("target", "cure"),
    [
        ("http://shop.example:50051", "is a URL; give host and port alone: 'shop.example:50051'"),
        ("https://shop.example:50051/v1", "'shop.example:50051'"),
        ("GRPC://shop.example:50051", "'shop.example:50051'"),
        ("localhost", "has no port; give host:port, such as 'localhost:50051'"),
        ("localhost:", "has no port; give host:port, such as 'localhost:50051'"),
        ("[::1]", r"has no port; give host:port, such as '\[::1\]:50051'"),
        ("::1:50051", r"give host:port, \[IPv6\]:port or unix:PATH"),
        ("localhost:50051/v1", "is not an address"),
        ("user@localhost:50051", "is not an address"),
        ("localhost:grpc", "is not an address"),
        ("localhost:0", "is not an address"),
        ("localhost:70000", "is not an address"),
        ("", "is not an address"),
    ],
)
@pytest.mark.parametrize("flavour", [itemlens.Client, itemlens.AsyncClient])
def test_an_invalid_target_is_refused_with_a_remedy(flavour: type, target: str, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        flavour(target)


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("localhost:1", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", True),
        ("dns:///localhost:1", True),
        ("unix:/run/x.sock", True),
        ("unix-abstract:x", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.com:1", False),
    ],
)
def test_local_targets_use_no_proxy(target: str, local: bool) -> None:
    assert is_local(target) is local
    assert (("grpc.enable_http_proxy", 0) in channel_options(target)) is local


def test_the_proxy_is_named_without_its_password() -> None:
    both = {"http_proxy": "http://other:1", "https_proxy": "http://ann:secret@proxy:3128"}
    assert proxy("10.0.0.1:1", both) == "proxy:3128 (from https_proxy)"
    assert proxy("127.0.0.1:1", both) == ""
    assert proxy("10.0.0.1:1", {}) == ""


@pytest.mark.parametrize("exceptions", ["10.0.0.0/8", "a.example, .shop.example", "web.shop.example"])
def test_hosts_in_no_proxy_have_no_proxy(exceptions: str) -> None:
    target = "10.0.0.1:1" if "/" in exceptions else "web.shop.example:1"
    environment = {"http_proxy": "http://proxy:3128", "no_proxy": exceptions}
    assert proxy(target, environment) == ""
    assert proxy("other.example:1", environment) == "proxy:3128 (from http_proxy)"


def test_every_channel_of_ours_has_these_options() -> None:
    packages = ("clients/python/itemlens", "clients/bench", "server")
    without = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "insecure_channel"
        and not any("options" in ast.unparse(given) for given in (*call.args, *call.keywords))
    ]
    assert without == []


def test_unavailable_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        itemlens.Client("shop.invalid:50051", retry=itemlens.Retry(attempts=1)) as client,
        pytest.raises(itemlens.Unavailable, match=r"through the proxy 127\.0\.0\.1:1 \(from http_proxy\)"),
    ):
        client.space()
