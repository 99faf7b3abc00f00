"""One graph: items that share a node, the results of a search, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from itemlens_server.fusion.head import unit
from itemlens_server.fusion.rows import Array, Bools, Ints
from itemlens_server.index import graph as graph_module
from itemlens_server.index.graph import Graph

WIDTH = 16


def vectors(count: int, seed: int = 0) -> Array:
    return unit(np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32))


def with_group(count: int, equal: int) -> Array:
    """Return `count` vectors, the first `equal` of which are equal."""
    e = vectors(count)
    e[:equal] = e[0]
    return e


def labels_of(count: int) -> Ints:
    return np.arange(1, count + 1)


def everything(labels: Ints) -> Bools:
    return np.ones(len(labels), np.bool_)


class TestNodes:
    def test_items_of_equal_vectors_share_one(self) -> None:
        graph = Graph.build(labels_of(50), with_group(50, 20))
        assert graph.hnsw.get_current_count() == 31
        assert graph.labels[graph.starts[0] : graph.starts[1]].tolist() == list(range(1, 21))

    def test_rounding_does_not_keep_items_of_one_content_apart(self) -> None:
        e = with_group(400, 400)
        noise = np.asarray(np.random.default_rng(1).normal(size=e.shape), np.float32)
        e = unit(e + 1e-8 * noise)
        assert len(np.unique(e, axis=0)) > 1
        assert Graph.build(labels_of(400), e).hnsw.get_current_count() == 1

    def test_others_have_their_own(self) -> None:
        e = vectors(100)
        e[1] = unit(e[:1] + 0.01 * vectors(1, 5))
        assert Graph.build(labels_of(100), e).hnsw.get_current_count() == 100


class TestSearch:
    def test_of_a_large_node_others_are_not_crowded_out(self) -> None:
        e = with_group(3000, 2000)
        [found] = Graph.build(labels_of(3000), e).search(e[:1], 50, everything)
        most = graph_module.MOST_OF_NODE * 50
        assert int((found <= 2000).sum()) == most
        others = 2001 + np.argsort(-(e[2000:] @ e[0]))[:40]
        assert np.isin(others, found).all() and len(found) <= most + 50

    def test_small_groups_are_taken_whole(self) -> None:
        e = np.repeat(vectors(100), 5, axis=0)
        [found] = Graph.build(labels_of(500), e).search(e[:1], 20, everything)
        assert len(found) == 40
        assert all(np.isin(range(5 * n + 1, 5 * n + 6), found).all() for n in {(f - 1) // 5 for f in found})

    @pytest.mark.parametrize("gone", [100, 1999])
    def test_those_of_a_node_that_may_not_be_in_the_list_do_not_hide_the_others(self, gone: int) -> None:
        e = with_group(3000, 2000)
        graph = Graph.build(labels_of(3000), e)
        [found] = graph.search(e[:1], 50, lambda labels: labels > gone)
        mine = found[found <= 2000]
        assert len(mine) == min(2000 - gone, graph_module.MOST_OF_NODE * 50) and mine.min() > gone

    def test_a_node_that_is_all_gone_leaves_its_room_to_the_others(self) -> None:
        e = with_group(3000, 2000)
        graph = Graph.build(labels_of(3000), e)
        [found] = graph.search(e[:1], 50, lambda labels: labels > 2000)
        assert len(found) == 49 and found.min() > 2000

    def test_where_the_graph_falls_into_parts_all_nodes_are_compared(self) -> None:
        class InParts:
            def __init__(self, whole: Graph) -> None:
                self.whole = whole.hnsw

            def knn_query(self, *_: object, **__: object) -> None:
                raise RuntimeError("Cannot return the results in a contiguous 2D array")

            def __getattr__(self, name: str) -> object:
                return getattr(self.whole, name)

            def __getstate__(self) -> object:
                return self.whole.__getstate__()

        e = with_group(300, 20)
        whole = Graph.build(labels_of(300), e)
        [found] = Graph(InParts(whole), whole.starts, whole.labels).search(e[100:101], 10, everything)
        nearest = labels_of(300)[np.argsort(-(e @ e[100]), kind="stable")[:8]]
        assert np.isin(nearest, found).all()


class TestFiles:
    def test_give_the_same_graph_back(self, tmp_path: Path) -> None:
        e = with_group(80, 30)
        built = Graph.build(labels_of(80), e)
        built.save(tmp_path / "nodes", tmp_path / "items")
        loaded = Graph.load(tmp_path / "nodes", tmp_path / "items", WIDTH, 51)
        assert loaded.starts.tolist() == built.starts.tolist()
        assert loaded.labels.tolist() == built.labels.tolist()
        assert loaded.holds(labels_of(80), e)
        [a], [b] = (g.search(e[40:41], 20, everything) for g in (built, loaded))
        assert a.tolist() == b.tolist()


class TestHolds:
    def test_some_of_its_items_with_their_vectors(self) -> None:
        e = with_group(80, 30)
        graph = Graph.build(labels_of(80), e)
        assert graph.holds(labels_of(80)[::3], unit(e[::3] + 1e-6))

    def test_no_item_that_it_lacks(self) -> None:
        e = vectors(81)
        assert not Graph.build(labels_of(80), e[:80]).holds(labels_of(81), e)

    def test_no_item_of_another_vector(self) -> None:
        e = vectors(80)
        graph = Graph.build(labels_of(80), e)
        e[70] = e[3]
        assert not graph.holds(labels_of(80), e)
