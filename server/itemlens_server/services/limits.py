"""What holds of every batch and every number that callers send."""

from __future__ import annotations

from collections.abc import Sequence

from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.query import ChannelChange

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
