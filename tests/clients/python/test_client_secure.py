"""The client's key and certificates: mistakes are said before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import itemlens
from itemlens import AsyncClient, Client, Tls
from itemlens._target import stays_here
from itemlens._transport import headers
from support.authority import Authority


@pytest.fixture(params=[Client, AsyncClient])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_key_is_sent_as_a_bearer() -> None:
    assert headers("abc", "", None) == (("authorization", "Bearer abc"),)
    assert headers("", "me", "bulk") == (("itemlens-caller", "me"), ("itemlens-priority", "bulk"))


def test_a_key_goes_to_another_machine_by_tls_alone_unless_the_caller_says_so(make: Any) -> None:
    with pytest.raises(ValueError, match=r"in plain text.*tls=itemlens.Tls\(\)"):
        make("shop.example:50051", key="abc")
    for local in ("localhost:1", "127.0.0.1:1", "unix:/tmp/x"):
        make(local, key="abc")
    make("shop.example:50051", key="abc", tls=Tls())
    make("shop.example:50051", key="abc", allow_plaintext_key=True)


@pytest.mark.parametrize(
    ("target", "stays"),
    [
        ("localhost:1", True), ("127.0.0.1:1", True), ("[::1]:1", True), ("unix:/tmp/x", True),
        ("unix-abstract:x", True), ("ipv4:127.0.0.1:1", True), ("127.9.9.9:1", True),
        ("0.0.0.0:1", False), ("shop.localhost:1", False), ("xds:///shop", False), ("vsock:3:1", False),
        ("dns://8.8.8.8/localhost:1", False), ("dns:///localhost:1", False), ("google-c2p:///x", False),
        ("127.0.0.1.example:1", False), ("localhost.example:1", False),
    ],
)  # fmt: skip
def test_a_key_stays_on_this_machine_whatever_names_mean(target: str, stays: bool) -> None:
    assert stays_here(target) is stays


@pytest.mark.parametrize("key", ["abc\n", "a b", "é", "a\x00"])
def test_a_key_with_other_characters_is_refused_and_not_shown(make: Any, key: str) -> None:
    with pytest.raises(ValueError, match="key has white space or other characters") as error:
        make("localhost:1", key=key)
    assert key not in str(error.value)


def test_certificates_are_files_or_bytes(tmp_path: Path, make: Any) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue()
    make("localhost:1", tls=Tls(authority.path, str(certificate), key.read_bytes()))


def test_half_a_pair_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path, make: Any) -> None:
    certificate, _ = Authority(tmp_path).issue()
    with pytest.raises(ValueError, match="certificate and private_key belong together"):
        make("localhost:1", tls=Tls(certificate=certificate))
    with pytest.raises(ValueError, match="ca is not in PEM form"):
        make("localhost:1", tls=Tls(ca=b"nothing"))
    with pytest.raises(FileNotFoundError):
        make("localhost:1", tls=Tls(ca=tmp_path / "none.pem"))


def test_a_private_key_is_not_shown() -> None:
    assert "secret" not in repr(Tls(certificate=b"c", private_key=b"secret"))


def test_the_two_errors_are_told_apart() -> None:
    assert not issubclass(itemlens.Unauthenticated, itemlens.PermissionDenied)
