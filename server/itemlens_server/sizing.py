"""How much memory and disk a server takes with a collection: a sum of named parts, for `itemlens size`.

Most of it follows from data structures: a number of h has 4 bytes, a node of a graph 2 M links of 4 bytes. What does
not was measured, and says so. `itemlens_bench.speed.sizing` measures servers beside these sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from itemlens_server.config import Settings

MIB = 1 << 20

# Measured: a server without items or encoders, of which half are libraries; calls in progress; the libraries of
# encoders, and what ONNX Runtime and the tokenizer make of each byte of a graph and of a vocabulary; the process that
# computes tables, besides libraries that the server has, too, and what its allocator keeps for each entry of a table.
SERVER = 147 * MIB
CALLS = 30 * MIB
ENCODERS = 50 * MIB
OF_GRAPH, OF_VOCABULARY = 1.1, 15
TABLES_PROCESS, KEPT_PER_ENTRY = 50 * MIB, 16

# CPython's objects on 64 bits: a text of ASCII apart from its characters, a number, and their share of a list and, on
# average, of a dictionary.
TEXT, NUMBER, SLOT, ENTRY = 49, 32, 8, 44

# Of `index.graph`: M links on a level, twice as many on the lowest. hnswlib has 65,536 locks for each graph, and
# for each node a lock, an entry in a table of labels, and pointers (measured); the items of nodes have two numbers.
LINKS = 16
GRAPH = 65_536 * 40
NODE = 100
SEGMENTS = 2
"""Graphs over different rows, on average."""

# Of `fusion.counts`, `fusion.ease`, `fusion.sequence`, `fusion.tables_process` and `services.known_users`.
EVENT = 21
PAIR = 6
SOON = 10
MOST_IN_EASE = 12_500
KEPT_PER_ROW = 400
WORTH_A_PROCESS = 1_000
MOST_PAST = 1_000
PAST, USER = 290, 300

# Of `storage`: a digest of a content and of an encoder.
RESERVE, JOURNAL = 12 * MIB, 4 * MIB
CONTENT, ENCODER = 16, 32
EVENT_ID, USER_ID = 32, 12
PAGE = 4096
FILLED = 0.81
"""How full the pages of an index are (measured)."""

# Measured, seconds of a core: a list, 8 to 46 ms in docs/benchmarks.md; a text with
# MiniLM in fp32; an event that is stored and counted. Cores that are busy for longer than this share make calls wait.
LIST, ENCODED_TEXT, COUNTED_EVENT = 0.03, 0.0163, 0.00045
BUSY = 0.6
FEWEST_CORES = 2

MARGIN = 1.2
"""Of a memory limit: what was measured is within a fifth of these sums."""


@dataclass(frozen=True)
class Channel:
    """dim: numbers of a vector. share: of the items, those with a content that no other item has. stored: bytes of a
    content on disk besides the vector, such as those of a picture."""

    dim: int
    share: float = 1.0
    stored: int = 0


@dataclass(frozen=True)
class Shop:
    """What a collection holds.

    taken:      items with events; None: all
    attributes: of an item, numbers or texts that many items have
    titles:     of an item, texts of `title_bytes` that no other item has
    document:   bytes of an item's texts and attributes
    words:      of an item that searches look in; 0: searches look in none
    models:     bytes of the encoders' graphs. vocabulary: bytes of their tokenizers
    fitted:     whether `itemlens fit` is used, by which pairs of items count
    """

    items: int
    channels: Sequence[Channel]
    users: int = 0
    events: int = 0
    taken: int | None = None
    id_bytes: int = 12
    attributes: int = 5
    titles: int = 1
    title_bytes: int = 60
    document: int = 400
    words: int = 0
    models: int = 0
    vocabulary: int = 0
    fitted: bool = True


@dataclass(frozen=True)
class Part:
    """Bytes of one part, in memory and on disk."""

    name: str
    memory: int
    disk: int = 0


@dataclass(frozen=True)
class Size:
    """parts: what is always there. moments: what comes on top for a while, one of them at a time."""

    parts: tuple[Part, ...]
    moments: tuple[Part, ...]

    @property
    def memory(self) -> int:
        """Bytes of memory of a server at rest, after it has served for a while."""
        return sum(part.memory for part in self.parts)

    @property
    def peak(self) -> int:
        """The most bytes of memory."""
        return self.memory + max(moment.memory for moment in self.moments)

    @property
    def disk(self) -> int:
        """Bytes on disk at rest."""
        return sum(part.disk for part in self.parts)

    @property
    def disk_peak(self) -> int:
        """The most bytes on disk."""
        return self.disk + max(moment.disk for moment in self.moments)

    @property
    def memory_limit(self) -> int:
        """Bytes for the limit of a container: the most, a margin, and whole quarters of a GiB."""
        return _rounded(MARGIN * self.peak, 256 * MIB)

    @property
    def volume(self) -> int:
        """Bytes for the volume of the data: twice the most, for growth and `itemlens compact`, in whole GiB."""
        return _rounded(2 * self.disk_peak, 1024 * MIB)


def cores(lists: float, texts: float, events: float) -> int:
    """Return the cores for so many lists, texts to encode and new events a second."""
    seconds = lists * LIST + texts * ENCODED_TEXT + events * COUNTED_EVENT
    return max(FEWEST_CORES, math.ceil(seconds / BUSY))


def size(shop: Shop, settings: Settings) -> Size:
    """Return what a server takes with one collection."""
    return _Sums(shop, settings).size()


class _Sums:
    def __init__(self, shop: Shop, settings: Settings) -> None:
        self.shop, self.settings, self.items = shop, settings, shop.items
        self.taken = min(shop.items if shop.taken is None else shop.taken, shop.events)
        self.has_tables = shop.fitted and self.taken > 0
        self.has_matrices = self.has_tables and self.taken <= settings.matrix_items
        # Numbers of a row of h: each channel has two flags.
        self.width = sum(channel.dim + 2 for channel in shop.channels)

    def size(self) -> Size:
        settings, graph_files, tables_file = self.settings, self._graph_files(), 8 * self._table_entries()
        vectors, documents, events = self._stored_vectors(), self._stored_documents(), self._stored_events()
        counts = self._events_file() + self._pairs_file()
        parts = (
            Part("server and libraries", SERVER, RESERVE + JOURNAL),
            Part("calls in progress", CALLS),
            Part("encoders", self._encoders()),
            Part("vectors", self._rows(), vectors),
            Part("ids and documents", self._ids(), documents),
            Part("attributes", self._attributes()),
            Part("words", self._words()),
            Part("graphs", self._graphs(), graph_files),
            Part("events", self._events(), events + self._events_file()),
            Part("pairs of items", self._matrices(), self._pairs_file()),
            Part("tables of events", self._tables(), tables_file),
            Part("process for tables", self._process()),
            Part("pages of the store", min(settings.store_cache_bytes, vectors + documents + events)),
            Part("caches, answers", self._caches(), settings.answers_bytes),
        )
        moments = (
            Part("while graphs are built", self._graphs() + self._copies(), graph_files),
            Part("while tables are computed", self._computing()),
            Part("while counts are saved", self._saving(), counts + tables_file),
            Part("while a fit is taken over", self._moving(), graph_files),
        )
        return Size(parts, moments)

    def _encoders(self) -> int:
        if not self.shop.models:
            return 0
        copies = 2 if self.settings.low_latency_sessions else 1
        return ENCODERS + int(OF_GRAPH * copies * self.shop.models) + OF_VOCABULARY * self.shop.vocabulary

    def _rows(self) -> int:
        """h, and of each row a label, a record, a document, a column, and whether it is alive."""
        return self.items * (4 * self.width + 8 + 8 + 4 + 4 + 1)

    def _ids(self) -> int:
        """Of each item its id in a list and its position; a key of its contents, the key's code; its row in tables."""
        position = _text(self.shop.id_bytes) + SLOT + ENTRY + NUMBER
        contents = 8 + 8 + ENTRY + 2 * NUMBER
        return self.items * (position + contents + 8)

    def _attributes(self) -> int:
        """Columns that double. A text has a code; if the score counts attributes, values have codes once more."""
        shop, room = self.shop, _doubled(self.items)
        coded = _text(shop.title_bytes) + SLOT + ENTRY + NUMBER
        sizes = 8 * room * shop.attributes + shop.titles * (4 * room + self.items * coded)
        if shop.fitted and shop.events:
            sizes += self.items * (4 * shop.attributes + shop.titles * (coded + SLOT + 8))
        return sizes

    def _words(self) -> int:
        """Of each item its words, a code and two frequencies; where they begin, how many; and the same by word."""
        return self.items * (8 + 8 + self.shop.words * (6 + 8)) if self.shop.words else 0

    def _nodes(self) -> list[tuple[int, int]]:
        """The nodes and the dimension of each channel's graphs. A fit predicts vectors that items lack."""
        channels = self.shop.channels
        if self.items < self.settings.segment_rows:
            return []
        most = max(channel.share for channel in channels)
        return [(int(self.items * (most if self.shop.fitted else c.share)), c.dim) for c in channels]

    def _graphs(self) -> int:
        nodes = self._nodes()
        return SEGMENTS * GRAPH * len(nodes) + sum(n * (_node(dim) + NODE) for n, dim in nodes)

    def _graph_files(self) -> int:
        return sum(n * (_node(dim) + 16) for n, dim in self._nodes())

    def _copies(self) -> int:
        """What graphs are built from: h, twice the vectors of a channel, and a hash of each."""
        hashed = _text(0) + ENTRY + NUMBER
        vectors = [n * (2 * 4 * dim + hashed) for n, dim in self._nodes()]
        return 4 * self.width * self.items + max(vectors) if vectors else 0

    def _events(self) -> int:
        """Of each event what it is, and takers by day, 12 bytes and new ones in a dictionary; of each user a name, a
        code and packed events; of each item a name, a code and four numbers; without matrices lists of takers."""
        shop = self.shop
        user = _text(USER_ID) + ENTRY + NUMBER + SLOT + 48 + 24
        item = _text(shop.id_bytes) + ENTRY + NUMBER + SLOT + 4 * 8
        counted = shop.events * (EVENT + 25) + shop.users * user + self.taken * item
        return counted if self.has_matrices else counted + 4 * shop.events + 200 * self.taken

    def _matrices(self) -> int:
        return PAIR * self.taken**2 if self.has_matrices else 0

    def _ordered(self) -> int:
        """The most ordered pairs that can occur."""
        return min(self.taken**2, SOON * self.shop.events)

    def _table_entries(self) -> int:
        if not self.has_tables:
            return 0
        # About half of the entries of EASE are positive, and only these are kept.
        behaviour = min(self.taken, MOST_IN_EASE) * min(KEPT_PER_ROW, self.taken // 2)
        return behaviour + min(self._ordered(), KEPT_PER_ROW * self.taken)

    def _tables(self) -> int:
        """Entries of 8 bytes by row and by column; of each item a name, a row and some numbers."""
        item = _text(self.shop.id_bytes) + SLOT + ENTRY + NUMBER + 5 * 8
        return 2 * 8 * self._table_entries() + self.taken * item

    def _process(self) -> int:
        if not self.has_tables or self.taken < WORTH_A_PROCESS:
            return 0
        return TABLES_PROCESS + KEPT_PER_ENTRY * self._table_entries()

    def _caches(self) -> int:
        settings, shop = self.settings, self.shop
        users = min(settings.user_memory_bytes, int(shop.users * (self._past() * PAST + USER)))
        vectors = settings.embedding_cache_bytes if shop.models else 0
        return settings.recommendation_memory_bytes + users + vectors

    def _past(self) -> float:
        """Events of a user that count, on average."""
        return min(self.shop.events / max(self.shop.users, 1), MOST_PAST)

    def _computing(self) -> int:
        """In the process a copy of the counts, the matrix of EASE and tables; then new tables beside the old ones."""
        if not self.has_tables:
            return 0
        n, most = self.taken, min(self.taken, MOST_IN_EASE)
        ease = 4 * most**2 + 2 * 8 * most * min(KEPT_PER_ROW, most // 2)
        if self.has_matrices:
            work = 2 * n**2 + 8 * self._ordered() + ease
        else:
            both = min(most**2, int(self.shop.users * self._past() ** 2))
            work = 60 * self.shop.events + max(ease + 8 * both, 3 * 16 * self._ordered())
        return max(work, 3 * 8 * self._table_entries())

    def _saving(self) -> int:
        """Copies of the matrices and of all events, three times, and places of the pairs that occur."""
        pairs = self._matrices() + 12 * self._ordered() if self.has_matrices else 0
        return pairs + 3 * EVENT * self.shop.events

    def _moving(self) -> int:
        """The items twice, and what the second time takes. The first time there are no tables yet, and the events are
        counted anew, in matrices until too many items have events for these."""
        if not self.shop.fitted:
            return 0
        again = self._rows() + self._ids() + self._attributes() + self._words() + self._graphs()
        most = min(self.taken, self.settings.matrix_items)
        counting = 0 if self.has_matrices or not self.has_tables else PAIR * most**2
        first = self._events() + counting - self._tables() - self._process()
        return again + max(self._copies(), self._computing(), first)

    def _stored_vectors(self) -> int:
        """Contents and vectors, each with a checksum and an index; which item has them, and the other way round."""
        total = 0
        for channel in self.shop.channels:
            for stored in (4 * channel.dim, channel.stored):
                if stored:
                    own = _row(stored + CONTENT + ENCODER + 14) + _entry(CONTENT + ENCODER + 6)
                    total += int(self.items * channel.share) * own
            total += self.items * (_entry(CONTENT + 9) + CONTENT + 15)
        return total

    def _stored_documents(self) -> int:
        shop = self.shop
        return self.items * (_row(shop.document + shop.id_bytes + 25) + _entry(shop.id_bytes + 7))

    def _stored_events(self) -> int:
        """Ids and numbers, and indexes of ids, of users and of collections."""
        own = EVENT_ID + USER_ID + self.shop.id_bytes + 34
        return self.shop.events * (own + _entry(EVENT_ID + 7) + _entry(USER_ID + 15) + 10)

    def _events_file(self) -> int:
        """Of the file of counts the events, the takers by day and the users."""
        return (EVENT + 16) * self.shop.events + 15 * self.shop.users

    def _pairs_file(self) -> int:
        """Of the file of counts the matrices; of ordered pairs without the zeros, if these are most."""
        return 2 * self.taken**2 + min(4 * self.taken**2, 12 * self._ordered()) if self.has_matrices else 0


def _text(length: int) -> int:
    """Bytes of a text of ASCII in memory."""
    return math.ceil((TEXT + length) / 16) * 16


def _doubled(count: int) -> int:
    """Room of an array that doubles, from 256 on, for `count` and one more."""
    return 256 << max(0, math.ceil(math.log2((count + 1) / 256)))


def _node(dim: int) -> int:
    """Bytes of a node: vector, links and their number, label; and links above, for one of M - 1 nodes."""
    return 4 * dim + 4 * (2 * LINKS + 1) + 8 + 4 * (LINKS + 1) // (LINKS - 1)


def _row(payload: int) -> int:
    """Bytes on disk of a row, and its share of what is left of a page."""
    own = payload + 6
    return PAGE // ((PAGE - 12) // own) if own < PAGE - 50 else _rounded(own, PAGE)


def _entry(key: int) -> int:
    """Bytes on disk of an entry of an index."""
    return int(key / FILLED)


def _rounded(amount: float, unit: int) -> int:
    return math.ceil(amount / unit) * unit
