"""Keys and TLS over a real socket: nobody without the right key gets an answer, and changes count while it runs."""

from __future__ import annotations

import itertools
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import itemlens
from itemlens import Item, Retry, Tls
from itemlens.v1 import catalog_pb2, itemlens_pb2
from itemlens_cli.connection import connected
from itemlens_server.access.key_file import change
from itemlens_server.access.keys import new_key
from itemlens_server.access.quotas import Quota, Used
from itemlens_server.access.roles import Role
from support.authority import Authority
from support.serving import NotServing, Server
from support.spaces import Tiny

CALLS = 10_000
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
# What each method needs; what they are about follows from the request.
NEEDS = {
    Role.READ: "GetSpace GetStatistics Encode Fuse Recommend Explain GetCollection ListCollections GetItems ListItems "
    "ListStreams ListEvents GetCounts",
    Role.WRITE: "UpsertItems StreamUpsertItems UpdateItems StreamUpdateItems DeleteItems RecordEvents "
    "StreamRecordEvents DeleteEvents MergeUsers DeleteUser",
    Role.ADMIN: "CreateCollection UpdateCollection DeleteCollection",
}
ROLES = {method: role for role, methods in NEEDS.items() for method in methods.split()}
METHODS = {
    method.name: method
    for file in (catalog_pb2.DESCRIPTOR, itemlens_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}
OF_NO_COLLECTION = {"GetSpace", "Encode", "Fuse", "ListCollections"}


def serialized(message: Message) -> bytes:
    return message.SerializeToString()


@dataclass
class Guarded:
    """A running server with a file of keys."""

    server: Server
    keys: Path

    def key(self, role: Role, *collections: str, **quotas: Quota) -> str:
        text, key = new_key("test", role, collections, {Used(n): quota for n, quota in quotas.items()})
        change(self.keys, lambda known: {**known, key.id: key})
        # The server looks once a second.
        self.until(lambda: self.code("GetSpace", text) not in REFUSED)
        return text

    def revoke(self, text: str) -> None:
        now = datetime.now(UTC)
        number = text.split("_")[1]

        def revoked(known: dict[str, Any]) -> dict[str, Any]:
            return {**known, number: replace(known[number], revoked=now)}

        change(self.keys, revoked)

    @staticmethod
    def until(done: Any, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end
            time.sleep(0.05)

    def code(
        self, method: str, key: str = "", collection: str = "", raw: str | None = None
    ) -> grpc.StatusCode:
        """The status code of a call with a key, or with raw metadata instead."""
        described = METHODS[method]
        request: Message = GetMessageClass(described.input_type)()
        inner = request
        if method.startswith("Stream"):
            [field] = [f for f in request.DESCRIPTOR.fields if f.message_type]
            inner = getattr(request, field.name)
            inner.SetInParent()
        for name in ("collection", "name"):
            if name in inner.DESCRIPTOR.fields_by_name and collection:
                setattr(inner, name, collection)
                break
        path = f"/{described.containing_service.full_name}/{method}"
        authorization = f"Bearer {key}" if raw is None else raw
        metadata = (("authorization", authorization),) if authorization.strip() != "Bearer" else ()
        channel = self.server.channel
        try:
            if method.startswith("Stream"):
                stream: Any = channel.stream_stream(path, serialized, bytes)
                list(stream(iter([request]), metadata=metadata, timeout=30))
            else:
                unary: Any = channel.unary_unary(path, serialized, bytes)
                unary(request, metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def guarded(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    change(folder / "keys.json", lambda known: known)
    with Server(tiny.models, folder / "data", key_file=folder / "keys.json") as server:
        yield Guarded(server, folder / "keys.json")


def test_every_method_has_a_role() -> None:
    assert set(ROLES) == set(METHODS)


def test_of_10_000_calls_without_the_right_key_none_gets_in(guarded: Guarded) -> None:
    read, write = guarded.key(Role.READ), guarded.key(Role.WRITE)
    scoped = {role: guarded.key(role, "shoes", "shop-*") for role in Role}
    revoked = guarded.key(Role.ADMIN)
    guarded.revoke(revoked)
    guarded.until(lambda: guarded.code("GetSpace", revoked) in REFUSED)
    rng = random.Random(15)

    def wrong() -> Iterator[tuple[str, str, str | None, str]]:
        """Yield method, key, raw authorization, collection of calls that must be refused."""
        for method, collection in itertools.product(METHODS, ("", "shoes")):
            yield method, "", None, collection
            yield method, revoked, None, collection
            key = guarded_bytes(rng, write)
            yield method, key, None, collection
            yield (
                method,
                "",
                rng.choice(["Basic " + write, write, "Bearer", "bearer  ", "Bearer " + "x" * 5000]),
                collection,
            )
            if ROLES[method] > Role.READ:
                yield method, read, None, collection
            if ROLES[method] > Role.WRITE:
                yield method, write, None, collection
        for method, role, collection in itertools.product(
            METHODS, Role, ("", "bags", "shop", "Shoes", "default")
        ):
            if ROLES[method] <= role and method not in OF_NO_COLLECTION:
                yield method, scoped[role], None, collection
            elif ROLES[method] > role:
                yield method, scoped[role], None, "shoes"

    calls = list(wrong())
    got_in = []
    for number in range(CALLS):
        method, key, raw, collection = calls[number % len(calls)]
        code = guarded.code(method, key, collection, raw)
        if code not in REFUSED:
            got_in.append((method, raw, collection, code))
    assert got_in == []


def guarded_bytes(rng: random.Random, key: str) -> str:
    """A key with one character changed."""
    at = rng.randrange(len("itemlens_"), len(key))
    return key[:at] + rng.choice([c for c in "abcdefgh01234" if c != key[at]]) + key[at + 1 :]


@pytest.mark.parametrize("role", list(Role))
def test_the_right_key_gets_in_everywhere_it_may(guarded: Guarded, role: Role) -> None:
    everywhere, scoped = guarded.key(role), guarded.key(role, "shoes")
    for method, needs in ROLES.items():
        if needs <= role:
            assert guarded.code(method, everywhere, "nowhere") not in REFUSED, method
            of_all = method == "GetStatistics"
            assert (guarded.code(method, scoped, "shoes") in REFUSED) is of_all, method


def test_the_client_works_with_a_key_and_says_what_is_missing_without(guarded: Guarded) -> None:
    with guarded.server.client(key=guarded.key(Role.ADMIN), collection="client") as client:
        client.create_collection("client")
        client.upsert([Item("a", text="red shoe")]).raise_for_errors()
        assert [i.item_id for i in client.recommend(text="shoe")] == ["a"]
    with guarded.server.client() as client, pytest.raises(itemlens.Unauthenticated) as error:
        client.get_collection("client")
    assert "the call has no key" in error.value.message and error.value.details.reason == "UNAUTHENTICATED"
    with guarded.server.client(key=guarded.key(Role.READ), collection="client") as client:
        with pytest.raises(
            itemlens.PermissionDenied, match=r"needs the role write; the key test .* has read"
        ):
            client.upsert([Item("b", text="x")])
        assert [i.item_id for i in client.recommend(text="shoe")] == ["a"]


def test_lists_show_only_the_keys_collections(guarded: Guarded) -> None:
    with guarded.server.client(key=guarded.key(Role.ADMIN)) as client:
        for name in ("list-a", "list-b"):
            client.create_collection(name, allow_existing=True)
    with guarded.server.client(key=guarded.key(Role.READ, "list-b")) as client:
        assert [c.name for c in client.list_collections()] == ["list-b"]


def test_a_recommendation_of_another_collection_is_as_if_it_were_not_there(guarded: Guarded) -> None:
    with guarded.server.client(key=guarded.key(Role.ADMIN), collection="secret") as client:
        client.create_collection("secret")
        client.upsert([Item("a", text="red shoe")]).raise_for_errors()
        found = client.recommend(text="shoe")
        assert client.explain(["a"], recommendation_id=found.recommendation_id)
    key = guarded.key(Role.READ, "default", "shoes")
    request = itemlens_pb2.ExplainRequest(recommendation_id=found.recommendation_id, item_ids=["a"])
    unknown = itemlens_pb2.ExplainRequest(recommendation_id="x", item_ids=["a"])
    said = []
    for asked in (request, unknown):
        with pytest.raises(grpc.RpcError) as error:
            guarded.server.item_lens.Explain(
                asked, metadata=(("authorization", f"Bearer {key}"),), timeout=10
            )
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        said.append((error.value.details() or "").replace(found.recommendation_id, "x"))
    assert said[0] == said[1] and "secret" not in said[0]


def test_a_request_is_not_parsed_for_somebody_without_a_key(guarded: Guarded) -> None:
    call: Any = guarded.server.channel.unary_unary("/itemlens.v1.ItemLens/Encode", bytes, bytes)
    for metadata, code in (
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", f"Bearer {guarded.key(Role.READ)}"),), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call(b"\xff\xff\xff", metadata=metadata, timeout=10)
        assert error.value.code() is code


def test_a_short_lack_of_quota_slows_a_stream_down(guarded: Guarded) -> None:
    with guarded.server.client(key=guarded.key(Role.ADMIN)) as client:
        client.create_collection("slow")
    key = guarded.key(Role.WRITE, items=Quota(20, 1))
    with guarded.server.client(key=key, collection="slow") as client:
        began = time.monotonic()
        report = client.upload((Item(f"q{n}", text="red shoe") for n in range(60)), batch_size=10)
        assert report.written == 60 and 1.0 < time.monotonic() - began < 15


def test_a_key_that_is_revoked_in_mid_stream_ends_it(guarded: Guarded) -> None:
    key = guarded.key(Role.ADMIN)
    sent = threading.Event()

    def items() -> Iterator[Item]:
        yield from (Item(f"s{n}", text="red shoe") for n in range(40))
        sent.set()
        guarded.revoke(key)
        time.sleep(1.5)
        yield from (Item(f"t{n}", text="red shoe") for n in range(40))

    with guarded.server.client(key=key, collection="streamed") as client:
        client.create_collection("streamed")
        with pytest.raises(itemlens.Unauthenticated, match="was revoked at"):
            client.upload(items(), batch_size=10, in_flight=1)
    with guarded.server.client(key=guarded.key(Role.READ), collection="streamed") as client:
        stored = {stored.item.item_id for stored in client.list_items()}
    assert sent.is_set() and {f"s{n}" for n in range(30)} <= stored and not {"t39"} & stored


def test_a_quota_is_told_with_the_time_to_wait_and_the_client_waits(guarded: Guarded) -> None:
    key = guarded.key(Role.READ, calls=Quota(5, 1))
    with guarded.server.client(key=key) as client:
        with pytest.raises(itemlens.Overloaded) as error:
            for _ in range(50):
                client.list_collections()
        assert (
            error.value.details.reason == "QUOTA_EXCEEDED"
            and 0 < (error.value.details.retry_seconds or 0) <= 1
        )
    with guarded.server.client(key=key, retry=Retry()) as client:
        began = time.monotonic()
        for _ in range(10):
            client.list_collections()
        assert time.monotonic() - began > 0.8


def test_tokens_have_a_quota_which_the_cache_does_not_use(guarded: Guarded) -> None:
    key = guarded.key(Role.READ, tokens=Quota(20, 3600))
    with guarded.server.client(key=key) as client:
        client.encode(["a red shoe for a long run in the rain, and a blue one for the way home from there"])
        with pytest.raises(itemlens.Overloaded, match="has used its quota of 20/h tokens"):
            client.encode(["another text"])


def test_reflection_needs_a_key_and_health_does_not(guarded: Guarded) -> None:
    channel = guarded.server.channel
    assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5).status
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with pytest.raises(grpc.RpcError) as error:
        list(stub.ServerReflectionInfo(iter([request]), timeout=5))
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    metadata = [("authorization", f"Bearer {guarded.key(Role.READ)}")]
    assert list(stub.ServerReflectionInfo(iter([request]), metadata=metadata, timeout=5))


def test_metadata_of_64_kib_and_odd_bytes_do_no_harm(guarded: Guarded) -> None:
    with pytest.raises(grpc.RpcError) as error:
        guarded.server.catalog.ListCollections(
            catalog_pb2.ListCollectionsRequest(),
            metadata=(("authorization", "Bearer " + "x" * 65536),),
            timeout=10,
        )
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    twice = (("authorization", "Bearer a"), ("authorization", "Bearer b"))
    with pytest.raises(grpc.RpcError) as error:
        guarded.server.catalog.ListCollections(
            catalog_pb2.ListCollectionsRequest(), metadata=twice, timeout=10
        )
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert guarded.server.healthy()


def test_no_secret_is_in_the_log(guarded: Guarded) -> None:
    text = "".join(guarded.server.log)
    assert not re.search(r"itemlens_[0-9a-z]{8}_[\w-]{10}", text) and "Traceback" not in text


def test_without_keys_a_server_listens_on_this_machine_alone_unless_told(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(
        NotServing, match=r"other machines reach 0\.0\.0\.0:0, and without keys they may do everything"
    ):
        Server(tiny.models, tmp_path / "data", "--listen", "0.0.0.0:0")
    with (
        Server(tiny.models, tmp_path / "data", "--listen", "0.0.0.0:0", allow_unauthenticated=True) as server,
        server.client() as client,
    ):
        assert client.list_collections() == []


def test_a_file_of_keys_that_is_not_there_stops_the_start(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(NotServing, match="`itemlens keys create` makes the file"):
        Server(tiny.models, tmp_path / "data", key_file=tmp_path / "none.json")


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def test_a_client_that_trusts_the_authority_gets_in_and_others_do_not(
        self, tiny: Tiny, tmp_path: Path, authority: Authority
    ) -> None:
        other = Authority(tmp_path, "other")
        with Server(tiny.models, tmp_path / "data", **authority.settings()) as server:
            with server.client(tls=Tls(ca=authority.path)) as client:
                assert client.list_collections() == []
            for tls in (Tls(ca=other.path), Tls(), None):
                with server.client(tls=tls, timeout=5) as client, pytest.raises(itemlens.Unavailable):
                    client.list_collections()
            for data in (
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\x00" * 100,
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ):
                with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
                    raw.sendall(data)
                    raw.settimeout(5)
                    assert b"HTTP/1.1 200" not in raw.recv(1000)
            with server.client(tls=Tls(ca=authority.path)) as client:
                assert client.list_collections() == []

    def test_callers_need_a_certificate_where_the_server_asks_for_one(
        self, tiny: Tiny, tmp_path: Path, authority: Authority
    ) -> None:
        callers = Authority(tmp_path, "callers")
        certificate, key = callers.issue("caller")
        stranger, stranger_key = Authority(tmp_path, "strangers").issue("stranger")
        with Server(tiny.models, tmp_path / "data", **authority.settings(callers.path)) as server:
            with server.client(tls=Tls(authority.path, certificate, key)) as client:
                assert client.list_collections() == []
            for tls in (Tls(authority.path), Tls(authority.path, stranger, stranger_key)):
                with server.client(tls=tls, timeout=5) as client, pytest.raises(itemlens.Unavailable):
                    client.list_collections()

    def test_a_renewed_certificate_counts_at_the_next_connection(
        self, tiny: Tiny, tmp_path: Path, authority: Authority
    ) -> None:
        with Server(tiny.models, tmp_path / "data", **authority.settings()) as server:
            with server.client(tls=Tls(ca=authority.path)) as client:
                client.list_collections()
                first = serial(server, authority)
                time.sleep(1.1)  # the server looks once a second
                certificate, _ = authority.issue()
                assert serial(server, authority) != first
                client.list_collections()  # the connection of before goes on
            time.sleep(1.1)
            certificate.write_text("half of a renewal")
            second = serial(server, authority)
            assert second == serial(server, authority) != first
            assert any("what was read before stays" in line for line in server.log)

    def test_an_expired_certificate_is_the_clients_to_refuse(
        self, tiny: Tiny, tmp_path: Path, authority: Authority
    ) -> None:
        certificate, key = authority.issue(until=datetime.now(UTC) - timedelta(days=1))
        settings: dict[str, Any] = {"tls_certificate": certificate, "tls_private_key": key}
        with (
            Server(tiny.models, tmp_path / "data", **settings) as server,
            server.client(tls=Tls(ca=authority.path), timeout=5) as client,
            pytest.raises(itemlens.Unavailable),
        ):
            client.list_collections()

    def test_wrong_files_stop_the_start(self, tiny: Tiny, tmp_path: Path, authority: Authority) -> None:
        certificate, _ = authority.issue()
        _, other = authority.issue("other")
        wrong: list[tuple[dict[str, Any], str]] = [
            (
                {"tls_certificate": certificate},
                "tls_certificate is set, and tls_private_key is not: TLS needs both",
            ),
            (
                {"tls_certificate": certificate, "tls_private_key": other},
                "the key is not that of the certificate",
            ),
        ]
        for settings, why in wrong:
            with pytest.raises(NotServing, match=why):
                Server(tiny.models, tmp_path / "data", **settings)

    def test_health_works_over_tls(
        self, tiny: Tiny, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(tiny.models, tmp_path / "data", **authority.settings()) as server:
            command = [sys.executable, "-m", "itemlens_cli", "health", "--target", server.address]
            for ca, status in ((str(authority.path), 0), ("", 1)):
                monkeypatch.setenv("ITEMLENS_CLIENT_CA", ca)
                assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60).returncode == status

    def test_commands_take_key_and_certificates_from_the_environment(
        self, tiny: Tiny, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text, key = new_key("test", Role.READ)
        change(tmp_path / "keys.json", lambda known: {key.id: key})
        with Server(
            tiny.models, tmp_path / "data", key_file=tmp_path / "keys.json", **authority.settings()
        ) as server:
            monkeypatch.setenv("ITEMLENS_CLIENT_CA", str(authority.path))
            monkeypatch.setenv("ITEMLENS_CLIENT_KEY", text)
            with connected(server.address, retry=Retry(attempts=1)) as client:
                assert client.list_collections() == []


def serial(server: Server, authority: Authority) -> str:
    """The serial number of the certificate that a server shows."""
    context = ssl.create_default_context(cafile=str(authority.path))
    with (
        socket.create_connection(("127.0.0.1", server.port)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
    ):
        found = connection.getpeercert()
    assert found is not None
    return str(found["serialNumber"])
