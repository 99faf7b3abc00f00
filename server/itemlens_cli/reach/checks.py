"""The checks of a server from here, in the order in which a call needs things. What cannot work ends them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import itemlens
from itemlens import Tls
from itemlens._secure import check_key
from itemlens._target import proxy
from itemlens._transport import headers, open_channel
from itemlens_cli.connection import credentials
from itemlens_cli.reach import calls, clock, contract
from itemlens_cli.reach.certificate import Shown, check_files, trusted
from itemlens_cli.reach.connection import Reached, resolved_by_grpc_alone
from itemlens_cli.reach.port import Answer, ask
from itemlens_cli.reach.rows import Row
from itemlens_server.config import CLIENT_PREFIX
from itemlens_server.errors import InvalidArgument

_NOT_TRIED: Row = ("calls", "not tried: they cannot work like this", "")


def checks(target: str, timeout: float, monitoring: str = "") -> Iterator[Row]:
    """Check a server, as a client with the settings of the environment sees it.

    timeout:    seconds for each step
    monitoring: host and port of the server's setting `monitoring`, if this machine reaches it: it tells the clock
    """
    try:
        given = credentials()
        tls: Tls | None = given["tls"]
        if tls is not None:
            tls.credentials()
            check_files(tls)
    except (InvalidArgument, OSError, ValueError) as error:
        said = error.message if isinstance(error, InvalidArgument) else f"{CLIENT_PREFIX}...: {error}"
        yield "client", said, "set what the message names; docs/security.md lists the variables"
        return
    yield "client", _settings(tls, given["key"]), ""
    reached = Reached()
    if via := proxy(target):
        yield "proxy", f"calls go through {via}, so the address is not checked from here", ""
    elif resolved_by_grpc_alone(target):
        yield "address", "only gRPC knows what this target means, so it is not checked", ""
    else:
        yield from reached.check(target, timeout)
        rows, works = _protocol(reached, tls)
        yield from rows
        if not works:
            yield _NOT_TRIED
            return
    if monitoring:
        yield clock.check(monitoring, timeout)
    try:
        sent = headers(check_key(given["key"], target, tls, given["allow_plaintext_key"]), "", None)
    except ValueError as error:
        fix = f"use TLS, or set {CLIENT_PREFIX}ALLOW_PLAINTEXT_KEY=true where something else encrypts it"
        yield "key", f"not sent: {error}".partition(", where")[0], fix
        sent = None
    with open_channel(target, tls) as channel:
        made = calls.Calls(channel, target, timeout, sent or ())
        yield from _answers(made, reached.seconds, key_blocked=sent is None)


def _settings(tls: Tls | None, key: str) -> str:
    by = f"TLS, trusting {trusted(tls)}" if tls else "plain text"
    own = ", with a certificate" if tls and tls.certificate else ""
    return f"itemlens {itemlens.__version__} by {by}{own}, {'with a' if key else 'without'} key"


def _protocol(reached: Reached, tls: Tls | None) -> tuple[list[Row], bool]:
    """Whether the port speaks what the client does, and whether calls can work."""
    if reached.open is None:
        return [], False
    name = (tls.server_name if tls else "") or reached.host
    try:
        answer = ask(reached.open, name, tls)
    except OSError as error:
        return [("protocol", f"the connection ends: {error}", "see the server's log")], False
    shown = Shown(reached.open, name, answer.certificate) if answer.certificate else None
    if tls is None or not answer.tls:
        rows, works = [_spoken(answer, tls)], bool(answer.http2 and not answer.tls and tls is None)
        return rows + ([shown.told()] if shown else []), works
    rows, taken = shown.check(tls, datetime.now(UTC)) if shown else ([], True)
    return [_spoken(answer, tls), *rows, *_own_certificate(answer, tls)], taken and answer.http2


def _spoken(answer: Answer, tls: Tls | None) -> Row:
    what = "protocol"
    if answer.tls and tls is None:
        return (
            what, f"the port speaks TLS ({answer.tls}), and the client is set to plain text",
            f"set {CLIENT_PREFIX}CA to the file of its authority, or {CLIENT_PREFIX}TLS=true for a public one; in "
            "Python: tls=itemlens.Tls(...)",
        )  # fmt: skip
    if answer.tls and (answer.http2 or answer.closed):
        return what, answer.tls, ""
    if answer.tls or not answer.http2:
        return (
            what, f"no gRPC: {answer.said}",
            "check the port: it is another service's, or a proxy is in between that does not pass gRPC (HTTP/2) on",
        )  # fmt: skip
    if tls is not None:
        return (
            what, "the port speaks plain text, and the client is set to TLS",
            f"unset {CLIENT_PREFIX}TLS, {CLIENT_PREFIX}CA and the other variables for TLS, or give the server "
            "`tls_certificate` and `tls_private_key`",
        )  # fmt: skip
    return what, "plain text", ""


def _own_certificate(answer: Answer, tls: Tls) -> list[Row]:
    """What the server makes of the client's certificate: it ends the connection if it wants one, or another one."""
    if tls.certificate:
        state = f"the server ends the connection after it ({answer.said})"
        fix = "use one of an authority that the server has as `tls_client_ca`, and that has not expired"
    else:
        state = (
            f"none is set, and the server ends the connection ({answer.said}), as if it asked for one (mTLS)"
        )
        fix = f"set {CLIENT_PREFIX}CERTIFICATE and {CLIENT_PREFIX}PRIVATE_KEY"
    if answer.closed:
        return [("client's certificate", state, fix)]
    return [("client's certificate", "the server does not refuse it", "")] if tls.certificate else []


def _answers(made: calls.Calls, round_trip: float, key_blocked: bool) -> Iterator[Row]:
    row = calls.health(made)
    yield row
    if row[2] and row[1] != "NOT_SERVING":
        return
    let_in = False
    if not key_blocked:
        row, let_in = calls.key(made)
        yield row
    if let_in:
        yield contract.check(made.channel, made.key, made.timeout)
        yield from calls.space(made)
        yield calls.collections(made)
    yield from calls.latency(made, round_trip, let_in)
    yield calls.request_id(made)
