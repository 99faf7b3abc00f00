"""The output of `itemlens fit`. tests/e2e/test_fit.py and tests/server/services test the fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Done, Run
from support.serving import Server, sample_items
from support.spaces import Tiny


@pytest.fixture(scope="module")
def served(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a separate model repository, since a fit adds to it."""
    folder = tmp_path_factory.mktemp("fit")
    shutil.copytree(tiny.models / tiny.plain, folder / "models" / tiny.plain)
    with Server(folder / "models", folder / "data") as server:
        with server.client(collection="shop") as client:
            client.create_collection("shop")
            client.upsert(sample_items(60)).raise_for_errors()
            client.create_collection("empty")
        yield server


@pytest.fixture
def fit(served: Server, run: Run) -> Run:
    """Runs `itemlens fit` beside the server."""

    def fit(*arguments: object) -> Done:
        return run("fit", *arguments, "--models", served.models, "--data", served.data)

    return fit


def spaces_in(served: Server) -> set[str]:
    return {path.name for path in served.models.iterdir()}


def test_it_prints_what_was_chosen_and_moves_the_collection(served: Server, fit: Run) -> None:
    done = fit("shop", "--target", served.address, "--name", "autumn")
    assert done.status == 0, done.said
    with served.client(collection="shop") as client:
        space = client.space(client.get_collection().space_id)
    assert space.fitted and space.name == "autumn"
    assert f"space {space.space_id}, dimension {space.fused_dimension}" in done.said
    for line in (
        "fit of shop",
        "fitted minus it (95%)",
        f"at {served.address} uses it now",
    ):
        assert line in done.said


def test_a_dry_run_reports_and_writes_no_space(served: Server, fit: Run, tmp_path: Path) -> None:
    before = spaces_in(served)
    done = fit("shop", "--dry-run", "--json", tmp_path / "fit.json", "--html", tmp_path / "fit.html")
    assert done.status == 0, done.said
    assert "no space was written" in done.said and spaces_in(served) == before
    report = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert report["collection"] == "shop"
    assert {"verdicts", "figures", "weights", "steps", "better"} <= report.keys()
    page = (tmp_path / "fit.html").read_text(encoding="utf-8")
    assert "<svg" in page and "search:text" in page and "<script" not in page


def test_a_fit_that_is_not_better_is_taken_only_when_told_to(served: Server, fit: Run) -> None:
    # The collection is fitted first, so that the same fit again brings nothing.
    assert fit("shop", "--target", served.address, "--force").status == 0
    before = spaces_in(served)
    again = fit("shop", "--target", "")
    # The line breaks elsewhere if the fit takes ten seconds.
    assert again.status == 0 and "--force takes it all the same" in " ".join(again.said.split())
    assert spaces_in(served) == before
    forced = fit("shop", "--target", "", "--force")
    assert forced.status == 0 and "space sp-" in forced.said


def test_without_a_server_the_space_is_made_and_it_says_how_to_move(served: Server, fit: Run) -> None:
    done = fit("shop", "--target", "127.0.0.1:1", "--force")
    assert done.status == 1
    [space] = [name for name in spaces_in(served) if name in done.err]
    assert "no server answers at 127.0.0.1:1" in done.err and f"itemlens move shop {space}" in done.err


def test_without_a_target_nothing_is_moved(served: Server, fit: Run) -> None:
    done = fit("shop", "--target", "", "--force")
    assert done.status == 0 and "uses it now" not in done.said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "no collection 'nope'"),
        (["empty"], "index items first"),
        (["shop", "--precision", "int4"], "precision is 'int4': it must be one of auto, fp32, fp16, int8"),
        (["shop", "--target", "http://localhost:50051"], "is a URL; give host and port alone"),
    ],
)
def test_errors_come_before_anything_is_made(
    served: Server, fit: Run, arguments: list[str], line: str
) -> None:
    before = spaces_in(served)
    done = fit(*arguments)
    assert done.status == 1 and line in done.err and "Traceback" not in done.said
    assert spaces_in(served) == before


def test_without_a_store_the_error_names_the_folder(run: Run, tiny: Tiny, tmp_path: Path) -> None:
    done = run("fit", "--models", tiny.models, "--data", tmp_path / "none")
    assert done.status == 1 and f"there is no store in {tmp_path / 'none'}" in done.err


def test_a_misspelt_variable_is_warned_of(
    fit: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ITEMLENS_THREDS", "1")
    fit("nope")
    assert "did you mean ITEMLENS_THREADS?" in caplog.text
