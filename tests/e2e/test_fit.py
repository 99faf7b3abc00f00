"""`itemlens fit` beside a running server: a fitted space from what a collection holds, and answers from it at once."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import itemlens
from support.fitting import ITEMS, THEME, events, fit
from support.serving import Server, sample_items
from support.spaces import Tiny


def test_a_collection_is_fitted_and_moved_and_answers_from_the_new_space(tiny: Tiny, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(tiny.models / tiny.plain, models / tiny.plain)
    with Server(models, tmp_path / "data") as server, server.client() as client:
        client.upsert(sample_items(ITEMS)).raise_for_errors()
        client.record_events(events()).raise_for_errors()
        done = fit(models, server.data, "--target", server.address)
        assert done.returncode == 0, done.stdout + done.stderr
        for step in ("BEHAVIOUR", "popularity", "without REPEAT", "uses it now"):
            assert step in done.stdout, done.stdout

        space = client.get_collection().space_id
        assert space != tiny.plain and space in done.stdout and (models / space).is_dir()
        answer = client.recommend(user_id="u0", k=10)
        theme = sorted(set(THEME.values()))[0]
        assert sum(THEME[item.item_id] == theme for item in answer.items) >= 7
        why = client.explain([i.item_id for i in answer.items], recommendation_id=answer.recommendation_id)
        assert all(abs(explanation.residual) < 1e-4 for explanation in why)

        # The same data give the same space.
        forced = fit(models, server.data, "--target", "", "--force")
        assert forced.returncode == 0 and re.search(rf"space {space},", forced.stdout), forced.stdout


def test_an_empty_collection_is_refused(server: Server, tiny: Tiny, collection: str) -> None:
    done = fit(server.models, server.data, collection, "--target", "")
    assert done.returncode == 1 and "index items first" in done.stderr


def test_an_unknown_collection_names_those_there_are(server: Server, collection: str) -> None:
    done = fit(server.models, server.data, "nope", "--target", "")
    assert done.returncode == 1 and collection in done.stderr and "Traceback" not in done.stderr


def test_without_a_server_it_says_how_to_move_later(
    server: Server, client: itemlens.Client, collection: str, tmp_path: Path
) -> None:
    client.upsert(sample_items(60)).raise_for_errors()
    models = tmp_path / "models"
    shutil.copytree(server.models, models)
    done = fit(models, server.data, collection, "--target", "127.0.0.1:1", "--force")
    assert done.returncode == 1 and f"itemlens move {collection}" in done.stderr
