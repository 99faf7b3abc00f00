"""Which records match the filters of rules. A record never changes, so a filter looks at each once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from itemlens_server.attributes.columns import Attributes, Column
from itemlens_server.attributes.filters import Compare, Filter, Now, OneOf, leaves
from itemlens_server.attributes.parser import parse
from itemlens_server.fusion.rows import Bools

# More than the rules of a collection: filters of earlier rules are forgotten now and then.
MOST_KNOWN = 100
_NONE = np.zeros(0, np.bool_)


@lru_cache(maxsize=256)
def _parsed(expression: str) -> tuple[Filter, bool]:
    """Return the filter of a rule, and whether it depends on the time."""
    wanted = parse(expression)
    values = [
        value
        for leaf in leaves(wanted)
        if isinstance(leaf, Compare | OneOf)
        for value in (leaf.values if isinstance(leaf, OneOf) else (leaf.value,))
    ]
    return wanted, any(isinstance(value, Now) for value in values)


def condition(expression: str) -> Filter:
    """Return the filter of a rule. See `parse`."""
    return _parsed(expression)[0]


class RuleMasks:
    """The masks of filters over a collection's records, by expression. Any number of threads may ask."""

    def __init__(self) -> None:
        # With the columns that they are of: others after a compaction.
        self._known: dict[str, tuple[Mapping[str, Column], Bools]] = {}

    def of(self, expression: str, attributes: Attributes) -> Bools:
        """Return which records match a filter, bool [records].

        Raises:
            InvalidArgument: the filter does not fit the attributes.
        """
        wanted, depends_on_time = _parsed(expression)
        if depends_on_time:
            return wanted.mask(attributes)
        columns, mask = self._known.get(expression, (attributes.columns, _NONE))
        if columns is not attributes.columns:
            mask = _NONE
        if len(mask) < attributes.count:
            fresh = wanted.mask(Attributes(attributes.columns, attributes.count, len(mask)))
            mask = np.concatenate([mask, fresh])
            if len(self._known) >= MOST_KNOWN:
                self._known = {}
            self._known[expression] = (attributes.columns, mask)
        return mask[: attributes.count]
