"""The graphs: when they are built, what a snapshot survives, and that a damaged one costs time but no results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.derived import DerivedFolder
from itemlens_server.fusion.rows import Array, Ints, Rows, View
from itemlens_server.index import segments as graphs
from itemlens_server.index.candidate_index import CandidateRequest
from itemlens_server.index.hnsw import SCANNED_PER_CANDIDATE, HnswIndex
from itemlens_server.index.segments import Block, Segment

BLOCKS = (Block("text", 0, 6), Block("image", 8, 12))
DIMENSION = 14
IDENTITY = {"space_id": "sp-1", "collection": 1}


def random_h(count: int, seed: int = 0) -> Array:
    """Items with text, half of them with a picture, the others with an imputed one."""
    rng = np.random.default_rng(seed)
    h = np.zeros((count, DIMENSION), np.float32)
    for block, scale in zip(BLOCKS, (1.0, 0.5), strict=True):
        e = rng.normal(size=(count, block.stop - block.start))
        h[:, block.start : block.stop] = e / np.linalg.norm(e, axis=1, keepdims=True)
        imputed = rng.random(count) < (0.5 if block.channel == "image" else 0.0)
        h[imputed, block.start : block.stop] *= scale
        h[:, block.stop], h[:, block.stop + 1] = ~imputed, imputed
    return h


class Indexed:
    """Rows with an index over them, as in a collection."""

    def __init__(
        self,
        folder: Path | DerivedFolder,
        segment_rows: int = 50,
        identity: dict[str, object] = IDENTITY,
        depth: int = 10,
    ) -> None:
        self.rows = Rows(DIMENSION)
        self.index = HnswIndex(
            BLOCKS,
            folder=DerivedFolder(folder) if isinstance(folder, Path) else folder,
            name="graphs",
            identity=identity,
            segment_rows=segment_rows,
            candidates_per_channel=depth,
        )

    def append(self, labels: Iterable[int], item_ids: list[str], h: Array) -> None:
        self.rows.append(np.asarray(list(labels), np.int64), item_ids, h)

    @property
    def view(self) -> View:
        return self.rows.view()

    def maintain(self) -> bool:
        return self.index.build(self.view)

    def load_graphs(self) -> None:
        self.index.load(self.view, max([0, *self.view.labels.tolist()]))

    def graph_rows(self) -> int:
        return self.index.graph_rows()

    def candidates(self, view: View, directions: dict[str, Array], k: int) -> list[Ints]:
        return self.index.search(view, CandidateRequest(directions, view.alive, k, 1)).positions


def index_at(
    folder: Path | DerivedFolder, segment_rows: int = 50, identity: dict[str, object] = IDENTITY
) -> Indexed:
    return Indexed(folder, segment_rows, identity)


def filled(folder: Path | DerivedFolder, count: int, segment_rows: int = 50) -> Indexed:
    indexed = index_at(folder, segment_rows)
    indexed.append(range(1, count + 1), [f"i{n}" for n in range(count)], random_h(count))
    return indexed


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


class TestPlan:
    @staticmethod
    def segment(first: int, last: int) -> Segment:
        return Segment(first, last, last - first + 1, {})

    def test_nothing_is_built_of_a_handful_of_rows(self) -> None:
        assert graphs.plan([], np.arange(1, 40), 50) is None

    def test_enough_fresh_rows_become_a_segment(self) -> None:
        assert graphs.plan([], np.arange(1, 61), 50) == (0, 60)

    def test_a_large_segment_stays_and_a_small_neighbour_is_taken_in(self) -> None:
        segments = [self.segment(1, 1000), self.segment(1001, 1100)]
        assert graphs.plan(segments, np.arange(1, 1251), 50) == (1, 250)

    def test_a_segment_that_is_mostly_dead_is_built_again(self) -> None:
        alive = np.concatenate([np.arange(1, 61), np.arange(101, 201)])
        assert graphs.plan([self.segment(1, 100), self.segment(101, 200)], alive, 50) == (0, 160)

    def test_an_emptied_collection_drops_its_segments(self) -> None:
        assert graphs.plan([self.segment(1, 100)], np.arange(0), 50) == (0, 0)
        assert graphs.plan([], np.arange(0), 50) is None

    @given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
    def test_each_row_is_built_a_logarithmic_number_of_times(self, batches: list[int]) -> None:
        minimum, total, built = 50, 0, 0
        segments: list[Segment] = []
        for batch in batches:
            total += batch
            while (work := graphs.plan(segments, np.arange(1, total + 1), minimum)) is not None:
                stay, size = work
                built += size
                segments = [*segments[:stay], self.segment(total - size + 1, total)]
        assert built <= total * (np.log2(max(total / minimum, 1)) + 2)
        assert len(segments) <= np.log2(max(total / minimum, 1)) + 2
        fresh = total - sum(s.rows for s in segments)
        assert fresh < max(minimum, total // 10) + 1


@settings(max_examples=20)
@given(st.integers(60, 150), st.integers(0, 40), st.integers(0, 1000))
def test_candidates_are_near_rows_fresh_rows_and_no_dead_ones(count: int, gone: int, seed: int) -> None:
    # Arrange
    rng = np.random.default_rng(seed)
    index = index_at(Path("/nonexistent/never-written"))
    index.append(range(1, count + 1), [f"i{n}" for n in range(count)], random_h(count, seed))
    index.maintain()  # the snapshot cannot be written there, but the graphs are used
    index.append([count + 1], ["fresh"], random_h(1, seed + 1))
    dead = {f"i{n}" for n in rng.permutation(count)[:gone]}
    for item_id in dead:
        index.rows.remove(item_id)
    view = index.view
    direction = rng.normal(size=(1, 6)).astype(np.float32)
    # Act
    [candidates] = index.candidates(view, {"text": direction / np.linalg.norm(direction)}, 10)
    # Assert
    names = {view.item_ids[p] for p in candidates}
    assert "fresh" in names and not names & dead
    alive = np.flatnonzero(view.alive)
    best = alive[np.argsort(-(view.h[alive, :6] @ direction[0]))][:10]
    assert set(best.tolist()) <= set(candidates.tolist())
    assert candidates.tolist() == sorted(set(candidates.tolist()))


class TestSnapshot:
    def test_comes_back_with_all_its_rows(self, tmp_path: Path) -> None:
        assert filled(tmp_path, 80).maintain()
        again = filled(tmp_path, 80)
        again.load_graphs()
        assert again.graph_rows() == 80
        assert not again.maintain()  # nothing is left to do

    def test_leaves_no_other_files(self, tmp_path: Path) -> None:
        index = filled(tmp_path, 80)
        index.maintain()
        index.append(range(81, 200), [f"j{n}" for n in range(119)], random_h(119, 1))
        index.maintain()
        assert [p.name for p in tmp_path.iterdir()] == ["graphs"]
        described = json.loads((tmp_path / "graphs" / graphs.MANIFEST).read_text())["snapshot"]["segments"]
        files = {g[file] for s in described for g in s["graphs"] for file in ("nodes", "items")}
        assert {p.name for p in files_of(tmp_path)} == {*files, graphs.MANIFEST}

    def test_of_another_space_is_not_used(self, tmp_path: Path) -> None:
        filled(tmp_path, 80).maintain()
        other = index_at(tmp_path, identity={"space_id": "sp-2", "collection": 1})
        other.load_graphs()
        assert other.graph_rows() == 0

    def test_that_lacks_rows_of_the_store_is_not_used(self, tmp_path: Path) -> None:
        # As after a backup of the store was restored: the same row numbers, other items.
        old = index_at(tmp_path)
        h = random_h(80)
        h[40:, 8:14] = 0  # no pictures from row 40 on
        old.append(range(1, 81), [f"i{n}" for n in range(80)], h)
        old.maintain()
        again = filled(tmp_path, 80)
        again.load_graphs()
        assert again.graph_rows() == 0

    def test_of_the_same_rows_with_other_contents_is_not_used(self, tmp_path: Path) -> None:
        filled(tmp_path, 80).maintain()
        h = random_h(80)
        h[[20, 21]] = h[[21, 20]]
        again = index_at(tmp_path)
        again.append(range(1, 81), [f"i{n}" for n in range(80)], h)
        again.load_graphs()
        assert again.graph_rows() == 0

    def test_of_rows_that_the_store_has_yet_to_number_is_not_used(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        # The graph holds 80 rows, the backup 60: the next new item gets number 61 too.
        filled(tmp_path, 80).maintain()
        again = filled(tmp_path, 60)
        again.load_graphs()
        assert again.graph_rows() == 0 and "other items" in caplog.text

    def test_of_a_store_with_rows_before_its_first_is_not_used(self, tmp_path: Path) -> None:
        late = index_at(tmp_path)
        late.append(range(41, 121), [f"i{n}" for n in range(40, 120)], random_h(120)[40:])
        late.maintain()
        again = filled(tmp_path, 120)
        again.load_graphs()
        assert again.graph_rows() == 0

    def test_keeps_the_segments_before_the_first_that_does_not_fit(self, tmp_path: Path) -> None:
        index = filled(tmp_path, 400)
        index.maintain()
        index.append(range(401, 461), [f"j{n}" for n in range(60)], random_h(60, 1))
        index.maintain()
        again = filled(tmp_path, 400)
        again.load_graphs()
        assert again.graph_rows() == 400

    def test_survives_deleted_rows(self, tmp_path: Path) -> None:
        filled(tmp_path, 80).maintain()
        again = filled(tmp_path, 80)
        for n in (0, 30, 79):
            again.rows.remove(f"i{n}")
        again.load_graphs()
        assert again.graph_rows() == 80

    def test_with_any_bit_flipped_or_any_tail_cut_is_taken_whole_or_built_again(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(5)
        filled(tmp_path, 80).maintain()
        directions = {"text": random_h(1, 7)[:, :6]}
        whole = filled(tmp_path, 80)
        whole.load_graphs()
        [right] = whole.candidates(whole.view, directions, 5)
        for path in files_of(tmp_path):
            intact = path.read_bytes()
            for n in range(60 if path.name == graphs.MANIFEST else 8):
                damaged = bytearray(intact)
                damaged[rng.integers(len(intact))] ^= 1 << int(rng.integers(8))
                path.write_bytes(damaged if n % 4 else intact[: rng.integers(len(intact))])
                again = filled(tmp_path, 80)
                again.load_graphs()
                assert again.graph_rows() in (0, 80)
                [found] = again.candidates(again.view, directions, 5)
                # Without graphs all rows are candidates.
                assert np.array_equal(found, right if again.graph_rows() else np.arange(80))
            path.write_bytes(intact)

    def test_whose_manifest_and_files_disagree_is_built_again(self, tmp_path: Path) -> None:
        filled(tmp_path, 80).maintain()
        manifest = tmp_path / "graphs" / graphs.MANIFEST
        about = json.loads(manifest.read_text())
        for key, value in (("count", 79), ("count", None), ("channel", "none"), ("nodes", "../x")):
            changed = json.loads(json.dumps(about["snapshot"]))
            changed["segments"][0]["graphs"][0][key] = value
            # With a matching checksum, or without one.
            for sha256 in (about["sha256"], graphs._checksum(changed)):
                manifest.write_text(json.dumps({"sha256": sha256, "snapshot": changed}))
                again = filled(tmp_path, 80)
                again.load_graphs()
                assert again.graph_rows() == 0

    @pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
    def test_that_is_damaged_is_built_again(self, tmp_path: Path, damage: str) -> None:
        filled(tmp_path, 80).maintain()
        for path in files_of(tmp_path):
            intact = path.read_bytes()
            # Arrange
            if damage == "gone":
                path.unlink()
            else:
                middle = len(intact) // 2
                flipped = intact[:middle] + bytes([intact[middle] ^ 255]) + intact[middle + 1 :]
                path.write_bytes({"cut": intact[:middle], "flip": flipped, "empty": b""}[damage])
            # Act
            again = filled(tmp_path, 80)
            again.load_graphs()
            # Assert
            assert again.graph_rows() == 0
            assert again.maintain() and again.graph_rows() == 80
            # All rows are searched, and the new snapshot is complete.
            third = filled(tmp_path, 80)
            third.load_graphs()
            assert third.graph_rows() == 80

    def test_of_another_shape_is_built_again(self, tmp_path: Path) -> None:
        for content in (
            "[]",
            "{}",
            "null",
            '{"identity": 1, "segments": 2}',
            json.dumps({"identity": IDENTITY, "segments": [1]}),
        ):
            (tmp_path / "graphs").mkdir(exist_ok=True)
            (tmp_path / "graphs" / graphs.MANIFEST).write_text(content)
            index = filled(tmp_path, 80)
            index.load_graphs()
            assert index.graph_rows() == 0

    def test_that_was_not_written_whole_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        # A full disk: hnswlib does not detect it.
        def short(self: object, path: str) -> None:
            Path(path).write_bytes(b"half")

        index = filled(tmp_path, 80)
        graph_type = type(graphs.build(np.array([1]), random_h(1), BLOCKS).graphs["text", "present"].hnsw)
        monkeypatch.setattr(graph_type, "save_index", short)
        assert index.maintain()
        assert index.graph_rows() == 80
        assert "cannot be written" in caplog.text
        assert files_of(tmp_path) == []

    def test_of_a_deleted_collection_is_not_written(self, tmp_path: Path) -> None:
        # A build that was running when the collection was deleted.
        folder = DerivedFolder(tmp_path / "1")
        index = filled(folder, 80)
        folder.delete()
        assert index.maintain() and index.graph_rows() == 80
        assert list(tmp_path.iterdir()) == []


def test_thousands_of_equal_items_are_found_like_any_others(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    index.append(range(1, 5001), [f"i{n}" for n in range(5000)], np.tile(random_h(1), (5000, 1)))
    index.maintain()
    [candidates] = index.candidates(index.view, {"text": random_h(1)[:, :6]}, 20)
    assert 40 <= len(candidates) < 5000


class TestDepth:
    """The search depth of graphs, and when a scan is better, by the rules of the index."""

    def depth(self, tmp_path: Path, k: int = 5, masked: int = 0, from_items: bool = False) -> int | None:
        index = Indexed(tmp_path, depth=20)
        index.append(range(1, 4001), [f"i{n}" for n in range(4000)], random_h(4000))
        mask = index.view.alive.copy()
        mask[:masked] = False
        request = CandidateRequest({"text": random_h(1)[:, :6]}, mask, k, 1, from_items)
        return index.index.search(index.view, request).depth

    def test_is_the_setting_or_twice_the_list(self, tmp_path: Path) -> None:
        assert self.depth(tmp_path) == 20
        assert self.depth(tmp_path, k=15) == 30

    def test_items_are_found_at_half_of_it(self, tmp_path: Path) -> None:
        assert self.depth(tmp_path, from_items=True) == 10

    def test_grows_with_the_share_that_the_mask_takes_out(self, tmp_path: Path) -> None:
        assert self.depth(tmp_path, masked=1000) == 27

    def test_a_scan_is_better_where_it_costs_less(self, tmp_path: Path) -> None:
        assert self.depth(tmp_path, k=83) == 166 < 4000 / SCANNED_PER_CANDIDATE
        assert self.depth(tmp_path, k=84) is None
        # Only what may be in the list is scanned.
        assert self.depth(tmp_path, masked=3000) is None


@pytest.mark.parametrize("allowed", [1, 10, 300])
def test_where_the_mask_leaves_little_it_is_found_all_the_same(tmp_path: Path, allowed: int) -> None:
    index = Indexed(tmp_path, depth=30)
    index.append(range(1, 2001), [f"i{n}" for n in range(2000)], random_h(2000))
    index.maintain()
    mask = np.zeros(2000, np.bool_)
    mask[np.random.default_rng(0).permutation(2000)[:allowed]] = True
    request = CandidateRequest({"text": random_h(1)[:, :6]}, mask, 5, 1)
    found = index.index.search(index.view, request)
    [candidates] = found.positions
    assert found.depth is None or found.depth >= 30
    assert (found.depth is None) == (len(candidates) == allowed)
    assert min(allowed, 30) <= len(candidates) and mask[candidates].all()
    exact = np.argsort(-(index.view.h[:, :6] @ random_h(1)[0, :6])[mask], kind="stable")[:5]
    assert len(set(np.flatnonzero(mask)[exact]) & set(candidates.tolist())) >= min(allowed, 5) - 1


def test_each_channel_gives_candidates_where_the_mask_takes_out_its_nearest(tmp_path: Path) -> None:
    """Of one channel all of the nearest are out, of the other hardly any."""
    index = Indexed(tmp_path, depth=20)
    h = random_h(6000)
    index.append(range(1, 6001), [f"i{n}" for n in range(6000)], h)
    index.maintain()
    view = index.view
    directions = {block.channel: random_h(1)[:, block.start : block.stop] for block in BLOCKS}
    names = list(directions)
    scores = {
        block.channel: view.h[:, block.start : block.stop] @ directions[block.channel][0] for block in BLOCKS
    }
    mask = view.alive.copy()
    mask[np.argsort(-scores[names[0]])[:600]] = False
    found = index.index.search(view, CandidateRequest(directions, mask, 5, 1))
    [candidates] = found.positions
    for name in names:
        own = np.where(mask, scores[name], -np.inf)
        best = set(np.argsort(-own)[:5].tolist())
        assert len(best & set(candidates.tolist())) >= 4, name


@pytest.mark.parametrize("channels", [[], ["nowhere"]])
def test_all_rows_are_candidates_where_no_graph_is_asked(tmp_path: Path, channels: list[str]) -> None:
    """As for somebody of whom nothing is known, whose query has no direction."""
    index = Indexed(tmp_path, depth=10)
    index.append(range(1, 3001), [f"i{n}" for n in range(3000)], random_h(3000))
    index.maintain()
    directions = {name: random_h(1)[:, :6] for name in channels}
    found = index.index.search(index.view, CandidateRequest(directions, index.view.alive, 5, 1))
    assert found.depth is None and len(found.positions[0]) == 3000


def test_nothing_outside_the_mask_is_a_candidate(tmp_path: Path) -> None:
    index = filled(tmp_path, 400)
    index.maintain()
    mask = index.view.alive.copy()
    mask[::9] = False
    for k in (5, 390):  # with the graphs, and with a scan
        request = CandidateRequest({"text": random_h(2)[:, :6]}, mask, k, 2)
        for candidates in index.index.search(index.view, request).positions:
            assert len(candidates) and mask[candidates].all()
