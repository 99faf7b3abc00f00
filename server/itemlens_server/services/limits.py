"""Checks of numbers of values, ids, names and weights that callers send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.fusion.query import ChannelChange

# The length of a list whose length is not given.
DEFAULT_K = 10
# The most characters of an id or a name.
MAX_ID = 256

NAME = re.compile(r"[a-z0-9_-]{1,64}")

# The largest weight or threshold from a caller, with which float32 scores stay finite.
LARGEST_WEIGHT = 1e6


class Named(Protocol):
    """Something that has a name."""

    @property
    def name(self) -> str:
        """Its name."""


N = TypeVar("N", bound=Named)


def check_length(values: Sequence[object], limit: int, field: str, least: int = 1) -> None:
    """Check the length of a batch.

    Raises:
        InvalidArgument: the batch is empty or too long.
    """
    if len(values) < least:
        raise InvalidArgument(f"{field} is empty; send at least {least}", field)
    if len(values) > limit:
        raise InvalidArgument(f"{len(values)} in {field}, the limit is {limit}; use several calls", field)


def check_count(values: Sequence[object], most: int, field: str) -> None:
    """Check the number of values that belong together, such as those of a setting.

    Raises:
        InvalidArgument: there are too many.
    """
    if len(values) > most:
        raise InvalidArgument(f"there are {len(values)}, the limit is {most}", field)


def check_named(values: Sequence[N], field: str, check: Callable[[N], None]) -> None:
    """Check each of some named values, and that no two have one name. check: of one value; its errors name the field
    within it.

    Raises:
        InvalidArgument: one is wrong.
    """
    names: set[str] = set()
    for n, value in enumerate(values):
        try:
            check(value)
            if value.name in names:
                raise InvalidArgument(f"{quoted(value.name)} occurs twice", "name")
        except InvalidArgument as error:
            raise error.within(f"{field}[{n}]") from None
        names.add(value.name)


def check_id(value: str, field: str) -> None:
    """Check an id before it is stored.

    Raises:
        InvalidArgument: it is empty, too long, or contains NUL, which numpy arrays of ids would lose.
    """
    if not 1 <= len(value) <= MAX_ID or "\0" in value:
        raise InvalidArgument(f"an id must have 1 to {MAX_ID} characters, without NUL", field)


def check_name(value: str, field: str = "name") -> None:
    """Check the name of something that a caller makes, such as a collection.

    Raises:
        InvalidArgument: it is not a valid name.
    """
    if not NAME.fullmatch(value):
        raise InvalidArgument(
            f"{quoted(value)} is not a valid name; use 1 to 64 characters of a-z, 0-9, '_' and '-'", field
        )


def check_reference(value: str, field: str) -> None:
    """Check an id or a name before a look-up. It may be empty.

    Raises:
        InvalidArgument: it is longer than any id.
    """
    if len(value) > MAX_ID:
        raise InvalidArgument(f"{len(value)} characters; an id or a name has at most {MAX_ID}", field)


def check_references(values: Iterable[str], field: str) -> None:
    """Apply `check_reference` to each value, in order."""
    for n, value in enumerate(values):
        if len(value) > MAX_ID:
            check_reference(value, f"{field}[{n}]")


def check_weight(value: float | None, what: str, field: str) -> None:
    """Check a weight or threshold, unless it is None. `what` names it in the message.

    Raises:
        InvalidArgument: it is too large, or not a number.
    """
    if value is not None and not abs(value) <= LARGEST_WEIGHT:
        raise InvalidArgument(f"{value} is not a valid {what}; it must be at most {LARGEST_WEIGHT:g}", field)


def checked_changes(changes: Sequence[tuple[str, ChannelChange]]) -> dict[str, ChannelChange]:
    """A caller's changes by channel.

    Raises:
        InvalidArgument: a number is out of range.
    """
    for n, (_, change) in enumerate(changes):
        field = f"channel_weights[{n}]"
        check_weight(change.weight, "weight", f"{field}.weight")
        check_weight(change.threshold, "threshold", f"{field}.threshold")
        check_weight(change.imputed_threshold, "predicted_threshold", f"{field}.predicted_threshold")
        if (change.weight or 0.0) < 0:
            raise InvalidArgument(
                "a weight must not be negative, because items without the channel would gain; use disliked_item_ids",
                f"{field}.weight",
            )
    return dict(changes)
