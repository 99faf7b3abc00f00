"""`python -m itemlens_bench.quality.behaviour`: a table, and the figures of every question."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from itemlens_bench.quality.behaviour.__main__ import main


@pytest.fixture
def lastfm(tmp_path: Path) -> Path:
    """Ten users, each with six items of a circle of twelve."""
    lines = [f"{n} " + " ".join(str((n + step) % 12 + 1) for step in range(6)) for n in range(10)]
    (tmp_path / "LastFM.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "LastFM_item2attributes.json").write_text(json.dumps({}))
    return tmp_path


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, list(arguments))
    return f"{result.output}{result.exception or ''}"


def test_the_figures_of_every_question_are_written(lastfm: Path, tmp_path: Path) -> None:
    printed = run("LastFM", "--data", str(lastfm), "--arrays", str(tmp_path / "figures.npz"))
    assert "popularity" in printed and "EASE" in printed and "Ease(regularisation=" in printed
    with np.load(tmp_path / "figures.npz") as figures:
        assert figures["users"].tolist() == [str(n) for n in range(10)]
        assert all(len(figures[f"EASE {name}"]) == 10 for name in ("R@10", "R@20", "NDCG@10"))
        assert "SASRec NDCG@10" not in figures


def test_sasrec_needs_settings_for_the_data_set(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(json.dumps({str(n): [[-1], [0, 1], [2], [-1]] for n in range(3)}))
    (tmp_path / "future.json").write_text(json.dumps({str(n): [[-1], [1], [-1]] for n in range(3)}))
    pytest.importorskip("torch")
    assert "--search-seconds" in run("tafeng", "--data", str(tmp_path), "--sasrec", "cpu")
