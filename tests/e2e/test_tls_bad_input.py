"""Bad input before the first call: bytes that are no TLS, certificates that are wrong, metadata that is too large.

After each, the server answers a proper call, and its log has no fault. tests/e2e/test_access.py has the certificates of
clients, and files that are wrong when the server starts.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

import itemlens
from itemlens import Tls
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc
from support.authority import Authority
from support.serving import Server
from support.spaces import Tiny
from support.waiting import until

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SILENT = 200
# A proper call beside bad ones takes no longer than this, on a slow machine, too.
SOON_SECONDS = 10.0
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
RNG = random.Random(15)
BYTES = {
    "the first bytes of gRPC in plain text": HTTP2,
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    "HTTP/1.1 that asks for HTTP/2": b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a record that is longer than it may be": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "a handshake of zeros": b"\x16\x03\x01\x02\x00" + bytes(512),
    "nothing, and an end": b"",
    **{f"{size:,} random bytes": RNG.randbytes(size) for size in (1, 5, 100, 20_000)},
}


def sent(port: int, data: bytes) -> bytes:
    """Send bytes, end, and return what comes back until the server ends, too."""
    back = b""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            while more := raw.recv(1000):
                back += more
    except TimeoutError:
        raise AssertionError("the server keeps the connection") from None
    except OSError:
        pass  # it ended the connection before all was sent
    return back


def half_a_hello() -> bytes:
    """The first half of a proper handshake."""
    sends = ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sends, server_hostname="localhost").do_handshake()
    data = sends.read()
    return data[: len(data) // 2]


@dataclass
class Secure:
    """A running server that speaks TLS, and its files."""

    server: Server
    authority: Authority
    certificate: Path
    key: Path

    def client(self, **settings: Any) -> itemlens.Client:
        """A client that trusts the authority, on a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        given: dict[str, Any] = {"tls": Tls(ca=self.authority.path), "options": options, **settings}
        return self.server.client(**given)

    def answers(self) -> bool:
        """Whether a new client gets an answer."""
        with self.client(timeout=SOON_SECONDS) as client:
            return client.list_collections() == []

    def shows(self, certificate: bytes) -> bool:
        """Whether a new connection gets a certificate."""
        seen = ssl.get_server_certificate(("127.0.0.1", self.server.port))
        return ssl.PEM_cert_to_DER_cert(seen) == ssl.PEM_cert_to_DER_cert(certificate.decode())

    def take(self, certificate: bytes, key: bytes) -> None:
        """Give the server other files, and wait until it has them."""
        self.key.write_bytes(key)
        self.certificate.write_bytes(certificate)
        until(lambda: self.shows(certificate), "the server shows its new certificate", 30, 0.1)

    @contextlib.contextmanager
    def changed(self, **issued: Any) -> Iterator[None]:
        """Show another certificate of the authority for a while. Connections of before go on."""
        good, key = self.certificate.read_bytes(), self.key.read_bytes()
        other, other_key = self.authority.issue("other", **issued)
        with self.client() as before:
            before.list_collections()
            self.take(other.read_bytes(), other_key.read_bytes())
            yield
            assert before.list_collections() == []
            self.take(good, key)

    def refusal(self, **settings: Any) -> str:
        """What a client says that gets no connection."""
        with self.client(timeout=5, **settings) as client, pytest.raises(itemlens.Unavailable) as error:
            client.list_collections()
        return error.value.message


@pytest.fixture(scope="module")
def secure(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    authority = Authority(folder)
    settings = authority.settings()
    with Server(tiny.models, folder / "data", **settings) as server:
        yield Secure(server, authority, settings["tls_certificate"], settings["tls_private_key"])
    assert server.process.returncode == 0


@pytest.fixture(autouse=True)
def answers_after(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, a new client gets an answer, and the log has no fault."""
    yield
    if "secure" in request.fixturenames:
        secure: Secure = request.getfixturevalue("secure")
        assert secure.answers()
        log = "".join(secure.server.log)
        assert "internal error" not in log and "Traceback" not in log


class TestBytes:
    @pytest.mark.parametrize("what", BYTES)
    def test_that_are_no_tls_end_the_connection(self, secure: Secure, what: str) -> None:
        back = sent(secure.server.port, BYTES[what])
        assert not back or back[0] == 0x15  # an alert of TLS
        assert len(back) < 100

    @pytest.mark.parametrize("what", BYTES)
    def test_that_are_no_grpc_get_no_answer_in_plain_text(self, server: Server, what: str) -> None:
        back = sent(server.port, BYTES[what])
        assert b"HTTP/1.1 200" not in back and len(back) < 1000

    def test_of_half_a_handshake_and_silence_on_many_connections_hold_nobody_up(self, secure: Secure) -> None:
        hello = half_a_hello()
        with contextlib.ExitStack() as open_ones:
            for _ in range(SILENT):
                raw = socket.create_connection(("127.0.0.1", secure.server.port), 10)
                open_ones.enter_context(raw)
                raw.sendall(hello)
            began = time.monotonic()
            assert secure.answers() and time.monotonic() - began < SOON_SECONDS

    def test_of_a_proper_handshake_and_no_http2_do_no_harm(self, secure: Secure) -> None:
        context = ssl.create_default_context(cafile=str(secure.authority.path))
        context.set_alpn_protocols(["h2"])
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", RNG.randbytes(10_000)):
            with (
                socket.create_connection(("127.0.0.1", secure.server.port), 10) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as connection,
                contextlib.suppress(ConnectionError, ssl.SSLError),
            ):
                connection.sendall(data)
                while more := connection.recv(1000):
                    assert b"HTTP/1.1 200" not in more


class TestCertificates:
    def test_that_has_expired_is_named_so(self, secure: Secure) -> None:
        with secure.changed(until=NOW - DAY):
            assert "certificate has expired" in secure.refusal()

    def test_that_is_valid_from_tomorrow_is_named_so(self, secure: Secure) -> None:
        with secure.changed(since=NOW + DAY):
            assert "certificate is not yet valid" in secure.refusal()

    def test_that_is_valid_from_tomorrow_hints_at_the_clock(self, secure: Secure) -> None:
        with secure.changed(since=NOW + DAY):
            said = secure.refusal()
        assert "clock" in said

    def test_for_another_name_is_named_so_and_can_be_allowed(self, secure: Secure) -> None:
        with secure.changed(host="shop.example"):
            assert "Hostname Verification Check failed" in secure.refusal()
            with secure.client(tls=Tls(secure.authority.path, server_name="shop.example")) as client:
                assert client.list_collections() == []

    def test_of_an_authority_that_the_client_does_not_know(self, secure: Secure, tmp_path: Path) -> None:
        for tls in (Tls(ca=Authority(tmp_path, "stranger").path), Tls()):
            assert "unable to get local issuer certificate" in secure.refusal(tls=tls)

    def test_that_is_self_signed_is_trusted_by_its_own_file_alone(
        self, secure: Secure, tmp_path: Path
    ) -> None:
        good, key = secure.certificate.read_bytes(), secure.key.read_bytes()
        own = trustme.CA()
        own.cert_pem.write_to_path(str(tmp_path / "own.pem"))
        secure.take(own.cert_pem.bytes(), own.private_key_pem.bytes())
        said = secure.refusal()
        # This one has no names: with its own file trusted, its name is all that is wrong.
        with_own = secure.refusal(tls=Tls(ca=tmp_path / "own.pem"))
        secure.take(good, key)
        assert "self signed certificate" in said and "Hostname Verification Check failed" in with_own

    def test_and_key_in_each_others_file_leave_those_of_before(self, secure: Secure) -> None:
        good, key = secure.certificate.read_bytes(), secure.key.read_bytes()
        secure.key.write_bytes(good)
        secure.certificate.write_bytes(key)

        def told() -> bool:
            assert secure.answers()
            return any(
                "cannot be used" in line and "what was read before stays" in line
                for line in secure.server.log
            )

        try:
            until(told, "the server says that it cannot use the files", 30, 0.1)
            assert secure.shows(good)
        finally:
            secure.take(good, key)


class TestMetadata:
    @pytest.mark.parametrize(
        "metadata",
        [
            (("authorization", "Bearer " + "x" * 65_536),),
            (("x-odd", "x" * 65_536),),
            (("x-odd-bin", bytes(65_536)),),
            tuple((f"x-{number}", "x" * 64) for number in range(1000)),
            (("x" * 65_536, "x"),),
        ],
        ids=["a key", "a value", "a value of bytes", "many values", "a name"],
    )
    def test_of_64_kib_is_refused_as_too_large(self, secure: Secure, metadata: Any) -> None:
        credentials = Tls(ca=secure.authority.path).credentials()
        with grpc.secure_channel(secure.server.address, credentials) as channel:
            ask = catalog_pb2_grpc.CatalogStub(channel).ListCollections
            with pytest.raises(grpc.RpcError) as error:
                ask(catalog_pb2.ListCollectionsRequest(), metadata=metadata, timeout=10)
            assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            ask(catalog_pb2.ListCollectionsRequest(), timeout=10)  # the connection goes on
