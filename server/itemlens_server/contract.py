"""Numbers of the contract's enums, for the layers that know nothing of protobuf."""

from __future__ import annotations

from enum import IntEnum


class PartKind(IntEnum):
    """What a part of a score stands for; see the contract's PartKind."""

    CHANNEL = 1
    PAST_ITEM = 2
    QUERY = 3
    TOKEN = 4
    CELL = 5
    SPECIAL = 6
    BEHAVIOUR = 7
    BASELINE = 8
