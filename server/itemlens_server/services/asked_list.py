"""A list before it is ranked: what Recommend ranks, and what Explain finds items in."""

from __future__ import annotations

import time
from dataclasses import dataclass

from itemlens_server.errors import Warning
from itemlens_server.fusion.query import Query, ask
from itemlens_server.fusion.rows import Bools
from itemlens_server.fusion.scoring import Scorer, bind
from itemlens_server.services.boosts import boosted
from itemlens_server.services.collection import Collection
from itemlens_server.services.recommend_options import RecommendOptions, eligible_items
from itemlens_server.services.rules import ActiveRules


@dataclass(frozen=True)
class AskedList:
    """The list that a query asks for.

    scorer: of the query with its boosts. mask: which items may be in the list, bool [rows]. rules: those that are
    active; their own warnings grow while the list is made. warnings: all others so far.
    """

    scorer: Scorer
    mask: Bools
    rules: ActiveRules
    warnings: tuple[Warning, ...]

    @staticmethod
    def of(collection: Collection, query: Query, options: RecommendOptions) -> AskedList:
        """Return the list of a query to a collection, as it is now.

        Raises:
            InvalidArgument: the user side is empty, or a boost or the filter does not fit the collection.
            NotFound: all liked items, or all candidates, are unknown.
        """
        settings = collection.record.settings
        asking = ask(collection.snapshot(), query, collection.type_weights)
        asking, ignored = boosted(asking, settings.boosts, options.boosts)
        scorer = bind(asking)
        mask, unknown = eligible_items(scorer, options)
        rules = ActiveRules.of(
            settings.rules,
            scorer.snapshot.view,
            collection.rule_masks,
            options.surface,
            options.disabled_rules,
            time.time(),
        )
        return AskedList(scorer, rules.left(mask), rules, (*asking.warnings, *unknown, *ignored))
