"""The file of counts: it comes back as it was, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from itemlens_server.fusion.counts import file
from itemlens_server.fusion.counts.comparison import differences
from itemlens_server.fusion.counts.counts import Counts
from support.stories import BOUNDS, STEPS, Added, Forgotten, Step, Story

RULES = {"types": [5], "step": 0.6}


@given(STEPS, STEPS, BOUNDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_go_on_from_their_file(
    tmp_path: Path, before: list[Step], after: list[Step], bound: int
) -> None:
    story = Story(bound)
    story.tell(*before)
    file.save(tmp_path / "c.npz", story.counts.state(), "mark", RULES)
    state = file.load(tmp_path / "c.npz", "mark", RULES)
    assert state is not None
    if (
        story.counts.pairs is None and len(state.item_ids) <= bound
    ):  # without the items that nobody has any more
        with pytest.raises(ValueError, match="no matrices"):
            Counts.restored(state, bound)
        return
    again = Story(bound)
    again.counts, again.events, again.last = Counts.restored(state, bound), list(story.events), story.last
    for told in (story, again):
        told.tell(*after)
    assert differences(again.counts.counted(), story.counts.counted()) == []
    assert again.counts.histories.events == story.counts.histories.events
    assert again.counts.last == story.counts.last


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    story = Story()
    story.tell(Added([("u", "a", 1), ("u", "b", 2), ("v", "a", 1), ("v", "c", 4), ("w", "d", 3)]))
    file.save(tmp_path / "c.npz", story.counts.state(), "mark", RULES)
    return tmp_path / "c.npz"


def test_names_of_items_that_nobody_has_any_more_are_not_in_the_state() -> None:
    story = Story()
    story.tell(Added([("u", "a", 1), ("secret", "b", 2), ("secret", "a", 3), ("v", "c", 1), ("v", "a", 2)]))
    story.tell(Forgotten("secret"))
    state = story.counts.state()
    assert state.item_ids == ["a", "c"]
    assert differences(Counts.restored(state).counted(), story.counts.counted()) == []
    assert story.counts.item_ids == ["a", "b", "c"]  # until the next start


def test_matrices_of_mostly_zeros_take_little_room(tmp_path: Path) -> None:
    counts = Counts()
    counts.add([(f"u{n}", f"i{n}", 1.0, n) for n in range(1000)])
    file.save(tmp_path / "c.npz", counts.state(), "mark", RULES)
    assert (tmp_path / "c.npz").stat().st_size < 200_000
    state = file.load(tmp_path / "c.npz", "mark", RULES)
    assert state is not None
    assert differences(Counts.restored(state).counted(), counts.counted()) == []


def test_of_another_mark_or_other_rules_is_none(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert file.describe(saved) == file.Description(RULES, 4, True)
    assert file.load(saved, "mark", RULES) is not None
    assert file.load(saved, "other", RULES) is None
    assert file.load(saved, "mark", {**RULES, "step": 0.5}) is None
    assert "counted again" in caplog.text
    assert file.load(saved.with_name("missing"), "mark", RULES) is None


def test_with_any_bit_flipped_or_any_tail_cut_is_whole_or_none(saved: Path) -> None:
    rng = np.random.default_rng(1)
    intact = saved.read_bytes()
    whole = file.load(saved, "mark", RULES)
    assert whole is not None
    for n in range(300):
        flipped = bytearray(intact)
        flipped[rng.integers(len(intact))] ^= 1 << int(rng.integers(8))
        saved.write_bytes(bytes(flipped) if n % 4 else intact[: rng.integers(len(intact))])
        state = file.load(saved, "mark", RULES)
        if state is not None:
            assert (state.users, state.item_ids) == (whole.users, whole.item_ids)
            for name, values in whole.arrays.items():
                np.testing.assert_array_equal(state.arrays[name], values)


@pytest.mark.parametrize("wrong", ["sizes", "items", "pairs", "times"])
def test_of_arrays_that_do_not_belong_together_is_refused(saved: Path, wrong: str) -> None:
    state = file.load(saved, "mark", RULES)
    assert state is not None
    changed = {**state.arrays, wrong: np.concatenate([state.arrays[wrong], state.arrays[wrong] + 99])}
    with pytest.raises((ValueError, IndexError)):
        Counts.restored(type(state)(state.users, state.item_ids, changed))


def test_without_matrices_is_refused_where_there_is_room_for_them(tmp_path: Path) -> None:
    story = Story(2)
    story.tell(Added([("u", "a", 1), ("u", "b", 2), ("v", "c", 1)]))
    file.save(tmp_path / "c.npz", story.counts.state(), "mark", RULES)
    assert file.describe(tmp_path / "c.npz") == file.Description(RULES, 3, False)
    state = file.load(tmp_path / "c.npz", "mark", RULES)
    assert state is not None
    assert differences(Counts.restored(state, 2).counted(), story.counts.counted()) == []
    with pytest.raises(ValueError, match="no matrices"):
        Counts.restored(state, 3)
