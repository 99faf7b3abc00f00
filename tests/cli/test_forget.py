"""`itemlens forget --proof`: after a user is deleted, the server's counts are those of a store without the user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import itemlens
from support.command import Run
from support.serving import Server
from support.spaces import Tiny


def test_a_user_is_forgotten_with_proof(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(3)
    data = tmp_path / "data"
    with Server(tiny.models, data) as server, server.client() as client:
        client.upsert([itemlens.Item("i0", text="red shoe")]).raise_for_errors()
        client.record_events([
            itemlens.Event(f"u{rng.integers(0, 9)}", f"i{rng.integers(0, 12)}", "purchase") for _ in range(300)
        ]).raise_for_errors()  # fmt: skip
        shown = client.recommend(user_id="u3").recommendation_id
        before = client.get_counts()
        command = ["forget", "u3", "--proof", "--target", server.address, "--data", data]
        done = run(*command)
        assert done.status == 0, done.said
        after = client.get_counts()
        assert before.digest != after.digest and after.user_count == before.user_count - 1
        assert before.digest[:16] in done.out and done.out.count(after.digest[:16]) == 2
        assert "equal" in done.out and "until the next" in done.out
        with pytest.raises(itemlens.NotFound):  # the remembered list is forgotten, too
            client.explain(["i0"], recommendation_id=shown)
        again = run("forget", "u3", "--target", server.address)
        assert (again.status, again.out) == (0, "0 events deleted\n")
        assert list(client.list_events("u3")) == []


def test_what_is_deleted_is_told_though_it_does_not_count(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    user, data = "u[/]", tmp_path / "data"
    with Server(tiny.models, data) as server, server.client() as client:
        client.upsert([itemlens.Item("i0", text="red shoe")]).raise_for_errors()
        client.create_collection("plain", space=tiny.plain)  # without a fit
        for collection in ("default", "plain"):
            shown = [itemlens.Event(user, f"i{n}", "impression") for n in range(4)]
            bought = itemlens.Event(user, "i0", "purchase")
            client.record_events([*shown, bought], collection=collection).raise_for_errors()
        done = run("forget", user, "--proof", "--target", server.address, "--data", data)
        assert done.status == 0, done.said
        assert "10 events deleted" in done.out and user in done.out
        assert done.out.count("equal") == 2 and "nothing to compare" not in done.out


def test_nothing_is_deleted_where_the_folder_is_not_the_servers(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        client.upsert([itemlens.Item("i0", text="red shoe")]).raise_for_errors()
        client.record_events([itemlens.Event("u", "i0", "purchase")]).raise_for_errors()
        done = run("forget", "u", "--proof", "--target", server.address, "--data", tmp_path)
        assert done.status == 1 and "error:" in done.err
        assert len(list(client.list_events("u"))) == 1
