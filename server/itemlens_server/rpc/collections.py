"""Catalog's calls on collections."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask

from itemlens.v1 import catalog_pb2
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.rpc import boosts, messages
from itemlens_server.rpc.rules import rule, rule_message
from itemlens_server.services import (
    SETTINGS,
    Attribute,
    CallContext,
    Catalogue,
    Collection,
    CollectionSettings,
    Exploration,
    Lexical,
    OwnType,
)

_TYPES = catalog_pb2.AttributeType
_PREFIX = "ATTRIBUTE_TYPE_"
_NAMES = {number: name.removeprefix(_PREFIX) for name, number in _TYPES.items()}


@dataclass(frozen=True)
class Collections:
    """Create, get, list, move and delete collections."""

    catalogue: Catalogue

    def create(
        self, request: catalog_pb2.CreateCollectionRequest, call: CallContext
    ) -> catalog_pb2.CreateCollectionResponse:
        """Create a collection."""
        settings = _settings(request.settings)
        collection = self.catalogue.create(request.name, request.space, request.allow_existing, settings)
        return catalog_pb2.CreateCollectionResponse(collection=self._message(collection))

    def get(
        self, request: catalog_pb2.GetCollectionRequest, call: CallContext
    ) -> catalog_pb2.GetCollectionResponse:
        """Return one collection."""
        collection = self.catalogue.collection(request.name)
        return catalog_pb2.GetCollectionResponse(collection=self._message(collection))

    def list(
        self, request: catalog_pb2.ListCollectionsRequest, call: CallContext
    ) -> catalog_pb2.ListCollectionsResponse:
        """Return all collections that are the caller's."""
        collections = [c for c in self.catalogue.collections() if call.caller.sees(c.name)]
        return catalog_pb2.ListCollectionsResponse(collections=[self._message(c) for c in collections])

    def update(
        self, request: catalog_pb2.UpdateCollectionRequest, call: CallContext
    ) -> catalog_pb2.UpdateCollectionResponse:
        """Change a collection's settings, and move it to another space, whichever is given."""
        given = request.HasField("settings")
        if given:
            if request.space:  # nothing is half done
                self.catalogue.check_move(request.name, request.space)
            collection = self.catalogue.configure(
                request.name, _settings(request.settings), _only(request.settings_mask)
            )
        elif request.settings_mask.paths:
            raise InvalidArgument("`settings_mask` needs `settings`: give the new values", "settings_mask")
        if request.space or not given:
            collection = self.catalogue.move(request.name, request.space)
        return catalog_pb2.UpdateCollectionResponse(collection=self._message(collection))

    def delete(
        self, request: catalog_pb2.DeleteCollectionRequest, call: CallContext
    ) -> catalog_pb2.DeleteCollectionResponse:
        """Delete a collection."""
        self.catalogue.delete(request.name)
        return catalog_pb2.DeleteCollectionResponse()

    def _message(self, collection: Collection) -> catalog_pb2.Collection:
        counts = self.catalogue.reads.counts(collection)
        message = catalog_pb2.Collection(
            name=collection.name, space_id=collection.space.space_id, item_count=counts.items,
            event_count=counts.events, sequence_number=counts.sequence,
            behaviour_sequence_number=counts.event_sequence,
            create_time=messages.timestamp(collection.record.created),
        )  # fmt: skip
        for own in collection.record.settings.event_types:
            message.settings.event_types.add(
                name=own.name, weight=own.weight, liked_from=own.liked_from, disliked_to=own.disliked_to
            )
        if (exploration := collection.record.settings.exploration).share:
            message.settings.exploration.share = exploration.share
            message.settings.exploration.max_lists = exploration.max_lists
        message.settings.attributes.extend(
            _attribute(own.name, own.type) for own in collection.record.settings.attributes
        )
        message.settings.rules.extend(map(rule_message, collection.record.settings.rules))
        if (lexical := collection.record.settings.lexical) is not None:
            message.settings.lexical.channels.extend(lexical.channels)
            message.settings.lexical.attributes.extend(lexical.attributes)
            message.settings.lexical.SetInParent()
        message.settings.boosts.extend(map(boosts.message, collection.record.settings.boosts))
        message.attributes.extend(
            _attribute(name, kind) for name, kind in sorted(collection.attribute_types.items())
        )
        return message


def _attribute(name: str, kind: str) -> catalog_pb2.Attribute:
    return catalog_pb2.Attribute(name=name, type=_TYPES.Value(_PREFIX + kind))


def _settings(message: catalog_pb2.CollectionSettings) -> CollectionSettings:
    exploration = message.exploration
    return CollectionSettings(
        tuple(
            OwnType(
                own.name, own.weight,
                own.liked_from if own.HasField("liked_from") else None,
                own.disliked_to if own.HasField("disliked_to") else None,
            )
            for own in message.event_types
        ),
        exploration=Exploration(exploration.share, exploration.max_lists or Exploration.max_lists),
        attributes=tuple(
            # A number without a name is a type that this server does not know.
            Attribute(own.name, _NAMES.get(own.type, "")) for own in message.attributes
        ),
        rules=tuple(map(rule, message.rules)),
        lexical=Lexical(tuple(message.lexical.channels), tuple(message.lexical.attributes))
        if message.HasField("lexical")
        else None,
        boosts=tuple(boosts.boosts(message.boosts)),
    )  # fmt: skip


def _only(mask: FieldMask) -> frozenset[str]:
    """The settings to replace; all if the mask is empty.

    Raises:
        InvalidArgument: there is no such setting.
    """
    for n, path in enumerate(mask.paths):
        if path not in SETTINGS:
            raise InvalidArgument(
                f"{quoted(path)} is no setting; there are {', '.join(SETTINGS)}", f"settings_mask.paths[{n}]"
            )
    return frozenset(mask.paths or SETTINGS)
