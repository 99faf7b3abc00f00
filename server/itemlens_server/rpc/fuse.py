"""Fuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.manifest import Purpose
from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument, ItemlensError
from itemlens_server.fusion.head import Array, search_kind
from itemlens_server.rpc import messages as convert
from itemlens_server.rpc.errors import item_status
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.encoding import ContentEncoder, EncodedContent, Outcome
from itemlens_server.services.fuser import fuse_items, query_vector
from itemlens_server.services.query import ChannelChange, changed_weights

Raw = dict[str, list[Array]]


@dataclass(frozen=True)
class Fuse:
    """What is known of items to h, or what is asked for to u."""

    catalogue: Catalogue
    encoder: ContentEncoder
    settings: Settings

    def __call__(self, request: itemlens_pb2.FuseRequest, call: CallContext) -> itemlens_pb2.FuseResponse:
        convert.at_most(request.inputs, self.settings.max_inputs, "inputs")
        query = request.role == common_pb2.VECTOR_ROLE_QUERY
        if not query and request.role != common_pb2.VECTOR_ROLE_ITEM:
            raise InvalidArgument("ask for role ITEM or QUERY", "role")
        if request.channel_weights and not query:
            raise InvalidArgument("an ITEM vector holds no weights; give them with QUERY", "channel_weights")
        space = self.catalogue.space(request.space)
        changed = convert.changes(request.channel_weights)
        results, raws = self._raw_vectors(space, request, "query" if query else "item", call)
        made: list[tuple[int, Array]] = []
        if query:
            for n, raw in raws.items():
                try:
                    made.append((n, _query(space, raw, changed)))
                except ItemlensError as error:
                    results[n].status.CopyFrom(item_status(error, f"inputs[{n}]"))
        elif raws:
            made = list(zip(raws, fuse_items(space, list(raws.values())), strict=True))
        for row, (n, v) in enumerate(made):
            results[n].row = row
            results[n].channels.extend(_presence(space, raws[n], v, query))
        rows = np.stack([v for _, v in made]) if made else np.zeros((0, space.head.dimension), np.float32)
        return itemlens_pb2.FuseResponse(
            space_id=space.space_id,
            results=results,
            vectors=convert.matrix(rows, request.role, space.space_id),
        )

    def _raw_vectors(
        self, space: Space, request: itemlens_pb2.FuseRequest, purpose: Purpose, call: CallContext
    ) -> tuple[list[itemlens_pb2.FuseResult], dict[int, Raw]]:
        """Raw vectors of each input that is whole, by its number; the others' results hold the error."""
        results = [itemlens_pb2.FuseResult() for _ in request.inputs]
        raws: dict[int, Raw] = {}
        owners = [(n, m) for n, one in enumerate(request.inputs) for m in range(len(one.contents))]
        convert.at_most(owners, 4 * self.settings.max_inputs, "inputs[].contents", 0)
        contents = [convert.content(request.inputs[n].contents[m]) for n, m in owners]
        encoded = self.encoder.encode(space, contents, purpose, call)
        by_input: dict[int, list[tuple[int, str, Outcome]]] = {}
        for (n, m), one, outcome in zip(owners, contents, encoded, strict=True):
            by_input.setdefault(n, []).append((m, one.channel, outcome))
        for n, one_input in enumerate(request.inputs):
            try:
                raw: Raw = {}
                for m, channel, outcome in by_input.get(n, []):
                    if not isinstance(outcome, EncodedContent):
                        raise outcome.within(f"contents[{m}]")
                    raw.setdefault(channel, []).append(outcome.v)
                    results[n].warnings.extend(
                        convert.warnings(outcome.warnings, f"inputs[{n}].contents[{m}]")
                    )
                for m, message in enumerate(one_input.vectors):
                    try:
                        channel, v = convert.raw_vector(message, space)
                    except ItemlensError as error:
                        raise error.within(f"vectors[{m}]") from None
                    raw.setdefault(channel, []).append(v)
                if not raw:
                    raise InvalidArgument("nothing to fuse; give contents or vectors", "contents")
                raws[n] = raw
            except ItemlensError as error:
                results[n].status.CopyFrom(item_status(error, f"inputs[{n}]"))
        return results, raws


def _query(space: Space, raw: Raw, changed: Mapping[str, ChannelChange]) -> Array:
    head = space.head
    kind = head.weights(search_kind(raw))
    return query_vector(space, raw, changed_weights(head, kind, changed) if changed else kind)


def _presence(space: Space, raw: Raw, v: Array, query: bool) -> list[itemlens_pb2.ChannelPresence]:
    found = []
    for name in space.head.names:
        if name in raw:
            presence = itemlens_pb2.PRESENCE_PRESENT
        elif not query and space.head.imputed(v, name):
            presence = itemlens_pb2.PRESENCE_PREDICTED
        else:
            presence = itemlens_pb2.PRESENCE_ABSENT
        found.append(itemlens_pb2.ChannelPresence(channel=name, presence=presence))
    return found
