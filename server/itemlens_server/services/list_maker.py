"""Makes a list of what may be in it: the best under caps, exploration, rules, and what these did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import Warning
from itemlens_server.fusion.caps import NO_CAPS, ONE_OF_EQUAL_CONTENT, Cap, Caps, codes_of
from itemlens_server.fusion.rows import Bools, Ints, View
from itemlens_server.fusion.scoring import Scorer, bind
from itemlens_server.index.candidate_index import CandidateIndex
from itemlens_server.index.exact import ExactIndex
from itemlens_server.services.boosts import outweighing
from itemlens_server.services.collection import Collection
from itemlens_server.services.explorer import Explorer
from itemlens_server.services.list_changes import passed_over, with_ranks
from itemlens_server.services.lists import best, with_others
from itemlens_server.services.recommend_options import RecommendOptions
from itemlens_server.services.results import ListChange, RecommendedItem
from itemlens_server.services.ruled_lists import Surroundings, with_floors, with_pins
from itemlens_server.services.rules import ActiveRules
from itemlens_server.storage.rules import CAP

Offer: TypeAlias = Callable[[Sequence[RecommendedItem], Callable[[], Sequence[RecommendedItem]]], None]


@dataclass(frozen=True)
class ListMaker:
    """Makes lists of a collection's items, which `index` finds. offer: gets lists of which the index may have missed
    some items, each with a function that makes it from all items."""

    collection: Collection
    explorer: Explorer
    index: CandidateIndex
    offer: Offer

    def make(
        self,
        scorer: Scorer,
        options: RecommendOptions,
        rules: ActiveRules,
        mask: Bools,
        k: int,
        seed: str,
        call: CallContext,
    ) -> tuple[Scorer, list[RecommendedItem], tuple[ListChange, ...], Sequence[Warning]]:
        """Return a list of at most k of the items in `mask`, the scorer of log-probabilities, and what was done to the
        list besides sorting it by score; and warnings of boosts that outweigh all else. seed: of exploration, with
        which a list can be made again.

        Raises:
            InvalidArgument: a cap does not fit the attributes.
            DeadlineExceeded, Cancelled: the call is over.
        """
        limits = [*self._limits(options, scorer.snapshot.view), *rules.caps(k)]
        caps = Caps([cap.most for cap, _ in limits], [codes for _, codes in limits]) if limits else NO_CAPS
        k = min(k, caps.longest(mask))
        pins = rules.pins(mask, k, caps)
        placed = [pin.row for pin in pins]
        free = k - len(pins)
        known, scored, ranked = best(scorer, self.index, mask, free, caps, placed)
        if min(len(own.positions) for own in scored) < np.count_nonzero(mask):
            # A scorer is for one thread.
            asking = scorer.asking
            self.offer(ranked, lambda: best(bind(asking), ExactIndex(), mask, free, caps, placed)[2])
        settings = self.collection.record.settings.exploration
        if settings.share:
            random = np.random.default_rng(list(seed.encode()))
            ranked = self.explorer.explore(
                self.collection.record.id, settings, known, mask, ranked, random, caps, placed
            )
        ranked = with_floors(Surroundings(known, self.index, mask, caps, placed), ranked, rules, k, call)
        ranked = with_pins(known, ranked, pins)
        groupings = [codes for cap, codes in limits if cap.field in ("group_by", "fold_duplicates")]
        if groupings:
            ranked = with_others(known, scored, ranked, groupings)
        warnings = outweighing(known.asking.boosts, scored[0].positions, scored[0].alpha)
        if not limits and not rules.rules:
            return known, ranked, (), warnings
        counts = passed_over(known, scored, ranked, caps)
        changes = [
            ListChange(count, cap.attribute, cap.most, cap.rule)
            for (cap, _), count in zip(limits, counts, strict=True)
        ]
        placing = Counter(name for item in ranked for name in item.rules)
        changes += [
            ListChange(rules.counts.get(rule.name, placing[rule.name]), rule=rule.name)
            for rule in rules.rules
            if rule.kind != CAP
        ]
        return known, with_ranks(known, scored, ranked), tuple(changes), warnings

    def _limits(self, options: RecommendOptions, view: View) -> list[tuple[Cap, Ints]]:
        """The caps that are asked for, each with the codes of its values."""
        limits = [(cap, codes_of(cap, view)) for cap in options.caps]
        if options.fold_duplicates:
            limits.append((ONE_OF_EQUAL_CONTENT, self.collection.equal_contents.codes(view)))
        return limits
