"""`itemlens doctor --target` names why calls do not get through, with what to do, and changes nothing."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from itemlens.v1 import catalog_pb2_grpc, itemlens_pb2_grpc
from itemlens_cli.reach import calls, contract
from itemlens_cli.reach.connection import Reached
from itemlens_server.access.key_file import change
from itemlens_server.access.keys import Key, new_key
from itemlens_server.access.roles import Role
from support.authority import Authority
from support.command import Run
from support.fake_server import Fake
from support.serving import Server
from support.spaces import Tiny

Signed: TypeAlias = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CALLS = ("health", "key", "version", "default space", "collections", "time of a health check")
SERVING, NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)


@dataclass(frozen=True)
class Report:
    """What the command said: state and fix by check."""

    status: int
    out: str
    rows: Mapping[str, tuple[str, str]]

    @property
    def wrong(self) -> list[str]:
        """The checks that found something."""
        return [check for check, (_, fix) in self.rows.items() if fix]

    def state(self, check: str) -> str:
        return self.rows[check][0]

    def fix(self, check: str) -> str:
        return self.rows[check][1]


Doctor = Callable[..., Report]


@pytest.fixture
def doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs the command for a target, with variables ITEMLENS_CLIENT_... from here alone."""
    monkeypatch.setenv("COLUMNS", "1000")
    for name in [name for name in os.environ if name.startswith("ITEMLENS_CLIENT_")]:
        monkeypatch.delenv(name)

    def doctor(target: str, *arguments: str, **client: object) -> Report:
        with monkeypatch.context() as environment:
            for name, value in client.items():
                environment.setenv(f"ITEMLENS_CLIENT_{name.upper()}", str(value))
            done = run("doctor", "--target", target, "--timeout", "5", *arguments)
        cells = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines() if "│" in line]
        rows = {check: (state, fix) for _, check, state, fix, _ in cells}
        report = Report(done.status, done.out + done.err, rows)
        assert report.status == (1 if report.wrong else 0), report.out
        return report

    return doctor


class TestAServerWithKeysAndACertificate:
    @dataclass
    class Guarded:
        server: Server
        ca: Path
        keys: Mapping[str, str]
        monitoring: str

    @pytest.fixture(scope="class")
    def guarded(self, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
        folder = tmp_path_factory.mktemp("guarded")
        authority, made = Authority(folder), dict[str, tuple[str, Key]]()
        made["good"] = new_key("good", Role.READ)
        made["scoped"] = new_key("scoped", Role.WRITE, ["shop-*"])
        made["expired"] = new_key("expired", Role.READ, expires=NOW - DAY)
        change(folder / "keys.json", lambda known: {key.id: key for _, key in made.values()})
        with socket.create_server(("127.0.0.1", 0)) as free:
            monitoring = f"127.0.0.1:{free.getsockname()[1]}"
        with Server(
            tiny.models, folder / "data", key_file=folder / "keys.json", monitoring=monitoring,
            **authority.settings(),
        ) as server:  # fmt: skip
            keys = {name: text for name, (text, _) in made.items()}
            yield self.Guarded(server, authority.path, keys, monitoring)

    def test_that_all_is_right_with(self, guarded: Guarded, doctor: Doctor) -> None:
        key = guarded.keys["good"]
        said = doctor(guarded.server.address, "--monitoring", guarded.monitoring, ca=guarded.ca, key=key)
        assert said.status == 0 and "nothing is wrong" in said.out
        assert list(said.rows) == [
            "client", f"TCP {guarded.server.address}", "protocol", "certificate", "certificate's name",
            "certificate's dates", "clock", "health", "key", "version", "default space", "channel text",
            "channel image", "collections", "time of a health check", "time of GetSpace", "x-request-id",
        ]  # fmt: skip
        assert said.state("protocol") == "TLSv1.3"
        assert said.state("certificate's name") == "right for 127.0.0.1"
        assert said.state("clock") == "within a second of the server's"
        assert said.state("health") == "SERVING"
        assert said.state("key") == "accepted; it may read every collection"
        assert said.state("version").endswith("it has the same calls and fields")
        assert "fp32 on CPUExecutionProvider; 0 of " in said.state("channel text")
        assert "of 20" in said.state("time of GetSpace")
        assert key not in said.out and key.rpartition("_")[2] not in said.out

    def test_a_name_is_resolved(self, guarded: Guarded, doctor: Doctor) -> None:
        said = doctor(f"localhost:{guarded.server.port}", ca=guarded.ca, key=guarded.keys["good"])
        assert said.status == 0 and "localhost is " in said.state("name")
        assert said.state("certificate's name") == "right for localhost"

    @pytest.mark.parametrize(
        ("key", "state", "fix"),
        [
            ("", "the server asks for a key, and none is set", "set ITEMLENS_CLIENT_KEY to a key from"),
            ("expired", " expired at ", "`itemlens keys list` on the server shows which are"),
            ("unknown", "UNAUTHENTICATED: there is no such key (x-request-id ", "ITEMLENS_CLIENT_KEY"),
        ],
    )
    def test_a_key_that_opens_nothing(
        self, guarded: Guarded, doctor: Doctor, key: str, state: str, fix: str
    ) -> None:
        given = guarded.keys.get(key, key)
        said = doctor(guarded.server.address, ca=guarded.ca, key=given)
        assert said.wrong == ["key"] and state in said.state("key") and fix in said.fix("key")
        assert "time of a health check" in said.rows and "default space" not in said.rows

    def test_a_key_for_some_collections(self, guarded: Guarded, doctor: Doctor) -> None:
        said = doctor(guarded.server.address, ca=guarded.ca, key=guarded.keys["scoped"])
        assert said.status == 0 and said.state("key") == "accepted; it may read some collections only"
        assert "its queue is not shown: PERMISSION_DENIED" in said.state("channel text")

    def test_the_id_of_a_failed_call_is_that_of_the_log(self, guarded: Guarded, doctor: Doctor) -> None:
        said = doctor(guarded.server.address, ca=guarded.ca, key="unknown").state("key")
        number = said.partition("(x-request-id ")[2].rstrip(")")
        assert number in guarded.server.wait_for_log(f'"id": "{number}"')

    def test_a_client_in_plain_text(self, guarded: Guarded, doctor: Doctor) -> None:
        said = doctor(guarded.server.address, key=guarded.keys["good"])
        assert said.wrong == ["protocol"] and not set(CALLS) & set(said.rows)
        state = said.state("protocol")
        assert state == "the port speaks TLS (TLSv1.3), and the client is set to plain text"
        assert "set ITEMLENS_CLIENT_CA" in said.fix("protocol")
        assert said.state("certificate").startswith("for 127.0.0.1, localhost; by ")


@contextmanager
def serving(
    fake: Fake | None = None,
    credentials: grpc.ServerCredentials | None = None,
    address: str = "127.0.0.1:0",
    status: int | None = SERVING,
    reflection: reflection_pb2_grpc.ServerReflectionServicer | None = None,
) -> Iterator[str]:
    """A server in this process. status: of its health; None: it has no health service"""
    fake = fake or Fake()
    with futures.ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        itemlens_pb2_grpc.add_ItemLensServicer_to_server(fake, server)
        catalog_pb2_grpc.add_CatalogServicer_to_server(fake, server)
        if status is not None:
            servicer = health.HealthServicer()
            servicer.set("", status)
            health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        if reflection is not None:
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflection, server)
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
        server.start()
        yield address.replace(":0", f":{port}")
        server.stop(0).wait()


def credentials(certificate: Path, key: Path, client_ca: Path | None = None) -> grpc.ServerCredentials:
    roots = None if client_ca is None else client_ca.read_bytes()
    pair = (key.read_bytes(), certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class TestCertificates:
    @pytest.mark.parametrize(
        ("issued", "check", "state", "fix"),
        [
            (
                {"until": NOW - DAY}, "certificate's dates",
                f"it has expired: at {NOW - DAY:%Y-%m-%d %H:%M}; this machine's clock says ", "renew it",
            ),
            (
                {"since": NOW + DAY}, "certificate's dates",
                f"it is not yet valid: from {NOW + DAY:%Y-%m-%d %H:%M}; this machine's clock says ", "set the clock",
            ),
            (
                {"host": "shop.example"}, "certificate's name",
                "it is not for 127.0.0.1, but for shop.example, localhost", "ITEMLENS_CLIENT_SERVER_NAME",
            ),
        ],
        ids=["expired", "not yet valid", "another name"],
    )  # fmt: skip
    def test_that_is_wrong(
        self, authority: Authority, doctor: Doctor, issued: Any, check: str, state: str, fix: str
    ) -> None:
        with serving(credentials=credentials(*authority.issue(**issued))) as target:
            said = doctor(target, ca=authority.path)
        assert said.wrong == [check] and said.state(check).startswith(state) and fix in said.fix(check)
        assert ("is it right?" in said.state(check)) is (check == "certificate's dates")
        assert not set(CALLS) & set(said.rows)

    def test_all_that_is_wrong_is_told_at_once(
        self, authority: Authority, doctor: Doctor, tmp_path: Path
    ) -> None:
        issued = authority.issue(host="shop.example", until=NOW - DAY)
        with serving(credentials=credentials(*issued)) as target:
            said = doctor(target, ca=Authority(tmp_path, "other").path)
        assert said.wrong == ["certificate", "certificate's name", "certificate's dates"]

    def test_that_ends_soon_is_told_before_it_does(self, authority: Authority, doctor: Doctor) -> None:
        with serving(credentials=credentials(*authority.issue(until=NOW + 3 * DAY))) as target:
            said = doctor(target, ca=authority.path)
        assert "certificate's dates" in said.wrong and said.fix("certificate's dates") == "renew it"
        assert "valid for 2 more days" in said.state("certificate's dates")
        assert said.state("health") == "SERVING"

    def test_of_another_authority(self, authority: Authority, doctor: Doctor, tmp_path: Path) -> None:
        other = Authority(tmp_path, "other").path
        with serving(credentials=credentials(*authority.issue())) as target:
            own, public = doctor(target, ca=other), doctor(target, tls="true")
        assert own.wrong == public.wrong == ["certificate"]
        assert f"it is not by one in {other}" in own.state("certificate")
        assert "it is not by one in the public authorities" in public.state("certificate")
        assert "ITEMLENS_CLIENT_CA to the file of its authority" in public.fix("certificate")

    def test_that_is_self_signed(self, doctor: Doctor, tmp_path: Path) -> None:
        authority = trustme.CA()
        pair = (authority.private_key_pem.bytes(), authority.cert_pem.bytes())
        with serving(credentials=grpc.ssl_server_credentials([pair])) as target:
            said = doctor(target, tls="true", server_name="x")
        assert "it is self-signed, and not in the public authorities" in said.state("certificate")
        assert said.fix("certificate") == "set ITEMLENS_CLIENT_CA to the file of this certificate"

    def test_without_those_between_it_and_its_authority(self, doctor: Doctor, tmp_path: Path) -> None:
        root = trustme.CA()
        root.cert_pem.write_to_path(str(tmp_path / "root.pem"))
        issued = root.create_child_ca().issue_cert("127.0.0.1")
        pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
        with serving(credentials=grpc.ssl_server_credentials([pair])) as target:
            said = doctor(target, ca=tmp_path / "root.pem")
        assert said.wrong == ["certificate"]
        assert "`tls_certificate` must have the certificates in between" in said.fix("certificate")

    def test_of_an_authority_that_has_expired(self, doctor: Doctor, tmp_path: Path) -> None:
        authority, key = self.signed("authority", None, NOW - DAY)
        issued = self.signed("server", (authority, key), NOW + 30 * DAY)
        pem = serialization.Encoding.PEM
        (tmp_path / "ca.pem").write_bytes(authority.public_bytes(pem))
        private = issued[1].private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pair = (private, issued[0].public_bytes(pem))
        with serving(credentials=grpc.ssl_server_credentials([pair])) as target:
            said = doctor(target, ca=tmp_path / "ca.pem")
        assert said.wrong == ["certificate's authority"]
        assert said.state("certificate's authority").startswith("certificate has expired: that of the auth")

    @staticmethod
    def signed(name: str, by: Signed | None, end: datetime) -> Signed:
        """A certificate of 127.0.0.1 with an end. by: its authority; None: it is one itself"""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer, signing = (subject, key) if by is None else (by[0].subject, by[1])
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(NOW - 100 * DAY).not_valid_after(end)
        made = made.add_extension(x509.BasicConstraints(by is None, None), critical=True)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return made.add_extension(names, critical=False).sign(signing, hashes.SHA256()), key

    def test_of_the_client(self, authority: Authority, doctor: Doctor, tmp_path: Path) -> None:
        callers, what = Authority(tmp_path, "callers"), "client's certificate"
        good, stranger = callers.issue("caller"), Authority(tmp_path, "strangers").issue("stranger")
        with serving(credentials=credentials(*authority.issue(), callers.path)) as target:
            none, refused, taken = (
                doctor(target, ca=authority.path, **given)
                for given in (
                    {},
                    {"certificate": stranger[0], "private_key": stranger[1]},
                    {"certificate": good[0], "private_key": good[1]},
                )
            )
        assert none.wrong == refused.wrong == [what]
        assert none.state(what).startswith("none is set, and the server ends the connection")
        assert "as if it asked for one (mTLS)" in none.state(what)
        assert "ITEMLENS_CLIENT_CERTIFICATE and ITEMLENS_CLIENT_PRIVATE_KEY" in none.fix(what)
        assert "of an authority that the server has as `tls_client_ca`" in refused.fix(what)
        assert taken.state(what) == "the server does not refuse it" and taken.state("health") == "SERVING"


class TestTheWayThere:
    def test_a_client_of_tls_at_a_port_of_plain_text(self, authority: Authority, doctor: Doctor) -> None:
        with serving() as target:
            said = doctor(target, ca=authority.path)
        assert said.wrong == ["protocol"] and not set(CALLS) & set(said.rows)
        assert said.state("protocol") == "the port speaks plain text, and the client is set to TLS"
        assert "give the server `tls_certificate`" in said.fix("protocol")

    @pytest.mark.parametrize("target", ["127.0.0.1:1", "[::1]:1"])
    def test_a_port_where_nothing_listens(self, doctor: Doctor, target: str) -> None:
        said = doctor(target)
        assert said.wrong == [f"TCP {target}"]
        assert said.state("calls") == "not tried: they cannot work like this"

    def test_a_server_that_does_not_listen_for_others(self, doctor: Doctor) -> None:
        fix = doctor("127.0.0.1:1").fix("TCP 127.0.0.1:1")
        assert fix.startswith("start the server") and "`listen` must not be 127.0.0.1" in fix

    def test_a_name_without_address(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        said = doctor("shop.invalid:50051")
        assert said.wrong == ["name"] and "DNS" in said.fix("name")
        assert said.state("name") == "shop.invalid has no address: Name or service not known"

    def test_a_second_address_that_refuses_is_no_fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve = socket.getaddrinfo

        def both(host: str, *arguments: Any, **options: Any) -> list[Any]:
            hosts = ("127.0.0.2", "127.0.0.1") if host == "shop.example" else (host,)
            return [found for one in hosts for found in resolve(one, *arguments, **options)]

        with serving() as target:
            monkeypatch.setattr(socket, "getaddrinfo", both)
            reached, port = Reached(), target.rpartition(":")[2]
            rows = list(reached.check(f"shop.example:{port}", 5))
        assert [fix for *_, fix in rows] == ["", "", ""] and reached.open is not None
        assert rows[0][1].startswith("shop.example is 127.0.0.2, 127.0.0.1, in ")
        assert rows[1][1] == "Connection refused; calls use another address"

    def test_a_port_that_takes_connections_and_is_silent(self, doctor: Doctor) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            said = doctor(f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")
        assert said.wrong == ["protocol"]
        assert said.state("protocol") == "no gRPC: no answer to the first bytes of HTTP/2"

    def test_a_port_of_http(self, doctor: Doctor) -> None:
        with pages(datetime.now(UTC)) as address:
            said = doctor(address)
        assert said.wrong == ["protocol"] and "HTTP" in said.state("protocol")
        assert "check the port" in said.fix("protocol")

    def test_a_port_of_https(self, doctor: Doctor, authority: Authority) -> None:
        https = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        https.load_cert_chain(*authority.issue())
        with pages(datetime.now(UTC), https) as address:
            said = doctor(address, ca=authority.path)
        assert said.wrong == ["protocol"] and not set(CALLS) & set(said.rows)
        assert said.state("protocol") == "no gRPC: TLS without HTTP/2 (ALPN h2)"

    def test_a_unix_socket(self, doctor: Doctor, tmp_path: Path) -> None:
        target = f"unix:{tmp_path / 'socket'}"
        with serving(address=target) as target:
            assert doctor(target).state("health") == "SERVING"
        said = doctor(f"unix:{tmp_path / 'none'}")
        assert said.state(f"unix:{tmp_path / 'none'}") == "No such file or directory"

    def test_a_proxy_is_named(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("grpc_proxy", "http://user:secret@127.0.0.1:1")
        monkeypatch.delenv("no_grpc_proxy", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        said = doctor("shop.invalid:50051", "--timeout", "1")
        assert "calls go through 127.0.0.1:1 (from grpc_proxy)" in said.state("proxy")
        assert said.wrong == ["health"] and "secret" not in said.out

    def test_a_key_stays_here_where_the_network_could_read_it(self, doctor: Doctor) -> None:
        fake = Fake()
        with serving(fake) as target:
            other_machine = target.replace("127.0.0.1", "0.0.0.0")
            said = doctor(other_machine, key="abc")
            assert said.wrong == ["key"] and fake.requests == []
            assert said.state("key") == f"not sent: the key would go to {other_machine} in plain text"
            assert "ITEMLENS_CLIENT_ALLOW_PLAINTEXT_KEY=true" in said.fix("key")
            assert doctor(other_machine, key="abc", allow_plaintext_key="true").state("key").startswith("set")

    @pytest.mark.parametrize(
        ("client", "state"),
        [
            ({"tls": "perhaps"}, "ITEMLENS_CLIENT_TLS is 'perhaps': write true or false"),
            ({"ca": "/none.pem"}, "No such file or directory: '/none.pem'"),
            ({"certificate": __file__}, "certificate and private_key belong together"),
            ({"ca": contract.__file__}, "ca is not in PEM form"),
        ],
    )
    def test_wrong_settings_of_the_client(self, doctor: Doctor, client: Any, state: str) -> None:
        said = doctor("127.0.0.1:1", **client)
        assert said.wrong == ["client"] and state in said.state("client")

    def test_files_of_the_client_that_do_not_belong_together(
        self, doctor: Doctor, authority: Authority
    ) -> None:
        (certificate, _), (_, other) = authority.issue("a"), authority.issue("b")
        said = doctor("127.0.0.1:1", certificate=certificate, private_key=other)
        assert said.wrong == ["client"] and "key values mismatch" in said.state("client")
        authority.path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        assert doctor("127.0.0.1:1", ca=authority.path).wrong == ["client"]

    def test_a_wrong_target_is_one_line(self, run: Run) -> None:
        done = run("doctor", "--target", "http://shop.example")
        assert done.status == 1 and done.err.startswith("error: --target 'http://shop.example' is a URL")


class TestAnswers:
    def test_nothing_is_changed(self, doctor: Doctor) -> None:
        fake = Fake()
        with serving(fake) as target:
            doctor(target, key="abc")
        assert {name for name, _ in fake.requests} == {"ListCollections", "GetSpace", "GetStatistics"}

    def test_a_server_that_does_not_serve(self, doctor: Doctor) -> None:
        with serving(status=NOT_SERVING) as target:
            said = doctor(target)
        assert said.rows["health"] == (
            "NOT_SERVING", "it is going down, or does not serve yet: wait for it, and see its log"
        )  # fmt: skip

    def test_another_grpc_server(self, doctor: Doctor) -> None:
        with serving(status=None) as target:
            said = doctor(target)
        assert said.wrong == ["health"] and "not itemlens: check the port" in said.fix("health")

    def test_a_server_without_keys(self, doctor: Doctor) -> None:
        with serving() as target:
            assert "the server asks for none" in doctor(target).state("key")
            assert doctor(target, key="abc").state("key") == "set, and the server asks for none"

    @pytest.mark.parametrize(
        ("code", "fix"),
        [
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "a quota is raised with a new key"),
            (grpc.StatusCode.PERMISSION_DENIED, "give the caller a key with a role"),
            (grpc.StatusCode.INTERNAL, "see the server's log under the call's id"),
        ],
    )
    def test_a_call_that_fails(self, doctor: Doctor, code: grpc.StatusCode, fix: str) -> None:
        fake = Fake()
        fake.fail("ListCollections", code)
        with serving(fake) as target:
            said = doctor(target)
        assert said.wrong == ["key"] and said.state("key") == f"{code.name}: told to fail"
        assert fix in said.fix("key")

    def test_a_queue_that_is_long(self, doctor: Doctor) -> None:
        with serving() as target:  # 4 of 5 tokens wait
            said = doctor(target)
        assert said.wrong == ["channel title"] and "docs/engine.md" in said.fix("channel title")
        assert "4 of 5 tokens wait, 11 calls refused" in said.state("channel title")

    def test_what_is_slow(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "SLOW_SECONDS", -1.0)
        with serving() as target:
            said = doctor(target)
        assert said.fix("time of a health check") == "the network is slow or far: call from nearer"
        assert "the server is busy" in said.fix("time of GetSpace")

    def test_answers_without_ids(self, doctor: Doctor) -> None:
        with serving() as target:
            assert doctor(target).state("x-request-id").startswith("answers have none")


class Described:
    """Reflection of a server of another version."""

    def __init__(self, edit: Callable[[FileDescriptorProto], None]) -> None:
        self._edit = edit

    def ServerReflectionInfo(self, requests: Any, context: Any) -> Any:
        for request in requests:
            [module] = [m for m in contract.FILES if m.DESCRIPTOR.name == request.file_by_filename]
            file = FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(file)
            self._edit(file)
            said = reflection_pb2.FileDescriptorResponse(file_descriptor_proto=[file.SerializeToString()])
            yield reflection_pb2.ServerReflectionResponse(file_descriptor_response=said)


class TestVersions:
    def test_an_older_server(self, doctor: Doctor) -> None:
        def older(file: FileDescriptorProto) -> None:
            for service in file.service:
                del service.method[-1]

        with serving(reflection=Described(older)) as target:
            said = doctor(target)
        assert "it does not know Catalog.DeleteUser, ItemLens.Explain" in said.state("version")
        assert said.fix("version") == "update the server, or use the client of its version"

    def test_a_newer_server(self, doctor: Doctor) -> None:
        def newer(file: FileDescriptorProto) -> None:
            if file.service:
                file.message_type.add(name="Secret").field.add(name="of_tomorrow")

        with serving(reflection=Described(newer)) as target:
            said = doctor(target)
        assert "it is newer: it knows Secret.of_tomorrow, too" in said.state("version")
        assert not said.fix("version")

    def test_a_server_without_reflection(self, doctor: Doctor) -> None:
        with serving() as target:
            assert doctor(target).state("version").endswith("the server's is not told")


@contextmanager
def pages(told: datetime, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """An HTTP server, by TLS if that is given, whose clock tells a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(told.timestamp())

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestClocks:
    @pytest.mark.parametrize(
        ("apart", "state", "wrong"),
        [(10, "behind the server's", False), (-7200, "ahead of the server's", True)],
    )
    def test_are_compared(self, doctor: Doctor, apart: int, state: str, wrong: bool) -> None:
        with serving() as target, pages(datetime.now(UTC) + timedelta(seconds=apart)) as address:
            said = doctor(target, "--monitoring", address)
        assert said.state("clock").endswith(state) and bool(said.fix("clock")) is wrong

    def test_that_are_not_told(self, doctor: Doctor) -> None:
        with serving() as target:
            assert "clock" not in doctor(target).rows
            said = doctor(target, "--monitoring", "127.0.0.1:1")
        assert "127.0.0.1:1 does not tell the server's" in said.state("clock") and "clock" in said.wrong
