"""Turn a request's user side into a query: check it, read the user's events and encode the content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument, ItemlensError, Warning, quoted
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.history import Interaction
from itemlens_server.fusion.interests import MAX_INTERESTS
from itemlens_server.fusion.query import ChannelChange, Query, changed_weights
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.weights import QuestionWeights
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, Encoding
from itemlens_server.services.fuser import content_units
from itemlens_server.services.limits import (
    LARGEST_WEIGHT,
    check_length,
    check_reference,
    check_references,
    check_weight,
    checked_changes,
)
from itemlens_server.services.vectors import VectorInput, query_vector
from itemlens_server.words import WordForms, question_words


@dataclass(frozen=True)
class QueryRequest:
    """The user side from the caller, with the fields of the proto's UserSide. `history` is oldest first."""

    history: Sequence[Interaction] = ()
    user_id: str = ""
    content: Sequence[Content] = ()
    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()
    vector: VectorInput | None = None
    source_weights: Mapping[str, float] = field(default_factory=dict)
    channel_changes: Sequence[tuple[str, ChannelChange]] = ()
    behaviour_weight: float | None = None
    max_interests: int = MAX_INTERESTS


@dataclass(frozen=True)
class EncodingQuery:
    """The content of a query during encoding, and the space of its encoders."""

    space: Space
    encoding: Encoding


class QueryReader:
    """Makes queries of requests."""

    def __init__(self, catalogue: Catalogue, encoder: ContentEncoder, settings: Settings) -> None:
        self._catalogue, self._encoder, self._settings = catalogue, encoder, settings

    def begin(self, collection: Collection, request: QueryRequest, call: CallContext) -> EncodingQuery:
        """Start to encode the content, so that `read` does not have to wait for it."""
        check_length(request.content, self._settings.max_inputs, "user.query")
        encoding = self._encoder.begin(collection.space, request.content, "query", call)
        return EncodingQuery(collection.space, encoding)

    def read(
        self,
        collection: Collection,
        request: QueryRequest,
        call: CallContext,
        begun: EncodingQuery | None = None,
    ) -> tuple[Query, list[Warning]]:
        """The query, with the user's events read and the content encoded, and the warnings.

        Raises:
            InvalidArgument, SpaceMismatch: a field of the request is wrong; the error names it.
        """
        space = collection.space
        check_length(request.history, self._settings.max_history, "user.history", 0)
        check_length(request.liked, self._settings.max_items, "user.liked_item_ids", 0)
        check_length(request.disliked, self._settings.max_items, "user.disliked_item_ids", 0)
        check_reference(request.user_id, "user.user_id")
        check_references(request.liked, "user.liked_item_ids")
        check_references(request.disliked, "user.disliked_item_ids")
        check_references((past.item_id for past in request.history), "user.history")
        taken = self._taken(collection, request)
        warnings: list[Warning] = []
        content: dict[str, Array] = {}
        if request.content:
            if begun is None or begun.space is not space:  # the collection may have moved meanwhile
                begun = self.begin(collection, request, call)
            content, warnings = _content(space, request, begun.encoding)
        vector = None
        if request.vector is not None:
            try:
                vector = query_vector(request.vector, space)
            except ItemlensError as error:
                raise error.within("user.query_vector") from None
        for name, weight in request.source_weights.items():
            if not 0 <= weight <= LARGEST_WEIGHT:
                raise InvalidArgument(
                    f"{weight} is not a valid weight; it must be 0 to {LARGEST_WEIGHT:g}",
                    f"user.source_weights.{name}",
                )
        check_weight(request.behaviour_weight, "weight", "user.behaviour_weight")
        if not 1 <= request.max_interests <= MAX_INTERESTS:
            raise InvalidArgument(
                f"max_interests is {request.max_interests}; it must be 1 to {MAX_INTERESTS}",
                "user.max_interests",
            )
        try:
            changes = checked_changes(request.channel_changes)
            changed_weights(space.head, QuestionWeights(), changes)
        except ItemlensError as error:
            raise error.within("user") from None
        words = _words(request.content) if collection.record.settings.lexical is not None else {}
        query = Query(
            (), content, tuple(request.liked), tuple(request.disliked), vector, request.source_weights,
            changes, request.behaviour_weight, request.max_interests, taken,
            of_user=bool(request.user_id or request.history), words=words,
        )  # fmt: skip
        return query, warnings

    def _taken(self, collection: Collection, request: QueryRequest) -> Taken:
        """What the user did: their events, followed by the caller's history, which is ordered by time if all of it has
        times."""
        given = list(request.history)
        if all(interaction.time_ns is not None for interaction in given):
            given.sort(key=lambda interaction: interaction.time_ns or 0)
        if not request.user_id:
            return Taken.of(given, collection.type_weights)

        def read() -> Taken:
            limit = self._settings.max_history
            recorded = self._catalogue.reads.history(collection, request.user_id, limit)
            return Taken.of([*recorded, *given], collection.type_weights)

        if given:
            return read()
        return self._catalogue.known_users.get(collection.record.id, request.user_id, read)


def _words(contents: Sequence[Content]) -> dict[str, tuple[WordForms, ...]]:
    """The words of texts by channel."""
    return {c.channel: question_words([c.value]) for c in contents if isinstance(c.value, str) and c.value}


def _content(
    space: Space, request: QueryRequest, encoding: Encoding
) -> tuple[dict[str, Array], list[Warning]]:
    raw: dict[str, list[Array]] = {}
    warnings: list[Warning] = []
    for n, (content, outcome) in enumerate(zip(request.content, encoding.results(), strict=True)):
        field, channel = f"user.query[{n}]", content.channel
        if not isinstance(outcome, EncodedContent):
            raise outcome.within(field)
        if channel in raw:
            raise InvalidArgument(
                f"channel {quoted(channel)} occurs twice; send one query for each channel", field
            )
        raw[channel] = [outcome.v]
        warnings += [warning.within(field) for warning in outcome.warnings]
    try:
        return content_units(space, raw), warnings
    except InvalidArgument as error:
        raise error.within("user.query") from None
