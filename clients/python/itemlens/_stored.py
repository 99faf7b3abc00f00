"""What callers get from the catalogue: collections, stored items, how writes and uploads went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from ._errors import ItemlensError, raise_for_errors
from ._results import BatchResult, Warning
from ._types import Item, Vector


@dataclass(frozen=True)
class Collection:
    """A set of items of one space, with what users did with them."""

    name: str
    space_id: str
    item_count: int
    event_count: int
    sequence_number: int
    """Number of its last write."""
    create_time: datetime
    behaviour_sequence_number: int
    """Number of the last event that "who took X took Y" has learnt from; 0: it has not been learnt."""


@dataclass(frozen=True, eq=False)
class WriteResult:
    """How one item or event went."""

    id: str
    error: ItemlensError | None
    warnings: tuple[Warning, ...]


@dataclass(frozen=True, eq=False)
class Written(BatchResult[WriteResult]):
    """What a write gives: a WriteResult for each entry, in order."""

    sequence_number: int
    """The collection's sequence number once they are stored."""


@dataclass(frozen=True, eq=False)
class StoredItem:
    """An item as it is stored."""

    item: Item
    """Texts and pictures are by channel; pictures only where asked for."""
    sequence_number: int
    """Number of the write that stored it."""
    vector: Vector | None
    """With `vectors=True`: its ITEM vector."""
    error: ItemlensError | None
    """NotFound where there is no such item."""


@dataclass(frozen=True, eq=False)
class StoredItems(BatchResult[StoredItem]):
    """What `get_items` gives: a StoredItem for each id, in order."""

    space_id: str


@dataclass(frozen=True)
class Progress:
    """How far an upload is."""

    done: int
    """Entries that were answered for, well or not."""
    failed: int
    total: int | None
    """None where the source has no length."""
    seconds: float
    """Since the upload began."""


@dataclass(frozen=True, eq=False)
class UploadReport:
    """How an upload went."""

    written: int
    """Entries that are stored."""
    failed: tuple[WriteResult, ...]
    warned: tuple[WriteResult, ...]
    """Entries that are stored but have warnings."""
    sequence_number: int
    """The collection's sequence number after the last batch."""
    resumed: int
    """How often the stream broke and went on."""
    seconds: float

    def warning_counts(self) -> dict[str, int]:
        """How many warnings there were by reason."""
        return dict(Counter(warning.reason for result in self.warned for warning in result.warnings))

    def raise_for_errors(self) -> None:
        """Raise PartialFailure if an entry failed. Places are those among the failed ones."""
        raise_for_errors(result.error for result in self.failed)
