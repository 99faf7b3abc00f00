"""The address that a server listens on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from itemlens_server.address import Address
from itemlens_server.errors import FailedPrecondition


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051"),
        ("localhost:1", "localhost:1"),
        ("0.0.0.0:50051", "127.0.0.1:50051"),
        ("[::]:50051", "[::1]:50051"),
        ("[::1]:50051", "[::1]:50051"),
        ("192.168.1.7:50051", "192.168.1.7:50051"),
        ("shop.example:50051", "shop.example:50051"),
        ("unix:/run/itemlens.sock", "unix:/run/itemlens.sock"),
        ("unix:relative.sock", "unix:relative.sock"),
        ("unix-abstract:itemlens", "unix-abstract:itemlens"),
    ],
)
def test_this_machine_reaches_it(listen: str, target: str) -> None:
    assert Address.parse(listen).target == target


@pytest.mark.parametrize(
    ("listen", "cure"),
    [
        ("127.0.0.1", "it has no port; write host:port, such as 127.0.0.1:50051"),
        ("localhost", "it has no port; write host:port, such as localhost:50051"),
        ("localhost:", "such as localhost:50051"),
        ("[::1]", r"it has no port; write host:port, such as \[::1\]:50051"),
        ("50051", "it has no host; write 127.0.0.1:50051 for this machine alone, 0.0.0.0:50051 for all"),
        (":50051", "it has no host; write 127.0.0.1:50051"),
        ("::1:50051", r"it is not an address; write host:port, \[IPv6\]:port or unix:PATH"),
        ("http://localhost:50051", "it is not an address"),
        ("localhost:65536", "it is not an address"),
        ("localhost:grpc", "it is not an address"),
        ("unix:", "it has no path; write unix:PATH"),
        ("", "it is not an address"),
    ],
)
def test_what_is_not_an_address_is_refused_with_the_cure(listen: str, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        Address.parse(listen)


def test_a_free_port_has_no_target_before_the_server_runs() -> None:
    with pytest.raises(FailedPrecondition, match="--target"):
        _ = Address.parse("127.0.0.1:0").target


def test_a_taken_port_is_found_and_a_free_one_stays_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = Address.parse(f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(
            FailedPrecondition, match="in use; stop the process that listens there, or change --listen"
        ):
            address.check_free()
    address.check_free()
    address.check_free()


@pytest.mark.parametrize("listen", ["192.0.2.1:50051", "nohost.invalid:50051"])
def test_an_address_that_this_machine_does_not_have_is_refused(listen: str) -> None:
    with pytest.raises(FailedPrecondition, match=f"cannot listen on {listen}: .*or change --listen"):
        Address.parse(listen).check_free()


def test_a_socket_file_is_taken_while_somebody_listens_there(tmp_path: Path) -> None:
    address = Address.parse(f"unix:{tmp_path / 'x.sock'}")
    address.check_free()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "x.sock"))
        other.listen()
        with pytest.raises(FailedPrecondition, match="another server listens there"):
            address.check_free()
    address.check_free()  # the file of a server that is gone


def test_a_socket_file_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=f"there is no folder {tmp_path / 'none'}"):
        Address.parse(f"unix:{tmp_path / 'none' / 'x.sock'}").check_free()
