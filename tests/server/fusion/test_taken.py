"""A history, summed up: what was taken, rejected and dealt with."""

from __future__ import annotations

from itemlens_server.fusion import taken
from itemlens_server.fusion.history import CLICK, DISLIKED, IMPRESSION, PURCHASE, Interaction
from itemlens_server.fusion.taken import MOST_PAST, Taken
from support.world import TYPE_WEIGHTS

RETURN = 6


def test_says_what_was_taken_rejected_and_dealt_with() -> None:
    history = [
        Interaction("shown", IMPRESSION), Interaction("a", CLICK), Interaction("b", DISLIKED),
        Interaction("c", RETURN), Interaction("d", PURCHASE), Interaction("e", DISLIKED),
    ]  # fmt: skip
    own = Taken.of(history, TYPE_WEIGHTS)
    assert own.past.item_ids == ("d", "a")
    assert own.disliked == ("b", "e")
    assert own.seen == {"a", "b", "c", "d", "e"}


def test_the_last_word_on_an_item_counts() -> None:
    history = [
        Interaction("a", PURCHASE), Interaction("b", DISLIKED), Interaction("a", DISLIKED), Interaction("b", CLICK),
        Interaction("c", DISLIKED), Interaction("c", IMPRESSION),
    ]  # fmt: skip
    own = Taken.of(history, TYPE_WEIGHTS)
    assert own.past.item_ids == ("b",)
    assert own.disliked == ("a", "c")


def test_the_newest_items_count_and_all_are_seen() -> None:
    own = Taken.of([Interaction(f"i{n}", CLICK) for n in range(MOST_PAST + 5)], TYPE_WEIGHTS)
    assert len(own.past) == MOST_PAST and own.past.item_ids[-1] == "i5"
    assert len(own.seen) == MOST_PAST + 5
    assert taken.MOST_PAST == 1000  # the settings say so
