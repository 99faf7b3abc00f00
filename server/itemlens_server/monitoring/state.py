"""Prometheus metrics of the server's state, read when they are asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from itemlens_server.hardware import memory
from itemlens_server.monitoring.gpu import gpu_memory
from itemlens_server.services import Collection, UseCases

# A label for each collection; those beyond are summed up, so that callers cannot make labels without end.
MOST_COLLECTIONS = 100
OTHERS = "(others)"

_OF_COLLECTIONS = {
    "itemlens_items": "Items.",
    "itemlens_dead_rows": "Rows of items that were replaced or deleted and are still in memory.",
    "itemlens_fresh_rows": "Rows that are in no graph yet and are searched exactly.",
    "itemlens_graph_segments": "Segments of the index, each with a graph for each channel.",
    "itemlens_uncounted_writes": "Writes that the tables of behaviour do not know yet, items' writes included.",
}


@dataclass(frozen=True)
class StateCollector(Collector):
    """Reads queues, caches, collections and the store."""

    use_cases: UseCases

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield from self._encoders()
        yield from self._cache()
        yield from _collections(self.use_cases.catalogue.collections())
        yield from self._store()
        yield from self._recall()
        yield from _memory()
        yield from _gpus()

    def _encoders(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "itemlens_queue_tokens", "Tokens (or pictures) that wait for an encoder.", labels=["encoder"]
        )
        most = GaugeMetricFamily(
            "itemlens_queue_limit_tokens", "Above so many, interactive calls are refused.", labels=["encoder"]
        )
        refused = CounterMetricFamily(
            "itemlens_refused_calls", "Calls that found the queue full.", labels=["encoder"]
        )
        about = GaugeMetricFamily(
            "itemlens_encoder",
            "1 for each encoder, with how it runs.",
            labels=["encoder", "provider", "precision"],
        )
        encoders = {e.name: e for c in self.use_cases.catalogue.spaces_in_use() for e in c.encoders.values()}
        for name, encoder in encoders.items():
            if encoder.plan is None:
                continue
            waiting.add_metric([name], encoder.waiting_tokens())
            most.add_metric([name], encoder.max_queue_tokens)
            refused.add_metric([name], encoder.counts().refused)
            about.add_metric([name, encoder.provider, encoder.precision.value], 1)
        yield from (waiting, most, refused, about)

    def _cache(self) -> Iterator[Metric]:
        cache = self.use_cases.content_encoder.cache
        looked = CounterMetricFamily(
            "itemlens_cache_lookups",
            "Contents that were looked up in the cache of vectors.",
            labels=["found"],
        )
        looked.add_metric(["yes"], cache.hits)
        looked.add_metric(["no"], cache.misses)
        yield looked
        yield GaugeMetricFamily("itemlens_cache_bytes", "Bytes of the cached vectors.", value=cache.bytes)

    def _recall(self) -> Iterator[Metric]:
        questions = CounterMetricFamily(
            "itemlens_live_recall_questions", "Questions that were answered again exactly.", labels=["kind"]
        )
        items = CounterMetricFamily(
            "itemlens_live_recall_items",
            "Items of the exact lists, and whether callers' lists had them.",
            labels=["kind", "found"],
        )
        left_out = CounterMetricFamily(
            "itemlens_live_recall_left_out",
            "Questions that were to be answered again and were not: another one was, or it failed.",
            labels=["why"],
        )
        live_recall = self.use_cases.recommender.live_recall
        for why, count in live_recall.left_out().items():
            left_out.add_metric([why], count)
        for kind, recall in live_recall.sums().items():
            questions.add_metric([kind], recall.questions)
            items.add_metric([kind, "yes"], recall.found)
            items.add_metric([kind, "no"], recall.items - recall.found)
        yield from (questions, items, left_out)

    def _store(self) -> Iterator[Metric]:
        folder = self.use_cases.catalogue.store.directory
        files = GaugeMetricFamily("itemlens_store_bytes", "Bytes of the store's files.", labels=["file"])
        for file in ("itemlens.db", "itemlens.db-wal", "answers.db", "answers.db-wal"):
            files.add_metric([file], _size(folder / file))
        yield files
        free = GaugeMetricFamily("itemlens_disk_free_bytes", "Free bytes on the disk of the data folder.")
        try:
            free.add_metric([], shutil.disk_usage(folder).free)
        except OSError:
            return
        yield free


def _memory() -> Iterator[Metric]:
    used = GaugeMetricFamily(
        "itemlens_memory_used_bytes", "Memory that is in use, by all processes that share the limit."
    )
    limit = GaugeMetricFamily(
        "itemlens_memory_limit_bytes", "Memory that the cgroup or the machine allows this process."
    )
    if (found := memory()) is not None:
        used.add_metric([], found.used)
        limit.add_metric([], found.limit)
    yield from (used, limit)


def _gpus() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "itemlens_gpu_memory_bytes", "Memory of the GPUs, of all processes.", labels=["gpu", "state"]
    )
    for own in gpu_memory():
        family.add_metric([own.gpu, "used"], own.used)
        family.add_metric([own.gpu, "free"], own.total - own.used)
    yield family


def _collections(collections: Sequence[Collection]) -> Iterable[Metric]:
    families = {
        name: GaugeMetricFamily(name, about, labels=["collection"]) for name, about in _OF_COLLECTIONS.items()
    }
    sums = dict.fromkeys(families, 0.0)
    for number, collection in enumerate(collections):
        for name, value in zip(families, _values(collection), strict=True):
            if number < MOST_COLLECTIONS:
                families[name].add_metric([collection.name], value)
            else:
                sums[name] += value
    if len(collections) > MOST_COLLECTIONS:
        for name, family in families.items():
            family.add_metric([OTHERS], sums[name])
    return families.values()


def _values(collection: Collection) -> tuple[float, ...]:
    """The values of a collection, in the order of `_OF_COLLECTIONS`."""
    view, index = collection.snapshot().view, collection.index.describe()
    alive = view.alive_count
    return (
        alive,
        len(view.labels) - alive,
        max(0, alive - index.rows),
        index.segments,
        collection.event_tables.uncounted_writes,
    )


def _size(path: os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
