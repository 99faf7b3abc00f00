"""Checks of a collection's settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from itemlens_server.attributes.schema import MOST_ATTRIBUTES, AttributeType, inferred, typed
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.engine.encoder import Modality
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.services.boosts import check_boosts
from itemlens_server.services.limits import check_name
from itemlens_server.services.rule_checks import check_rules
from itemlens_server.storage.collection_settings import Attribute, CollectionSettings, Lexical, OwnType

LARGEST_WEIGHT = 1000.0
MOST_TYPES = 100
AT_A_TIME = 256
LONGEST_NAME = 100


def check_settings(settings: CollectionSettings) -> None:
    """Check settings.

    Raises:
        InvalidArgument: a field is wrong; the error names it.
    """
    if len(settings.event_types) > MOST_TYPES:
        raise InvalidArgument(
            f"{len(settings.event_types)} event types, the limit is {MOST_TYPES}", "settings.event_types"
        )
    names: set[str] = set()
    for n, own in enumerate(settings.event_types):
        try:
            _check_type(own)
            if own.name in names:
                raise InvalidArgument(f"{own.name!r} occurs twice", "name")
        except InvalidArgument as error:
            raise error.within(f"settings.event_types[{n}]") from None
        names.add(own.name)
    _check_attributes(settings.attributes)
    check_rules(settings.rules)
    _check_lexical(settings.lexical)
    try:
        check_boosts(settings.boosts)
    except InvalidArgument as error:
        raise error.within("settings") from None
    exploration = settings.exploration
    if not 0 <= exploration.share <= 1:
        raise InvalidArgument(
            f"{exploration.share} is not a share; it must be 0 to 1", "settings.exploration.share"
        )


def check_boost_types(settings: CollectionSettings, held: Mapping[str, AttributeType]) -> None:
    """Check that boosts fit their attributes, as far as these are known. held: types of attributes that are not given.

    Raises:
        InvalidArgument: one does not.
    """
    types = {**held, **{own.name: AttributeType(own.type) for own in settings.attributes}}
    for n, boost in enumerate(settings.boosts):
        if boost.attribute in types:
            try:
                boost.check_type(types[boost.attribute])
            except InvalidArgument as error:
                raise error.within(f"settings.boosts[{n}]") from None


class Retyped:
    """Stored attributes under the types of new settings, as they will be used.

    table:   their values
    records: the record of each item in it
    """

    def __init__(self, old: CollectionSettings, new: CollectionSettings) -> None:
        self._types = [(f"settings.attributes[{n}].type", own.name, AttributeType(own.type)) for n, own in
                       enumerate(new.attributes)]  # fmt: skip
        # Attributes whose types are those of their first values now.
        self._gone = {own.name for own in old.attributes} - {own.name for own in new.attributes}
        self.table = AttributeTable({name: kind for _, name, kind in self._types})
        self.records: dict[str, int] = {}

    @property
    def types(self) -> dict[str, AttributeType]:
        """The types of the attributes that are given, or that an item has."""
        return self.table.view().types

    def add(self, stored: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Add items with their attributes, or replace theirs.

        Raises:
            InvalidArgument: a value does not fit its type.
        """
        checked = (self._checked(item_id, attributes) for item_id, attributes in stored)
        while some := list(islice(checked, AT_A_TIME)):
            records = self.table.add_all([attributes for _, attributes in some])
            self.records.update(zip((item_id for item_id, _ in some), records.tolist(), strict=True))

    def _checked(self, item_id: str, attributes: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        for name in sorted(self._gone & attributes.keys()):
            if (first := inferred(attributes[name])) is not None:
                self._types.append(("settings.attributes", name, first))
                self._gone.discard(name)
        for field, name, kind in self._types:
            try:
                typed(attributes.get(name), kind)
            except InvalidArgument as error:
                raise InvalidArgument(
                    f"attribute {quoted(name)} of item {item_id!r}: {error.message}; mend such items first",
                    field,
                ) from None
        return item_id, attributes


def _check_attributes(attributes: Sequence[Attribute]) -> None:
    if len(attributes) > MOST_ATTRIBUTES:
        raise InvalidArgument(
            f"{len(attributes)} attributes, the limit is {MOST_ATTRIBUTES}", "settings.attributes"
        )
    names: set[str] = set()
    for n, attribute in enumerate(attributes):
        field = f"settings.attributes[{n}]"
        if not 0 < len(attribute.name) <= LONGEST_NAME or "`" in attribute.name:
            raise InvalidArgument(f"a name has 1 to {LONGEST_NAME} characters, without `", f"{field}.name")
        if attribute.type not in list(AttributeType):
            raise InvalidArgument(f"a type is required: one of {', '.join(AttributeType)}", f"{field}.type")
        if attribute.name in names:
            raise InvalidArgument(f"{quoted(attribute.name)} occurs twice", f"{field}.name")
        names.add(attribute.name)


def _check_lexical(lexical: Lexical | None) -> None:
    for field, names in (
        () if lexical is None else (("channels", lexical.channels), ("attributes", lexical.attributes))
    ):
        if len(names) > MOST_ATTRIBUTES:
            raise InvalidArgument(
                f"{len(names)} {field}, the limit is {MOST_ATTRIBUTES}", f"settings.lexical.{field}"
            )
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
