"""`itemlens fit` chooses the same head for the sample catalogue as before, and concurrent writes do not disturb it.

WRITE_GOLDEN=1 writes golden_fit.json again, after an intended change of the fit.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.head import Head, unit
from itemlens_server.fusion.history import HistoryRules
from itemlens_server.services import EventRecord, ItemInput
from itemlens_server.services.behaviour_fitting import ReportLine
from itemlens_server.services.fitting import fit
from itemlens_server.storage.store import Store
from support import spaces
from support.live import Live, contents
from support.spaces import Tiny

GOLDEN = Path(__file__).with_name("golden_fit.json")
ITEMS, USERS, EVENTS, DAY = 400, 80, 20, 86400.0
SHOWN = 8
NUMBER = re.compile(r"\d+\.\d+")


def filled(repository: ModelRepository, data: Path, space: str, users: int = USERS) -> Live:
    """The sample catalogue, with users who mostly take items of one theme."""
    live = Live(repository, data, space)
    sample = spaces.sample_items(ITEMS)
    live.catalogue.upsert(
        "", [ItemInput(i.item_id, contents(i.text, i.pictures), {}, ()) for i in sample], False, CallContext()
    )
    rng = random.Random(1)
    themes = sorted({item.theme for item in sample})
    events = []
    for user in range(users):
        for n in range(EVENTS):
            theme = themes[user % len(themes)] if rng.random() < 0.9 else rng.choice(themes)
            item = rng.choice([i.item_id for i in sample if i.theme == theme])
            time = DAY * (3 * n + rng.random())
            events.append(EventRecord(f"{user}-{n}", f"u{user}", item, 5, time))
    if events:
        live.catalogue.record("", events)
    return live


def fitted(live: Live, progress: Callable[[str], None] = lambda _: None) -> tuple[Head, list[ReportLine]]:
    rules = HistoryRules(50, 0.9, live.settings.type_weights())
    # Opened as by the command, at the same time as the server.
    reader = Store.read_only(live.data)
    return fit(live.collection.space, reader, live.collection.record.id, live.encoder, rules, progress)


def described(live: Live, head: Head, report: list[ReportLine]) -> dict[str, Any]:
    """All choices. Directions are described by cosines of some items, because their signs are arbitrary."""
    vectors = list(
        live.store.reader().raw_vectors(live.collection.record.id, live.collection.encoder_digests)
    )
    both = [v.vectors for v in vectors if len(v.vectors) == len(head.channels)][:SHOWN]
    units = {
        c.name: unit(c.project(np.stack([np.mean(v[c.name], axis=0) for v in both]))) for c in head.channels
    }
    return {
        "report": [[line.what, line.chosen, line.brought, line.sample] for line in report],
        "questions": {
            question: {
                "behaviour": weights.behaviour,
                "channels": {
                    name: [w.weight, w.threshold, w.imputed_threshold] for name, w in weights.channels.items()
                },
            }
            for question, weights in head.questions.items()
        },
        "lambda": head.behaviour_lambda,
        "imputed scale": {c.name: c.imputed_scale for c in head.channels},
        "width": {c.name: c.width for c in head.channels},
        "cosines": {name: np.round(e @ e.T, 4).tolist() for name, e in units.items()},
        "predicted": {
            f"{source} to {c.name}": np.round(unit(units[source] @ w) @ units[c.name].T, 4).tolist()
            for c in head.channels
            for source, w in c.predictors.items()
        },
    }


def assert_close(found: Any, golden: Any, where: str = "") -> None:
    """Check equality up to rounding: BLAS adds in another order on other processors.

    A cosine may differ by 1e-5, and a recall by one question in 50, because of nearly equal scores.
    """
    if isinstance(golden, dict):
        assert found.keys() == golden.keys(), where
        for key in golden:
            assert_close(found[key], golden[key], f"{where}/{key}")
    elif isinstance(golden, list):
        assert len(found) == len(golden), where
        for n, (a, b) in enumerate(zip(found, golden, strict=True)):
            assert_close(a, b, f"{where}/{n}")
    elif isinstance(golden, str):
        assert NUMBER.sub("#", found) == NUMBER.sub("#", golden), where
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (found, golden)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.02), f"{where}: {found} for {golden}"
    else:
        assert found == pytest.approx(golden, abs=0.002), where


def test_the_sample_catalogue_gives_the_head_and_the_figures_that_it_gave_before(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    live = filled(repository, tmp_path, tiny.plain)
    try:
        found = described(live, *fitted(live))
        if "WRITE_GOLDEN" in os.environ:
            GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        assert_close(found, json.loads(GOLDEN.read_text(encoding="utf-8")))
    finally:
        live.close()


def asked(report: list[ReportLine]) -> int:
    """The number of held-out queries behind the weights of a search by both channels."""
    [line] = [line for line in report if line.what == "search by text + image"]
    return int(line.sample.split()[0])


def test_held_out_items_that_change_meanwhile_are_left_out(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    live = filled(repository, tmp_path, tiny.plain, users=0)
    changed = [item for item in spaces.sample_items(ITEMS) if item.pictures]

    def write(step: str) -> None:
        # Between reading the vectors and reading the items of the queries.
        if step.startswith("encoding"):
            for item in changed[0::10]:
                live.put(item.item_id, None, item.pictures)
            for item in changed[1::10]:
                live.put(item.item_id, item.text)
            for item in changed[2::10]:
                live.put(item.item_id, "bond", [spaces.picture("fund", "black")])
            live.catalogue.delete_items(live.collection, [item.item_id for item in changed[3::10]])

    try:
        undisturbed = asked(fitted(live)[1])
        assert 0.4 * undisturbed < asked(fitted(live, write)[1]) < 0.8 * undisturbed
        # If all items are gone, nothing can be chosen.
        gone = [item.item_id for item in spaces.sample_items(ITEMS)]

        def delete(step: str) -> None:
            if step.startswith("encoding"):
                live.catalogue.delete_items(live.collection, gone)

        _, report = fitted(live, delete)
        assert [line.chosen for line in report if line.what == "search weights"] == ["defaults"]
    finally:
        live.close()
