"""Results of the catalogue's calls: collections, stored items, reports of writes and uploads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ._boosts import Boost
from ._enums import AttributeType
from ._errors import ItemlensError, raise_for_errors
from ._results import BatchResult, Warning
from ._rules import Rule
from ._types import Event, Exploration, Item, Lexical, OwnEventType, Vector


@dataclass(frozen=True)
class Collection:
    """A set of items of one space, with the events of users."""

    name: str
    space_id: str
    item_count: int
    event_count: int
    sequence_number: int
    """Sequence number of its last write."""
    create_time: datetime
    behaviour_sequence_number: int
    """Number of the last event that the behaviour model ("who took X took Y") was fitted on; 0: not fitted."""
    event_types: tuple[OwnEventType, ...] = ()
    """Its own types of events."""
    exploration: Exploration | None = None
    """Places for items without events; None: there are none."""
    lexical: Lexical | None = None
    """Where the words of searches are looked for; None: nowhere."""
    attributes: Mapping[str, AttributeType] = field(default_factory=dict)
    """The type of each attribute that filters can use: given in the settings, or that of the first value."""
    rules: tuple[Rule, ...] = ()
    """Rules for its lists."""
    boosts: tuple[Boost, ...] = ()
    """Boosts that requests can name, or that are on by default."""


@dataclass(frozen=True)
class Counts:
    """What the counts of events are that behaviour is derived from. All is 0 and empty while there are none."""

    digest: str
    """SHA-256 of all counts: equal exactly if all counts are."""
    event_count: int
    user_count: int
    item_count: int
    """Number of items that somebody took."""
    sequence_number: int
    rules: str
    """What they are made by, as JSON."""


@dataclass(frozen=True)
class StoredEvent:
    """A recorded event."""

    event: Event
    held_back: bool
    """It does not count, because its time was more than a day ahead when it was recorded."""


@dataclass(frozen=True, eq=False)
class WriteResult:
    """The result of one item or event of a write."""

    id: str
    error: ItemlensError | None
    warnings: tuple[Warning, ...]
    sequence_number: int = 0
    """Of an update: the item's sequence number now, whether it was changed or not. 0: there is no such item."""


@dataclass(frozen=True, eq=False)
class Written(BatchResult[WriteResult]):
    """Result of a write: a WriteResult for each entry, in order."""

    sequence_number: int
    """The collection's sequence number after the write."""


@dataclass(frozen=True)
class EventStream:
    """How far a stream of events was recorded."""

    stream: str
    position: str
    """The position after its last recorded events, as its caller gave it."""
    event_count: int
    """Number of events that were recorded from it. Those that were there before do not count."""
    lag: int
    """How much was still to be read at the last step, in its caller's unit."""
    update_time: datetime
    """When the last step was made."""


@dataclass(frozen=True, eq=False)
class StoredItem:
    """A stored item."""

    item: Item
    """The item, with texts, pictures and vectors by channel. The last two are set with `pictures=True` only."""
    sequence_number: int
    """Sequence number of the write that stored it."""
    vector: Vector | None
    """Its ITEM vector. Set with `vectors=True`."""
    error: ItemlensError | None
    """NotFound if the item does not exist."""


@dataclass(frozen=True, eq=False)
class StoredItems(BatchResult[StoredItem]):
    """Result of `get_items`: a StoredItem for each id, in order."""

    space_id: str


@dataclass(frozen=True)
class Progress:
    """Progress of an upload."""

    done: int
    """Entries with a result: stored or failed."""
    failed: int
    total: int | None
    """None where the source has no length."""
    seconds: float
    """Seconds since the upload began."""


@dataclass(frozen=True, eq=False)
class UploadReport:
    """The result of an upload."""

    written: int
    """Number of stored entries."""
    failed: tuple[WriteResult, ...]
    warned: tuple[WriteResult, ...]
    """Stored entries with warnings."""
    sequence_number: int
    """The collection's sequence number after the last batch."""
    resumed: int
    """Number of times the upload resumed after a broken stream."""
    seconds: float

    def warning_counts(self) -> dict[str, int]:
        """The number of warnings for each reason."""
        return dict(Counter(warning.reason for result in self.warned for warning in result.warnings))

    def raise_for_errors(self) -> None:
        """Raise PartialFailure if an entry failed. Its indices refer to `failed`."""
        raise_for_errors(result.error for result in self.failed)
