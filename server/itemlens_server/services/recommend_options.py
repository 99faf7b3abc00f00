"""What a caller asks of a list: its options, its length, and which items may be in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.attributes.facets import WantedFacet
from itemlens_server.attributes.filters import Filter
from itemlens_server.config import Settings
from itemlens_server.errors import InvalidArgument, NotFound, Warning, quoted
from itemlens_server.fusion.caps import Cap
from itemlens_server.fusion.rows import Bools
from itemlens_server.fusion.scoring import Scorer
from itemlens_server.services.boosts import NO_BOOSTS, BoostChoice
from itemlens_server.services.limits import (
    DEFAULT_K,
    check_length,
    check_name,
    check_reference,
    check_references,
)

MOST_ATTRIBUTES = 50
MOST_CAPS = 5
MOST_FACETS, MOST_VALUES = 10, 100
MOST_DISABLED = 50


@dataclass(frozen=True)
class RecommendOptions:
    """The options of a list and of its items. Exactly one of k and top_fraction is set.

    surface: where the list is shown; rules may be for one, and it is kept with the answer.
    filter: which items may be in the list.
    caps: at most so many items of one value. In the field "group_by", the best ones stand for all.
    fold_duplicates: at most one of the items of equal content.
    disabled_rules: names of rules that do not apply; ALL_RULES: none does.
    attributes: names of attributes to return with each item.
    facets: attributes whose values are counted over the items that may be in the list.
    boosts: what the caller adds to scores.
    """

    k: int | None = DEFAULT_K
    top_fraction: float | None = None
    candidates: Sequence[str] = ()
    exclude_seen: bool = True
    exact: bool = False
    with_parts: bool = False
    with_reasons: bool = False
    with_probabilities: bool = False
    language: str = "en"
    surface: str = ""
    filter: Filter | None = None
    caps: Sequence[Cap] = ()
    fold_duplicates: bool = False
    disabled_rules: Sequence[str] = ()
    attributes: Sequence[str] = ()
    facets: Sequence[WantedFacet] = ()
    boosts: BoostChoice = NO_BOOSTS


def check_options(options: RecommendOptions, settings: Settings) -> None:
    """Check what needs no collection.

    Raises:
        InvalidArgument: a field is wrong.
    """
    check_surface(options.surface)
    check_disabled(options.disabled_rules)
    check_length(options.candidates, settings.max_candidates, "candidate_item_ids", 0)
    check_references(options.candidates, "candidate_item_ids")
    _check_caps(options.caps)
    check_length(options.attributes, MOST_ATTRIBUTES, "attribute_names", 0)
    check_references(options.attributes, "attribute_names")
    _check_facets(options.facets)
    options.boosts.check()


def check_surface(surface: str) -> None:
    """Check a surface, which may be empty. Raises InvalidArgument."""
    if surface:
        check_name(surface, "surface")


def check_disabled(names: Sequence[str]) -> None:
    """Check the names of rules that are switched off. Raises InvalidArgument."""
    check_length(names, MOST_DISABLED, "disabled_rules", 0)
    check_references(names, "disabled_rules")


def list_size(options: RecommendOptions, eligible: int, max_k: int) -> int:
    """The number of items to return out of `eligible`.

    Raises:
        InvalidArgument: k or top_fraction is out of range.
    """
    if options.top_fraction is not None:
        if not 0 < options.top_fraction <= 1:
            raise InvalidArgument(
                f"top_fraction is {options.top_fraction}; it must be above 0 and at most 1", "top_fraction"
            )
        # top_fraction is a float32 in the proto: 0.1 of 100 must be 10, not 11.
        k = max(1, math.ceil(options.top_fraction * eligible * (1 - 1e-6)))
        if k > max_k:
            raise InvalidArgument(
                f"top_fraction yields {k} items out of {eligible}, the limit is {max_k}", "top_fraction"
            )
        return k
    assert options.k is not None
    if not 1 <= options.k <= max_k:
        raise InvalidArgument(f"k is {options.k}; it must be 1 to {max_k}", "k")
    return options.k


def eligible_items(scorer: Scorer, options: RecommendOptions) -> tuple[Bools, list[Warning]]:
    """The positions that may be in the list, and warnings for candidates that do not exist."""
    snapshot, warnings = scorer.snapshot, []
    mask = snapshot.view.alive.copy()
    if options.candidates:
        own = snapshot.positions(options.candidates)
        for item_id in options.candidates:
            if snapshot.view.position(item_id) is None:
                message = f"candidate {item_id!r} is not in collection {snapshot.collection!r}; it is ignored"
                warnings.append(Warning("UNKNOWN_ITEM", message, "candidate_item_ids"))
        if not len(own):
            raise NotFound(
                "none of the candidates is in the collection",
                "item",
                options.candidates[0],
                "candidate_item_ids",
            )
        only = np.zeros_like(mask)
        only[own] = True
        mask &= only
    if options.exclude_seen:
        mask[snapshot.positions(scorer.asking.seen)] = False
    if options.filter is not None and len(mask):
        some = mask.any()
        mask &= snapshot.view.matching(options.filter)
        if some and not mask.any():
            message = "no item that may be in the list matches the filter, so the list is empty"
            warnings.append(Warning("FILTERED_OUT", message, "filter"))
    return mask, warnings


def _check_facets(facets: Sequence[WantedFacet]) -> None:
    """Check facets.

    Raises:
        InvalidArgument: there are too many, one has too many values, or an attribute occurs twice.
    """
    check_length(facets, MOST_FACETS, "facets", 0)
    names = set()
    for n, facet in enumerate(facets):
        if not 1 <= facet.most <= MOST_VALUES:
            raise InvalidArgument(
                f"max_values is {facet.most}; it must be 1 to {MOST_VALUES}", f"facets[{n}].max_values"
            )
        check_reference(facet.attribute, f"facets[{n}].attribute")
        if facet.attribute in names:
            raise InvalidArgument(f"{quoted(facet.attribute)} occurs twice", f"facets[{n}].attribute")
        names.add(facet.attribute)


def _check_caps(caps: Sequence[Cap]) -> None:
    """Check caps.

    Raises:
        InvalidArgument: there are too many, or one has no attribute or no place.
    """
    check_length(caps, MOST_CAPS, "caps", 0)
    for cap in caps:
        if not cap.attribute:
            raise InvalidArgument("an attribute is required", f"{cap.field}.attribute")
        if cap.most < 1:
            raise InvalidArgument("at least one item must be allowed", f"{cap.field}.most")
