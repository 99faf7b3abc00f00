"""`itemlens rules list|set|check`: rules for the lists of a collection, in a YAML file.

rules:
  - {name: spring, pin: {1: boots, 3: tent}, surfaces: [home], start: 2026-03-01, end: 2026-04-01}
  - {name: recall, block: [kettle]}
  - {name: sold-out, block: matching, filter: not in_stock}
  - {name: brands, cap: {brand: 3}}             # a number of places, or a share such as 0.3
  - {name: own, floor: 2, filter: brand = "Alto"}
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import typer
import yaml
from pydantic import Field, StrictFloat, StrictInt, ValidationError, model_validator
from rich.console import Console

import itemlens
from itemlens import BlockRule, CapRule, FloorRule, PinRule, Rule
from itemlens._rules import message as message_of
from itemlens_cli.connection import connected
from itemlens_datasets.rows import MappingError
from itemlens_datasets.schema import Document, Model

KINDS = ("pin", "block", "cap", "floor")
MATCHING = "matching"

rules = typer.Typer(no_args_is_help=True, help="Rules for lists: pins, blocks, caps and floors.")
Name = Annotated[str, typer.Option("--collection", help="the collection")]
Target = Annotated[str, typer.Option(help="the running server")]
File = Annotated[Path, typer.Argument(help="a YAML file of rules", exists=True, dir_okay=False)]


class _Limit(TypedDict):
    places: int | None
    share: float | None


class _Rule(Model):
    """A rule in a file."""

    name: str
    start: datetime | date | None = None
    end: datetime | date | None = None
    surfaces: list[str] = Field([])
    filter: str = ""
    pin: dict[int, str] | None = None
    block: list[str] | Literal["matching"] | None = None
    cap: dict[str, StrictInt | StrictFloat] | None = Field(None, max_length=1)
    floor: StrictInt | StrictFloat | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> _Rule:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(f"a rule has one of the keys {', '.join(KINDS)}")
        if self.block == []:
            raise ValueError("block needs items, or the word matching for all that match the filter")
        if self.cap == {}:
            raise ValueError("cap needs an attribute with its most places, such as {brand: 3}")
        return self

    def rule(self) -> Rule:
        """The rule for the client."""
        common: Any = {
            "name": self.name, "start": _moment(self.start), "end": _moment(self.end), "surfaces": self.surfaces,
            "filter": self.filter,
        }  # fmt: skip
        if self.pin is not None:
            return PinRule(**common, pins=self.pin)
        if self.block is not None:
            return BlockRule(**common, item_ids=None if self.block == MATCHING else self.block)
        if self.cap is not None:
            [(attribute, limit)] = self.cap.items()
            return CapRule(**common, attribute=attribute, **_limit(limit))
        assert self.floor is not None
        return FloorRule(**common, **_limit(self.floor))


class _File(Model):
    """A file of rules."""

    rules: list[_Rule]


@rules.command("list")
def list_rules(collection: Name = "default", target: Target = "localhost:50051") -> None:
    """Print the rules of a collection, as the file that `itemlens rules set` reads."""
    with connected(target) as client:
        found = client.get_collection(collection).rules
    typer.echo(
        yaml.safe_dump({"rules": [_plain(own) for own in found]}, sort_keys=False, allow_unicode=True),
        nl=False,
    )


@rules.command("set")
def set_rules(file: File, collection: Name = "default", target: Target = "localhost:50051") -> None:
    """Replace the rules of a collection by those of a file."""
    document, read = _read(file)
    with connected(target) as client:
        try:
            client.update_collection(collection, rules=read)
        except itemlens.InvalidArgument as error:
            wrong = error.violations[0]
            raise _located(document, wrong.field, wrong.message) from error
    Console().print(f"{len(read)} rules in collection {collection!r}", markup=False, highlight=False)


@rules.command()
def check(file: File) -> None:
    """Check the rules of a file: what each says, and that none contradicts another.

    It calls no server, but needs ONNX Runtime installed, as the server does.
    """
    from itemlens_server.errors import InvalidArgument
    from itemlens_server.rpc.rules import rule as stored_form
    from itemlens_server.services import check_rules

    document, read = _read(file)
    try:
        check_rules([stored_form(message_of(own)) for own in read])
    except InvalidArgument as error:
        raise _located(document, error.field, error.message) from error
    Console().print(f"{len(read)} rules, and no contradiction", markup=False, highlight=False)


def _read(file: Path) -> tuple[Document, list[Rule]]:
    """The rules of a file.

    Raises:
        MappingError: the file or a rule is wrong; the message names the line.
    """
    document = Document(file)
    try:
        found = [own.rule() for own in _File.model_validate(document.value).rules]
    except ValidationError as error:
        raise MappingError(document.explain(error)) from error
    for n, own in enumerate(found):
        try:
            message_of(own)
        except (ValueError, TypeError) as error:
            raise _located(document, f"settings.rules[{n}]", str(error)) from error
    return document, found


def _located(document: Document, field: str, message: str) -> MappingError:
    """The error of a rule that is in a file."""
    rule = re.match(r"settings\.rules\[(\d+)\]\.?", field)
    if rule is None:
        return MappingError(f"{document.file}: {field}: {message}")
    return MappingError(
        f"{document.place(('rules', int(rule[1])))}: {field[rule.end() :] or 'rule'}: {message}"
    )


def _moment(given: datetime | date | None) -> datetime | None:
    """A time with its zone: UTC if it has none. A date is the start of its day in UTC."""
    if given is None:
        return None
    at = given if isinstance(given, datetime) else datetime.combine(given, time())
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _limit(given: float) -> _Limit:
    """A whole number is a number of places, another one a share."""
    whole = given if isinstance(given, int) else None
    return _Limit(places=whole, share=None if whole is not None else given)


def _plain(own: Rule) -> dict[str, Any]:
    """A rule as the file has it."""
    told: dict[str, Any] = {"name": own.name}
    match own:
        case PinRule():
            told["pin"] = dict(own.pins)
        case BlockRule():
            told["block"] = MATCHING if own.item_ids is None else list(own.item_ids)
        case CapRule():
            told["cap"] = {own.attribute: own.share if own.places is None else own.places}
        case FloorRule():
            told["floor"] = own.share if own.places is None else own.places
    if own.filter:
        told["filter"] = own.filter
    if own.surfaces:
        told["surfaces"] = list(own.surfaces)
    return told | {field: at for field, at in (("start", own.start), ("end", own.end)) if at is not None}
