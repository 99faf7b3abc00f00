"""What holds of every batch and every number that callers send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.query import ChannelChange

# Characters of an id or a name.
MAX_ID = 256

# Of weights and thresholds that callers may set: with it, float32 scores stay finite.
LARGEST_WEIGHT = 1e6


def check_length(values: Sequence[object], limit: int, field: str, least: int = 1) -> None:
    """Check the length of a batch.

    Raises:
        InvalidArgument: it is empty or too long.
    """
    if len(values) < least:
        raise InvalidArgument(f"nothing in {field}; send at least {least}", field)
    if len(values) > limit:
        raise InvalidArgument(f"{len(values)} in {field}, the limit is {limit}; send several calls", field)


def check_id(value: str, field: str) -> None:
    """Check an id that is to be stored.

    Raises:
        InvalidArgument: it is empty or too long, or holds NUL, which would be lost where ids are kept in arrays.
    """
    if not 1 <= len(value) <= MAX_ID or "\0" in value:
        raise InvalidArgument(f"an id has 1 to {MAX_ID} characters, and NUL is none of them", field)


def check_reference(value: str, field: str) -> None:
    """Check an id or a name that is to be looked up; it may be empty.

    Raises:
        InvalidArgument: nothing can have it: it is too long.
    """
    if len(value) > MAX_ID:
        raise InvalidArgument(f"{len(value)} characters; an id or a name has at most {MAX_ID}", field)


def check_references(values: Iterable[str], field: str) -> None:
    """`check_reference` for each of them, in order."""
    for n, value in enumerate(values):
        if len(value) > MAX_ID:
            check_reference(value, f"{field}[{n}]")


def check_weight(value: float | None, what: str, field: str) -> None:
    """Check a weight or threshold, if it is given. `what` names it in the message.

    Raises:
        InvalidArgument: it is too large, or no number.
    """
    if value is not None and not abs(value) <= LARGEST_WEIGHT:
        raise InvalidArgument(f"{value} is no {what}: it must be at most {LARGEST_WEIGHT:g}", field)


def checked_changes(changes: Sequence[tuple[str, ChannelChange]]) -> dict[str, ChannelChange]:
    """A caller's changes by channel.

    Raises:
        InvalidArgument: a number that does not do.
    """
    for n, (_, change) in enumerate(changes):
        field = f"channel_weights[{n}]"
        check_weight(change.weight, "weight", f"{field}.weight")
        check_weight(change.threshold, "threshold", f"{field}.threshold")
        check_weight(change.imputed_threshold, "predicted_threshold", f"{field}.predicted_threshold")
        if (change.weight or 0.0) < 0:
            raise InvalidArgument(
                "a negative weight would reward items without the channel; use disliked_item_ids",
                f"{field}.weight",
            )
    return dict(changes)
