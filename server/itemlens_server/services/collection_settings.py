"""Checks of a collection's settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from itemlens_server.attributes.boosts import Boost
from itemlens_server.attributes.schema import MOST_ATTRIBUTES, AttributeType
from itemlens_server.engine.encoder import Modality
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.services.boosts import check_boosts
from itemlens_server.services.limits import check_count, check_name, check_named
from itemlens_server.services.rule_checks import check_rules
from itemlens_server.storage.collection_settings import Attribute, CollectionSettings, Lexical, OwnType

LARGEST_WEIGHT = 1000.0
MOST_TYPES = 100
LONGEST_NAME = 100
Types = Mapping[str, AttributeType]
NONE: Types = MappingProxyType({})


def check_settings(settings: CollectionSettings) -> None:
    """Check settings.

    Raises:
        InvalidArgument: a field is wrong; the error names it.
    """
    check_count(settings.event_types, MOST_TYPES, "settings.event_types")
    check_named(settings.event_types, "settings.event_types", _check_type)
    check_count(settings.attributes, MOST_ATTRIBUTES, "settings.attributes")
    check_named(settings.attributes, "settings.attributes", _check_attribute)
    check_rules(settings.rules)
    _check_lexical(settings.lexical)
    check_boosts(settings.boosts)
    exploration = settings.exploration
    if not 0 <= exploration.share <= 1:
        raise InvalidArgument(
            f"{exploration.share} is not a share; it must be 0 to 1", "settings.exploration.share"
        )


def check_boost_types(
    boosts: Sequence[Boost], types: Types, old_boosts: Sequence[Boost] = (), old_types: Types = NONE
) -> None:
    """Check that boosts fit their attributes, as far as the types of these are known. A boost that is not new is
    refused only if it fitted the old types.

    Raises:
        InvalidArgument: one does not.
    """
    for n, boost in enumerate(boosts):
        error = _misfit(boost, types)
        if error is None:
            continue
        if boost not in old_boosts:
            raise error.within(f"settings.boosts[{n}]")
        if _misfit(boost, old_types) is None:
            raise InvalidArgument(
                f"boost {quoted(boost.name)} would no longer fit: {error.message}; change the boost in the same call",
                "settings.attributes",
            )


def _misfit(boost: Boost, types: Types) -> InvalidArgument | None:
    """What does not fit the types; None, too, if the attribute's is unknown."""
    try:
        if boost.attribute in types:
            boost.check_type(types[boost.attribute])
    except InvalidArgument as error:
        return error
    return None


def _check_attribute(attribute: Attribute) -> None:
    if not 0 < len(attribute.name) <= LONGEST_NAME or "`" in attribute.name:
        raise InvalidArgument(f"a name has 1 to {LONGEST_NAME} characters, without `", "name")
    if attribute.type not in list(AttributeType):
        raise InvalidArgument(f"a type is required: one of {', '.join(AttributeType)}", "type")


def _check_lexical(lexical: Lexical | None) -> None:
    for field, names in (
        () if lexical is None else (("channels", lexical.channels), ("attributes", lexical.attributes))
    ):
        check_count(names, MOST_ATTRIBUTES, f"settings.lexical.{field}")
        for n, name in enumerate(names):
            if not 0 < len(name) <= LONGEST_NAME:
                raise InvalidArgument(
                    f"a name has 1 to {LONGEST_NAME} characters", f"settings.lexical.{field}[{n}]"
                )


def check_channels(lexical: Lexical | None, modalities: Mapping[str, Modality]) -> None:
    """Check that words are taken from channels of texts. modalities: of the space, by channel.

    Raises:
        InvalidArgument: there is no such channel, or it has no texts.
    """
    texts = [name for name, modality in modalities.items() if modality.in_document]
    for n, name in enumerate(() if lexical is None else lexical.channels):
        if name not in texts:
            raise InvalidArgument(
                f"{quoted(name)} is no channel of texts; there are {', '.join(texts) or 'none'}",
                f"settings.lexical.channels[{n}]",
            )


def _check_type(own: OwnType) -> None:
    check_name(own.name)
    if not 0 <= own.weight <= LARGEST_WEIGHT:
        raise InvalidArgument(
            f"{own.weight} is not a valid weight; it must be 0 to {LARGEST_WEIGHT:g}", "weight"
        )
    for field in ("liked_from", "disliked_to"):
        value = getattr(own, field)
        if value is not None and not math.isfinite(value):
            raise InvalidArgument(f"{field} must be a finite number", field)
    if own.liked_from is not None and own.disliked_to is not None and own.disliked_to >= own.liked_from:
        raise InvalidArgument(
            f"disliked_to is {own.disliked_to:g}; it must be below liked_from, {own.liked_from:g}",
            "disliked_to",
        )
