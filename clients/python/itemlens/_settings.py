"""The settings of a collection as a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import _boosts, _rules
from ._boosts import Boost
from ._build import all_of, check_kind
from ._enums import AttributeType
from ._rules import RULES, Rule
from ._types import Exploration, Lexical, OwnEventType
from ._values import number, one_of, optional_number, string, strings, whole
from .v1 import catalog_pb2


def settings(
    types: Iterable[OwnEventType] | None,
    exploration: Exploration | None,
    attributes: Mapping[str, AttributeType | str] | None,
    rules: Iterable[Rule] | None,
    lexical: Lexical | bool | None,
    boosts: Iterable[Boost | str] | None,
) -> catalog_pb2.CollectionSettings:
    """The settings of a collection, as far as they are given."""
    return catalog_pb2.CollectionSettings(
        event_types=[
            catalog_pb2.OwnEventType(
                name=string(own.name, "name"),
                weight=number(own.weight, "weight"),
                liked_from=optional_number(own.liked_from, "liked_from"),
                disliked_to=optional_number(own.disliked_to, "disliked_to"),
            )
            for own in all_of(OwnEventType, types or (), "event_types")
        ],
        exploration=_exploration(exploration),
        lexical=_lexical(lexical),
        attributes=[
            catalog_pb2.Attribute(name=string(name, "attributes"), type=_attribute_type(kind))
            for name, kind in (attributes or {}).items()
        ],
        rules=[_rules.message(own) for own in all_of(RULES, rules or (), "rules")],
        boosts=_boosts.messages(boosts or ()),
    )


def _attribute_type(given: AttributeType | str) -> catalog_pb2.AttributeType.ValueType:
    name = one_of(given, [kind for kind in AttributeType if kind != AttributeType.UNSPECIFIED], "attributes")
    return catalog_pb2.AttributeType.Value(f"ATTRIBUTE_TYPE_{name.upper()}")


def _exploration(given: Exploration | None) -> catalog_pb2.Exploration | None:
    if given is None:
        return None
    check_kind(Exploration, given, "exploration")
    return catalog_pb2.Exploration(
        share=number(given.share, "share"), max_lists=whole(given.max_lists, "max_lists")
    )


def _lexical(given: Lexical | bool | None) -> catalog_pb2.Lexical | None:
    if given is None or given is False:
        return None
    if given is True:
        given = Lexical()
    check_kind(Lexical, given, "lexical")
    return catalog_pb2.Lexical(
        channels=strings(given.channels, "lexical.channels"),
        attributes=strings(given.attributes, "lexical.attributes"),
    )
