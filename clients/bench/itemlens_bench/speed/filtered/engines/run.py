"""The process of one engine: python -m itemlens_bench.speed.filtered.engines.run NAME FOLDER

FOLDER has the rows and the questions (`Task`). The process fills the engine, then answers each line of stdin with a
line of JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .engine import Array, Bools, Condition, Engine, Rows, Search

K = 10
DEPTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
ROUNDING = 1e-5


@dataclass(frozen=True)
class Task:
    """What all engines are asked.

    questions:  unit length, float32 [questions, width]
    conditions: what rows must match
    worst:      the least score of an exact list, float32 [conditions, questions]
    """

    rows: Rows
    questions: Array
    conditions: tuple[Condition, ...]
    worst: Array

    def save(self, path: Path) -> None:
        """Write it to a file, .npz."""
        np.savez(
            path,
            vectors=self.rows.vectors,
            numbers=self.rows.numbers,
            brands=np.asarray(self.rows.brands),
            questions=self.questions,
            worst=self.worst,
            below=np.asarray([np.nan if c.below is None else c.below for c in self.conditions]),
            brand=np.asarray([c.brand for c in self.conditions]),
        )

    @staticmethod
    def load(path: Path) -> Task:
        """Read it."""
        with np.load(path) as data:
            conditions = tuple(
                Condition(None if np.isnan(below) else below, brand)
                for below, brand in zip(data["below"].tolist(), data["brand"].tolist(), strict=True)
            )
            rows = Rows(data["vectors"], data["numbers"], data["brands"].tolist())
            return Task(rows, data["questions"], conditions, data["worst"])


def recall(task: Task, condition: int, mask: Bools, search: Search, depth: int) -> float:
    """Return the mean share of an exact list that a list has. Rows of equal score stand for each other. mask: of the
    condition."""
    wanted = min(K, int(np.count_nonzero(mask)))
    shares = []
    for question, worst in zip(task.questions, task.worst[condition], strict=True):
        found = np.unique(search(question, depth))
        found = found[mask[found]]
        hits = np.count_nonzero(task.rows.vectors[found] @ question >= worst - ROUNDING)
        shares.append(min(1.0, hits / wanted) if wanted else 1.0)
    return float(np.mean(shares))


def rate(search: Search, task: Task, depth: int, callers: int, seconds: float) -> float:
    """Return searches a second of some threads, each of which asks one after the other."""
    counts = [0] * callers
    end = time.perf_counter() + seconds

    def ask(caller: int) -> None:
        n = caller
        while time.perf_counter() < end:
            search(task.questions[n % len(task.questions)], depth)
            counts[caller] += 1
            n += callers

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def answer(engine: Engine, task: Task, asked: dict[str, Any]) -> dict[str, Any]:
    """Answer {condition, at_least}: the least depth with this recall, or the greatest of all, and its recall; or
    {condition, depth, callers, seconds}: searches a second."""
    number = asked["condition"]
    condition = task.conditions[number]
    search = engine.search(condition, K)
    if "callers" in asked:
        return {"rate": rate(search, task, asked["depth"], asked["callers"], asked["seconds"])}
    mask = condition.mask(task.rows)
    reached = cache(lambda depth: recall(task, number, mask, search, depth))
    # Recall rises with the depth, so a few depths are enough to find the least one.
    least = bisect_left(DEPTHS[:-1], asked["at_least"], key=reached)
    return {"depth": DEPTHS[least], "recall": reached(DEPTHS[least])}


def main() -> None:
    """See the module."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    task = Task.load(folder / "task.npz")
    engine: Engine = import_module(f".{name}", __package__).Engine()
    files = folder / name
    files.mkdir()
    began = time.perf_counter()
    engine.fill(task.rows, files)
    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(engine, task, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
