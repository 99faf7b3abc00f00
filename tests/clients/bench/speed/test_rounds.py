"""Interleaved rounds."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from itemlens_bench.speed.rounds import Measured, play, rotated


@dataclass
class Noting:
    """Records each call of `measure` in a shared list."""

    name: str
    notes: list[tuple[str, int, int]] = field(default_factory=list)

    def measure(self, first: int, texts: int) -> Measured:
        self.notes.append((self.name, first, texts))
        return Measured(calls=texts // 2, texts=texts, seconds=4.0, cpu_seconds=1.0, rss_bytes=0)


def test_the_order_rotates() -> None:
    assert [rotated("abc", turn) for turn in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]


def test_each_round_has_all_contestants_in_a_rotated_order_and_new_texts() -> None:
    notes: list[tuple[str, int, int]] = []
    played = play([Noting("raw", notes), Noting("ours", notes)], rounds=3, texts=100)
    assert notes == [
        ("raw", 0, 100), ("ours", 0, 100), ("ours", 100, 100), ("raw", 100, 100), ("raw", 200, 100), ("ours", 200, 100)
    ]  # fmt: skip
    assert {name: len(measured) for name, measured in played.items()} == {"raw": 3, "ours": 3}


def test_then_is_called_after_every_turn() -> None:
    calls: list[int] = []
    play([Noting("a"), Noting("b")], rounds=2, texts=1, then=lambda: calls.append(1))
    assert len(calls) == 4


def test_throughput_counts_answered_calls() -> None:
    measured = Noting("a").measure(0, 100)
    assert measured.texts_per_second == pytest.approx(25.0)
    assert measured.calls_per_second == pytest.approx(12.5)
