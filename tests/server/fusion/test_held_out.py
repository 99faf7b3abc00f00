"""Questions from the items themselves: nobody is asked with what the catalogue knows."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion import held_out
from itemlens_server.fusion.channel_data import ChannelData, item_units
from itemlens_server.fusion.head import HeadChannel
from itemlens_server.fusion.held_out import draw_targets, trials

RAW = HeadChannel("image", np.zeros(3, np.float32))


def vectors(count: int, dim: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


class TestTrials:
    def test_pieces_of_contents_ask_the_whole_catalogue(self) -> None:
        data = {"image": ChannelData(vectors(5), np.arange(5))}
        queries, targets = {"image": vectors(2, seed=1)}, np.array([4, 1])
        (trial,) = trials(data, 5, targets, queries, seed=0)
        assert trial.items == 5
        np.testing.assert_array_equal(trial.targets, targets)
        np.testing.assert_array_equal(trial.queries["image"], queries["image"])
        cosines = trial.cosines(RAW)
        a, b = queries["image"][1], data["image"].vectors[3]
        assert cosines[1, 3] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)

    def test_a_picture_asks_for_the_other_half_of_its_item(self) -> None:
        # Arrange: four items with four pictures each, stored in no order, and one with a single picture.
        owners = np.array([3, 0, 1, 2, 0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3, 4])
        shown = vectors(len(owners))
        data = {"image": ChannelData(shown, owners), "text": ChannelData(vectors(5), np.arange(5))}
        targets = np.repeat(np.arange(5), 6)
        queries = {"image": vectors(30, seed=1), "text": vectors(30, seed=2)}
        # Act
        made = trials(data, 5, targets, queries, seed=0)
        # Assert
        assert len(made) == 2
        assert sum(len(trial.targets) for trial in made) == 30
        for trial in made:
            known = {v.tobytes() for v in trial.data["image"].vectors}
            assert len(known) == 4 * 2 + 1
            for question, target in zip(trial.queries["image"], trial.targets, strict=True):
                origin = [n for n, v in enumerate(shown) if np.array_equal(v, question)]
                if target == 4:  # nothing to hold out: the piece asks
                    assert origin == []
                else:
                    assert [owners[n] for n in origin] == [target]
                    assert question.tobytes() not in known
            assert len(trial.data["text"].vectors) == 5

    def test_halves_are_pictures_stored_one_after_the_other(self) -> None:
        data = {"image": ChannelData(vectors(6), np.array([0, 0, 0, 0, 1, 1]))}
        made = trials(data, 2, np.array([0, 0, 1, 1]), {"image": vectors(4)}, seed=0)
        second, first = (trial.data["image"].vectors.tolist() for trial in made)
        assert first == data["image"].vectors[[0, 1, 4]].tolist()
        assert second == data["image"].vectors[[2, 3, 5]].tolist()

    def test_a_large_catalogue_is_sampled_with_all_targets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(held_out, "MAX_ITEMS", 10)
        data = {"image": ChannelData(vectors(100), np.arange(100))}
        targets = np.array([97, 3, 97])
        (trial,) = trials(data, 100, targets, {"image": vectors(3)}, seed=0)
        assert trial.items == 12
        np.testing.assert_array_equal(trial.numbers[trial.targets], targets)
        e, _ = item_units(RAW, trial.data["image"], trial.items)
        whole, _ = item_units(RAW, data["image"], 100)
        np.testing.assert_array_equal(e, whole[trial.numbers])

    def test_an_item_without_the_channel_comes_last(self) -> None:
        data = {"image": ChannelData(vectors(2), np.array([0, 2]))}
        (trial,) = trials(data, 3, np.array([0]), {"image": -data["image"].vectors[:1]}, seed=0)
        assert trial.cosines(RAW)[0, 1] == -1.0


class TestTargets:
    def test_of_many_items_a_third_at_most_is_asked_for_once(self) -> None:
        targets = draw_targets(np.ones(2400, bool), seed=0)
        assert len(targets) == len(set(targets.tolist())) == 800
        assert len(draw_targets(np.ones(50_000, bool), seed=0)) == held_out.QUESTIONS

    def test_of_few_items_all_are_asked_for_several_times(self) -> None:
        assert sorted(draw_targets(np.ones(81, bool), seed=0).tolist()) == sorted(list(range(81)) * 8)
        assert len(draw_targets(np.zeros(9, bool), seed=0)) == 0

    def test_only_eligible_items_are_asked_for(self) -> None:
        eligible = np.arange(900) % 2 == 1
        assert (draw_targets(eligible, seed=1) % 2 == 1).all()
