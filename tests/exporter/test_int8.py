"""int8 graphs: the fastest of several methods that is close to the checkpoint, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from itemlens_exporter import graph, hub_picture, hub_text, parity, space
from itemlens_exporter.checkpoint import Checkpoint, Int8
from itemlens_exporter.errors import ExportError
from itemlens_exporter.text import TextCheckpoint
from itemlens_server.engine.manifest import Parity, Precision
from support.tiny_checkpoints import Folder


def attempts(checkpoint: Checkpoint, folder: Path) -> list[list[Int8]]:
    checkpoint.export(folder / "fp32.onnx")
    return [list(ladder) for ladder in checkpoint.int8(folder / "fp32.onnx", folder)]


def check(checkpoint: Checkpoint, ladders: list[list[Int8]]) -> None:
    samples = checkpoint.samples()
    for attempt in (attempt for ladder in ladders for attempt in ladder):
        row = parity.measure(attempt.path, Precision.INT8, samples, singly=attempt.singly).parity
        assert row.max < 0.5, attempt
        # If a type is unknown, the quantiser silently quantises the weights only.
        kinds = {node.op_type for node in onnx.load(attempt.path).graph.node}
        assert kinds & {"QuantizeLinear", "DynamicQuantizeLinear"}, attempt


def test_texts_are_tried_dynamic_and_static(tiny_text: Folder, tmp_path: Path) -> None:
    checkpoint = hub_text.load(str(tiny_text()), [])
    ladders = attempts(checkpoint, tmp_path)
    assert [[attempt.label.split(",")[0] for attempt in ladder] for ladder in ladders] == [
        ["dynamic"] * 3,
        ["dynamic"] * 2,
        ["static QDQ outside attention"] * 3,
    ]
    # The server needs this flag: a dynamic graph's scales depend on the whole batch.
    assert all(a.singly == a.label.startswith("dynamic") for ladder in ladders for a in ladder)
    check(checkpoint, ladders)
    by_rows = [
        sum(node.op_type == "MatMulNBits" for node in onnx.load(a.path).graph.node) for a in ladders[0]
    ]
    assert by_rows == [0, 1, 2]  # of two layers
    labels = [attempt.label for ladder in ladders for attempt in ladder]
    assert len(set(labels)) == len(labels)  # none is tried twice


@pytest.mark.parametrize("family", ["ViT", "ResNet"])
def test_pictures_are_tried_static(tiny_picture: Folder, tmp_path: Path, family: str) -> None:
    checkpoint = hub_picture.load(str(tiny_picture(family)), [])
    ladders = attempts(checkpoint, tmp_path)
    assert [len(ladder) for ladder in ladders] == [1]
    check(checkpoint, ladders)


class TestChoice:
    """A ladder ends at its first graph that passes. A later ladder's graph is kept only if it is clearly faster."""

    @pytest.fixture
    def choose(
        self, tiny_text: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., tuple[str | None, list[str], float]]:
        def run(*ladders: list[tuple[str, float, float]]) -> tuple[str | None, list[str], float]:
            """Take ladders of (label, distance, seconds). Return the kept label, the tried ones and the table's
            distance."""
            said = {label: (worst, seconds) for ladder in ladders for label, worst, seconds in ladder}
            tried: list[str] = []

            def int8(self: TextCheckpoint, fp32: Path, folder: Path) -> Iterator[Iterator[Int8]]:
                for ladder in ladders:
                    yield (Int8(label, folder / label) for label, _, _ in ladder)

            def measure(path: Path, precision: Precision, *_: Any, **__: Any) -> parity.Measured:
                worst, seconds = said.get(path.name, (0.0, 1.0))
                if path.name in said:
                    tried.append(path.name)
                    path.write_bytes(path.name.encode())
                row = Parity(
                    precision=precision, inputs=1, mean=0, max=worst, limit=2e-2, passed=worst <= 2e-2
                )
                return parity.Measured(row, seconds)

            monkeypatch.setattr(TextCheckpoint, "int8", int8)
            monkeypatch.setattr(parity, "measure", measure)
            checkpoint = hub_text.load(str(tiny_text()), [])
            exported = space.export_space(
                {"text": checkpoint}, models=tmp_path / "models", name="", precisions=[Precision.INT8]
            )
            encoder = exported.manifest.encoders["text"]
            file = encoder.graphs.get(Precision.INT8)
            kept = (exported.directory / file.path).read_text() if file else None
            assert encoder.source.get("int8") == kept
            return kept, tried, encoder.parity[-1].max

        return run

    def test_the_first_that_passes(self, choose: Callable[..., object]) -> None:
        assert choose([("a", 0.1, 1), ("b", 0.01, 1), ("c", 0, 1)]) == ("b", ["a", "b"], 0.01)

    def test_the_clearly_faster(self, choose: Callable[..., object]) -> None:
        assert choose([("a", 0.01, 1.0)], [("b", 0.01, 0.7)]) == ("b", ["a", "b"], 0.01)

    def test_not_one_that_is_hardly_faster(self, choose: Callable[..., object]) -> None:
        assert choose([("a", 0.01, 1.0)], [("b", 0.0, 0.9)]) == ("a", ["a", "b"], 0.01)

    def test_none_that_fails_and_the_best_failure_in_the_table(self, choose: Callable[..., object]) -> None:
        assert choose([("a", 0.3, 1), ("b", 0.1, 1)], [("c", 0.2, 1)]) == (None, ["a", "b", "c"], 0.1)


def test_a_checkpoint_too_large_for_one_file(
    tiny_text: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "MAX_BYTES", 1000)
    with pytest.raises(ExportError, match="smaller checkpoint"):
        hub_text.load(str(tiny_text()), []).export(tmp_path / "model.onnx")
