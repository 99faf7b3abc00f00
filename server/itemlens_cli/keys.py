"""`itemlens keys create|list|revoke`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens_server.access import key_file
from itemlens_server.access.keys import NAME_CHARACTERS, Key, check_collection, new_key, read_quotas
from itemlens_server.access.roles import Role
from itemlens_server.errors import InvalidArgument, NotFound, quoted

keys = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke API keys. A running server sees a change within a second.",
)

File = Annotated[
    Path,
    typer.Option(
        "--file", help="the file of keys, which the server has as setting `key_file` [ITEMLENS_KEY_FILE]",
        envvar="ITEMLENS_KEY_FILE", dir_okay=False,
    ),
]  # fmt: skip
DEFAULT_FILE = Path("keys.json")
_DAYS = re.compile(r"([1-9]\d{0,4})d")


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="who gets the key, such as a service; for lists and logs")],
    role: Annotated[
        str,
        typer.Option(
            help="read (ask), write (also items and events) or admin (also collections and their settings)"
        ),
    ] = Role.READ.label,
    collection: Annotated[
        list[str] | None,
        typer.Option(help='a collection that the key is for, or a pattern such as "shop-*"; default: all'),
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(help="calls, tokens, items or bytes in a time, such as calls=100/s or tokens=5e6/day"),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="when it ends: a time such as 2027-01-31T12:00Z, or days, such as 90d")
    ] = None,
    file: File = DEFAULT_FILE,
) -> None:
    """Make a key, and print it. It is shown this once: the file has its hash only."""
    try:
        text, key = new_key(
            _name(name), Role.of(role), [check_collection(name) for name in collection or ()],
            read_quotas(_pairs(quota or ())), None if expires is None else _moment(expires),
        )  # fmt: skip
    except ValueError as error:
        raise InvalidArgument(str(error)) from error
    key_file.change(file, lambda known: {**known, key.id: key})
    Console(stderr=True).print(
        f"key {key.id} for {escape(name)}, role {key.role.label}, is in {escape(str(file))}; "
        "it is shown only now:",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    typer.echo(text)


@keys.command("list")
def list_keys(
    file: File = DEFAULT_FILE, as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """List all keys, without their secrets."""
    known = list(key_file.read(file).values())
    now = datetime.now(UTC)
    if as_json:
        shown = [{k: v for k, v in key.as_json().items() if k != "sha256"} for key in known]
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    table = Table("id", "name", "role", "collections", "quotas", "created", "expires", "")
    for key in known:
        table.add_row(
            key.id, escape(key.name), key.role.label, escape(", ".join(key.collections) or "all"),
            ", ".join(f"{quota} {used}" for used, quota in key.quotas.items()), f"{key.created:%Y-%m-%d}",
            f"{key.expires:%Y-%m-%d}" if key.expires else "", key.why_not(now),
        )  # fmt: skip
    Console().print(table if known else "there are no keys; `itemlens keys create` makes one")


@keys.command("revoke")
def revoke(
    which: Annotated[str, typer.Argument(help="the key's id, or the name of all that are to go")],
    file: File = DEFAULT_FILE,
) -> None:
    """Revoke keys. They stay in the list, and let nobody in any more."""
    now = datetime.now(UTC).replace(microsecond=0)
    gone: list[Key] = []

    def revoked(known: dict[str, Key]) -> dict[str, Key]:
        gone.extend(k for k in known.values() if which in (k.id, k.name) and k.revoked is None)
        if not gone:
            raise NotFound(f"there is no valid key {quoted(which)} in {file}", "key", which)
        return {**known, **{key.id: replace(key, revoked=now) for key in gone}}

    key_file.read(file)  # a file that is not there is a mistake here
    key_file.change(file, revoked)
    typer.echo(f"revoked {', '.join(f'{key.id} ({key.name})' for key in gone)}")


def _name(name: str) -> str:
    if not name.strip() or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise ValueError(f"the name must have 1 to {NAME_CHARACTERS} printable characters")
    return name


def _pairs(quotas: Sequence[str]) -> dict[str, str]:
    pairs = [quota.partition("=") for quota in quotas]
    if wrong := [quota for quota, (_, found, _) in zip(quotas, pairs, strict=True) if not found]:
        raise ValueError(f"{wrong[0]!r} is not a quota; write one such as calls=100/s")
    return {used: amount for used, _, amount in pairs}


def _moment(text: str) -> datetime:
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        if days := _DAYS.fullmatch(text):
            return now + timedelta(days=int(days[1]))
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; write 2027-01-31T12:00Z, or days, such as 90d") from None
    if moment <= now:
        raise ValueError(f"{text} is over")
    return moment
