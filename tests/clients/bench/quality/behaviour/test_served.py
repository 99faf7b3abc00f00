"""The running server's answers to the questions of a data set, on a made-up one and a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

import itemlens
from itemlens import EventType
from itemlens_bench.quality.ask import Asking
from itemlens_bench.quality.behaviour import compare, served
from itemlens_bench.quality.behaviour.metrics import Places
from itemlens_bench.quality.behaviour.split import Split, events
from itemlens_bench.quality.rows import Floats, ReportRow
from support.made_up_baskets import ITEMS, USERS, ask, circle, split


def test_the_server_gets_all_items_and_events_that_may_be_known(client: itemlens.Client, data: Split) -> None:
    about = client.get_collection("made_up")
    assert (about.item_count, about.event_count) == (ITEMS, len(data.events))
    assert about.behaviour_sequence_number
    item, without_text = (entry.item for entry in client.get_items(["3", "7"], collection="made_up"))
    assert item.texts["text"] == "red shoe number 3" and item.attributes == {"third": ["t0"]}
    assert without_text.texts["text"] == "Item 7."  # an item must have content


def test_a_second_measurement_uploads_nothing_again(
    client: itemlens.Client, asking: Asking, data: Split
) -> None:
    before = client.get_collection("made_up").sequence_number
    served.prepare(asking, data, None)
    assert client.get_collection("made_up").sequence_number == before


def test_places_are_those_of_the_servers_lists(client: itemlens.Client, asking: Asking, data: Split) -> None:
    places = served.served(asking, "next basket", data)
    assert places.questions == USERS and (places.equal == 1).all()
    for number, question in enumerate(data.questions):
        listed = client.recommend(data.users[question.user], k=20, exclude_seen=False, collection="made_up")
        ids = [item.item_id for item in listed]
        expected = [ids.index(i) if i in ids else served.NOWHERE for i in map(str, question.answers.tolist())]
        assert places.above[places.question == number].tolist() == expected
    assert places.recall(20).mean() > 0.9  # the user's third is what they take


def test_what_was_had_is_listed_only_if_it_is_asked_for(
    client: itemlens.Client, asking: Asking, data: Split
) -> None:
    had = circle(0)[-1]
    again, new = (
        served.served(asking, "again", replace(data, questions=(ask(0, *had, without_had=without),)))
        for without in (False, True)
    )
    assert again.above.max() < 20 and (new.above == served.NOWHERE).all()


def test_what_was_done_since_counts(client: itemlens.Client, asking: Asking, data: Split) -> None:
    since = events([0], [1], [40 * 24 * 3600.0], kind="purchase")
    question = replace(ask(0, 1, without_had=True), since=since)
    places = served.served(asking, "since", replace(data, questions=(question,)))
    assert places.above.tolist() == [served.NOWHERE]  # the user has it now


def test_a_user_whom_the_server_does_not_know_has_no_list(
    client: itemlens.Client, asking: Asking, data: Split
) -> None:
    stranger = replace(data, users=(*data.users, "nobody"), questions=(ask(USERS, 1),))
    assert served.served(asking, "stranger", stranger).above.tolist() == [served.NOWHERE]


def test_further_measurements_get_the_yardsticks_as_they_were_tuned(
    client: itemlens.Client, asking: Asking, data: Split
) -> None:
    got: list[served.Prepared] = []

    def more(there: served.Prepared) -> Iterator[ReportRow]:
        got.append(there)
        yield ReportRow("further", 1.0, 1)

    def recall_20(places: Places) -> Floats:
        return places.recall(20)

    rows = served.measure(
        asking, splits={"next basket": data, "what is new": data.new_only()}, figures={"R@20": recall_20},
        tuned_for="R@20", fit=None, seed=7, queries=10, more=[more],
    )  # fmt: skip
    assert rows[-1].what == "further" and got[0].collection == "made_up" and got[0].seed == 7
    tuned = compare.measure(data.sample(10, 7), recall_20, seed=7)
    assert got[0].yardsticks == {measured.name: measured.yardstick for measured in tuned}


def test_every_figure_is_beside_its_yardsticks(client: itemlens.Client, asking: Asking, data: Split) -> None:
    def measure() -> list[ReportRow]:
        return served.measure(
            asking, splits={"next basket": data, "what is new": data.new_only()},
            figures={"R@10": lambda places: places.recall(10), "R@20": recall}, tuned_for="R@20",
            fit=None, seed=7, queries=10,
        )  # fmt: skip

    def recall(places: Places) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return places.recall(20)

    rows = measure()
    figures = [row for row in rows if not row.what.startswith("  minus")]
    assert [row.what for row in figures] == [
        f"{name}, {figure}" for name in ("next basket", "what is new") for figure in ("R@10", "R@20")
    ]
    assert all(row.queries == 10 and row.interval is not None for row in rows)
    of = {row.what: row for row in rows[: rows.index(figures[1])]}
    assert {"  minus popularity", "  minus EASE", "  minus own frequency", "  minus TIFU-KNN"} <= of.keys()
    for text in figures[0].yardstick.split("; "):
        name, _, value = text.rpartition(" ")
        assert of[f"  minus {name}"].figure == pytest.approx(figures[0].figure - float(value), abs=1e-4)
    assert "own frequency" not in figures[2].yardstick  # nobody takes again what is new
    assert measure() == rows


def test_the_kinds_and_times_of_events_are_kept() -> None:
    films = replace(
        split([[[0]]], 2, [ask(0, 1)]), name="Films",
        events=events([0, 0], [0, 1], [5.0, 9.0], kind=["view", "cart"], value=[4.0, np.nan]),
    )  # fmt: skip
    [first, second] = list(served._events(films))
    assert (first.type, first.value, first.time) == (EventType.VIEW, 4.0, datetime.fromtimestamp(5, UTC))
    assert (second.type, second.value) == (EventType.CART, None)
