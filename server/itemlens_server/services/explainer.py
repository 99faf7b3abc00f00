"""Explain scores of items: parts by channel, source and place, and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeAlias

import numpy as np

from itemlens_server.attributes.filters import Filter, failing
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import (
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    NotFound,
    Overloaded,
    Warning,
)
from itemlens_server.fusion.parts import ChannelSum, Part, PlacedInput
from itemlens_server.fusion.rows import View
from itemlens_server.fusion.scoring import Scorer, bound
from itemlens_server.services.asked_list import AskedList
from itemlens_server.services.boosts import NO_BOOSTS, BoostChoice, outweighing
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, stored_content
from itemlens_server.services.heat_maps import HeatMap, HeatMapFormat, heat_maps
from itemlens_server.services.limits import DEFAULT_K, check_length, check_references
from itemlens_server.services.lists import of_best_interest, score
from itemlens_server.services.query import QueryReader, QueryRequest
from itemlens_server.services.recommend_options import (
    RecommendOptions,
    check_disabled,
    check_surface,
)
from itemlens_server.services.results import RecommendedItem, unknown
from itemlens_server.services.rules import ActiveRules
from itemlens_server.services.sentences import Others, check_language, sentence
from itemlens_server.services.titles import titles
from itemlens_server.storage.records import StoredItem
from itemlens_server.storage.rules import Rule

MOST_ITEMS = 100


# A scored item with its stored item, or an error.
_Found: TypeAlias = tuple[RecommendedItem, StoredItem] | ItemlensError


@dataclass(frozen=True)
class ExplainOptions:
    """The options of an explanation. exclude_seen, filter, surface, disabled_rules, boosts: as in RecommendOptions, of
    a query."""

    language: str = "en"
    heat_map: HeatMapFormat | None = None
    with_sums: bool = False
    exclude_seen: bool = True
    filter: Filter | None = None
    surface: str = ""
    disabled_rules: Sequence[str] = ()
    boosts: BoostChoice = NO_BOOSTS

    @property
    def of_list(self) -> RecommendOptions:
        """The options of the list in which a query's items are explained."""
        return RecommendOptions(
            exclude_seen=self.exclude_seen,
            filter=self.filter,
            surface=self.surface,
            disabled_rules=self.disabled_rules,
            boosts=self.boosts,
        )


@dataclass(frozen=True)
class Explanation:
    """One item's score with its parts by channel, by source and by place, or an error. rules: names of the rules that
    placed it in its list."""

    item_id: str
    error: ItemlensError | None = None
    score: float = 0.0
    residual: float = 0.0
    by_channel: tuple[Part, ...] = ()
    by_source: tuple[Part, ...] = ()
    by_place: tuple[Part, ...] = ()
    sums: tuple[ChannelSum, ...] = ()
    sentence: str = ""
    heat_maps: tuple[HeatMap, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExplainResult:
    """An explanation for each item, in order, and the space of the scores. Explanations are computed one by one,
    because together they may not fit in memory."""

    space_id: str
    explanations: Iterator[Explanation]
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True)
class Explainer:
    """Explains scores of a kept recommendation, or of any items for a query."""

    catalogue: Catalogue
    encoder: ContentEncoder
    query_reader: QueryReader
    settings: Settings

    def explain_result(
        self, collection: str, recommendation_id: str, item_ids: Sequence[str], options: ExplainOptions,
        call: CallContext,
    ) -> ExplainResult:  # fmt: skip
        """Explain items of a recommendation, as scored there.

        Raises:
            NotFound, FailedPrecondition: the recommendation is not kept, or its collection has moved.
        """
        self._check(item_ids, options)
        result = self.catalogue.results.get(recommendation_id)
        if not call.caller.sees(result.collection.name):
            raise unknown(recommendation_id)
        current = self.catalogue.collection(result.collection.name)
        if collection and collection != current.name:
            raise InvalidArgument(f"the recommendation belongs to collection {current.name!r}", "collection")
        if current is not result.collection:
            raise FailedPrecondition(
                "the collection has moved to another space since then; request a new recommendation"
            )
        kept = result.kept()
        numbers = {item_id: n for n, item_id in enumerate(kept.item_ids)}
        asked = [int(kept.labels[numbers[i]]) for i in item_ids if i in numbers]
        vectors = self.catalogue.reads.vectors(current, [*kept.asking.labels.tolist(), *asked]) | result.rows
        self.catalogue.results.get(recommendation_id)  # if it was forgotten meanwhile, its rows may be gone
        labels, row_ids = kept.asking.labels.tolist(), list(kept.asking.item_ids)
        scored: list[RecommendedItem | ItemlensError] = []
        for item_id in item_ids:
            n = numbers.get(item_id)
            if n is None:
                scored.append(_not_listed(result.blocking, current, item_id))
            elif current.label(item_id) != (label := int(kept.labels[n])) or label not in vectors:
                message = f"item {item_id!r} was changed or deleted since then; request a new recommendation"
                scored.append(FailedPrecondition(message))
            else:
                position = len(labels)
                scored.append(
                    RecommendedItem(
                        item_id,
                        position,
                        float(kept.scores[n]),
                        int(kept.interests[n]),
                        rules=kept.placed_by.get(item_id, ()),
                    )
                )
                labels.append(label)
                row_ids.append(item_id)
        head = current.space.head
        h = np.asarray([vectors[label] for label in labels], np.float32).reshape(-1, head.dimension)
        view = View(np.asarray(labels, np.int64), h, np.ones(len(h), np.bool_), row_ids, len(h))
        scorer = replace(bound(kept.asking.asking(current.name, head, view)), shifts=kept.shifts)
        return self._explain(current, scorer, item_ids, scored, [], options, call)

    def explain_query(
        self, collection_name: str, request: QueryRequest, item_ids: Sequence[str], options: ExplainOptions,
        call: CallContext,
    ) -> ExplainResult:  # fmt: skip
        """Explain items for a query, as scored in a list out of the whole collection. With several interests, the one
        with the highest score for an item explains it.

        Raises:
            InvalidArgument, NotFound: as Recommender.
        """
        self._check(item_ids, options)
        collection = self.catalogue.collection(collection_name)
        options.boosts.check()
        query, warnings = self.query_reader.read(collection, request, call)
        asked = AskedList.of(collection, query, options.of_list)
        scorer, mask, rules = asked.scorer, asked.mask, asked.rules
        scorer, found, _ = score(scorer, collection.index, mask, DEFAULT_K)
        positions = [scorer.snapshot.view.position(item_id) for item_id in item_ids]
        known = np.asarray([p for p in positions if p is not None], np.int64)
        best = iter(of_best_interest(scorer, known))
        scored: list[RecommendedItem | ItemlensError] = []
        for item_id, position in zip(item_ids, positions, strict=True):
            if position is None:
                message = f"item {item_id!r} is not in collection {collection.name!r}"
                scored.append(NotFound(message, "item", item_id))
                continue
            outcome = next(best)
            scored.append(outcome if mask[position] else _left_out(scorer, outcome, options, rules))
        warnings = [
            *warnings, *asked.warnings, *rules.warnings,
            *outweighing(scorer.asking.boosts, found[0].positions, found[0].alpha),
        ]  # fmt: skip
        return self._explain(collection, scorer, item_ids, scored, warnings, options, call)

    def _check(self, item_ids: Sequence[str], options: ExplainOptions) -> None:
        check_language(options.language)
        check_length(item_ids, min(MOST_ITEMS, self.settings.max_inputs), "item_ids")
        check_references(item_ids, "item_ids")
        check_surface(options.surface)
        check_disabled(options.disabled_rules)

    def _explain(
        self,
        collection: Collection,
        scorer: Scorer,
        item_ids: Sequence[str],
        scored: Sequence[RecommendedItem | ItemlensError],
        warnings: Sequence[Warning],
        options: ExplainOptions,
        call: CallContext,
    ) -> ExplainResult:
        explanations = self._explanations(collection, scorer, item_ids, scored, options, call)
        return ExplainResult(collection.space.space_id, explanations, tuple(warnings))

    def _explanations(
        self,
        collection: Collection,
        scorer: Scorer,
        item_ids: Sequence[str],
        scored: Sequence[RecommendedItem | ItemlensError],
        options: ExplainOptions,
        call: CallContext,
    ) -> Iterator[Explanation]:
        language = check_language(options.language)
        title = titles(self.catalogue, collection, scorer.disliked)
        others = Others(collection.event_tables, self.settings.min_reason_users)
        ids = iter(item_ids)
        for group in self._groups(collection, scorer, scored):
            encoded = self._encode(
                collection, [f[1] for f in group if not isinstance(f, ItemlensError)], call
            )
            for found, item_id in zip(
                group, ids, strict=False
            ):  # group first: no id beyond the group is consumed
                inputs = found if isinstance(found, ItemlensError) else next(encoded)
                if isinstance(found, ItemlensError) or isinstance(inputs, ItemlensError):
                    error = found if isinstance(found, ItemlensError) else inputs
                    assert isinstance(error, ItemlensError)
                    yield Explanation(item_id, error)
                    continue
                outcome, item = found
                parts, sums = scorer.by_place(outcome.interest, outcome.position, inputs)
                sources = scorer.by_source(outcome.interest, outcome.position)
                yield Explanation(
                    item_id, None, outcome.score, outcome.score - sum(p.value for p in parts),
                    tuple(scorer.by_channel(outcome.interest, outcome.position)), tuple(sources), tuple(parts),
                    tuple(sums) if options.with_sums else (),
                    sentence(
                        language, sources, [p for s in sums for p in s.places], title, item_id,
                        known=scorer.says_wanted, others=others,
                    ),
                    tuple(heat_maps(collection.space, options.heat_map, item, sums)) if options.heat_map else (),
                    outcome.rules,
                )  # fmt: skip

    def _groups(
        self, collection: Collection, scorer: Scorer, scored: Sequence[RecommendedItem | ItemlensError]
    ) -> Iterator[list[_Found]]:
        """The stored items, in order, in groups with at most the inputs of one call, because the z of an input takes
        up to a megabyte."""
        group: list[_Found] = []
        inputs = 0
        for outcome in scored:
            found = (
                outcome if isinstance(outcome, ItemlensError) else self._found(collection, scorer, outcome)
            )
            count = 0 if isinstance(found, ItemlensError) else len(found[1].inputs)
            if group and inputs + count > self.settings.max_inputs:
                yield group
                group, inputs = [], 0
            group.append(found)
            inputs += count
        yield group

    def _found(self, collection: Collection, scorer: Scorer, scored: RecommendedItem) -> _Found:
        """The stored item of the scored row."""
        item_id = scored.item_id
        item = self.catalogue.reads.item(collection, item_id, with_data=True)
        if isinstance(item, ItemlensError):
            return item
        if item is None or item.label != scorer.snapshot.view.labels[scored.position]:
            return NotFound(f"item {item_id!r} was changed or deleted meanwhile; try again", "item", item_id)
        # Attributes may be large, and explanations do not need them.
        return scored, replace(item, document=replace(item.document, attributes={}))

    def _encode(
        self, collection: Collection, items: Sequence[StoredItem], call: CallContext
    ) -> Iterator[list[PlacedInput] | ItemlensError]:
        """The inputs of each item with their places, in order. An error of the encoder applies to all items."""
        contents = [[stored_content(collection.space, item, i) for i in item.inputs] for item in items]
        flat = [content for own in contents for content in own]
        try:
            outcomes = iter(self.encoder.encode(collection.space, flat, "item", call, with_places=True))
        except Overloaded as error:
            yield from repeat(error, len(items))
        else:
            for own in contents:
                yield _placed([(content, next(outcomes)) for content in own])


def _placed(
    outcomes: Sequence[tuple[Content, EncodedContent | ItemlensError]],
) -> list[PlacedInput] | ItemlensError:
    inputs = []
    for content, outcome in outcomes:
        if isinstance(outcome, ItemlensError):
            return FailedPrecondition(
                f"the stored content of channel {content.channel!r} cannot be encoded: {outcome.message}"
            )
        assert outcome.z is not None and outcome.layout is not None
        inputs.append(PlacedInput(content.channel, outcome.v, outcome.z, outcome.layout.places()))
    return inputs


def _not_listed(rules: Sequence[Rule], collection: Collection, item_id: str) -> InvalidArgument:
    """Why an item is not in a recommendation. rules: those that blocked items."""
    if rules:
        view = collection.snapshot().view
        row = view.position(item_id)
        blocking = None if row is None else ActiveRules(rules, view, collection.rule_masks).blocking(row)
        if blocking:
            return InvalidArgument(
                f"rule {blocking!r} blocks {item_id!r}, so it is not in the recommendation"
            )
    return InvalidArgument(f"item {item_id!r} is not in the recommendation; explain it with a user side")


def _left_out(
    scorer: Scorer, item: RecommendedItem, options: ExplainOptions, rules: ActiveRules
) -> InvalidArgument:
    """Why an item is not in the list."""
    view = scorer.snapshot.view
    if (blocking := rules.blocking(item.position)) is not None:
        return InvalidArgument(
            f"rule {blocking!r} blocks {item.item_id!r}, so it is in no list; explain it with this rule in "
            "disabled_rules"
        )
    if options.filter is not None:
        failed = failing(options.filter, view.attributes, int(view.records[item.position]))
        if failed:
            return InvalidArgument(f"the filter leaves {item.item_id!r} out: it needs {' and '.join(failed)}")
    return InvalidArgument(
        f"the user has seen {item.item_id!r}, and its list leaves that out; explain it with exclude_seen false"
    )
