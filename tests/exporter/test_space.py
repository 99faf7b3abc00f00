"""A space is named by its contents, is complete, and contains only graphs that passed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from itemlens_exporter import cli, graph, hub_picture, hub_text, parity, space
from itemlens_exporter.cli import export
from itemlens_exporter.errors import ExportError
from itemlens_exporter.space import export_space
from itemlens_exporter.text import TextCheckpoint
from itemlens_server.engine.manifest import Manifest, Precision
from itemlens_server.engine.texts import Tokenizer
from support.tiny_checkpoints import Folder


@pytest.fixture
def checkpoint(tiny_text: Folder) -> TextCheckpoint:
    return hub_text.load(str(tiny_text()), [])


def make(checkpoint: TextCheckpoint, models: Path, **options: Any) -> space.Exported:
    return export_space({"text": checkpoint}, models=models, name="tiny", **options)


def test_the_same_checkpoints_give_the_same_id(
    tiny_text: Folder, tiny_picture: Folder, tmp_path: Path
) -> None:
    text, picture = str(tiny_text()), str(tiny_picture("ConvNext"))
    twice = [
        export_space(
            {"text": hub_text.load(text, []), "image": hub_picture.load(picture, [])},
            models=tmp_path / str(turn),
            name="tiny",
            precisions=[Precision.FP32, Precision.FP16],
        )
        for turn in range(2)
    ]
    assert twice[0].manifest.space_id == twice[1].manifest.space_id
    assert twice[0].manifest.files() == twice[1].manifest.files()


def test_every_file_is_there_as_the_manifest_says(checkpoint: TextCheckpoint, tmp_path: Path) -> None:
    exported = make(checkpoint, tmp_path)
    assert exported.directory == tmp_path / exported.manifest.space_id
    assert Manifest.load(exported.directory) == exported.manifest
    named = {"manifest.json"}
    for file in exported.manifest.files():
        content = (exported.directory / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
        named.add(file.path)
    there = {str(p.relative_to(exported.directory)) for p in exported.directory.rglob("*") if p.is_file()}
    assert there == named
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_exporting_again_repairs_a_damaged_space(checkpoint: TextCheckpoint, tmp_path: Path) -> None:
    first = make(checkpoint, tmp_path)
    damaged = first.directory / "text" / "model.fp32.onnx"
    damaged.write_bytes(b"")
    assert make(checkpoint, tmp_path).directory == first.directory
    assert damaged.stat().st_size == first.manifest.encoders["text"].graphs[Precision.FP32].bytes


def test_the_servers_tokenizer_reads_it(checkpoint: TextCheckpoint, tmp_path: Path) -> None:
    exported = make(checkpoint, tmp_path)
    about = exported.manifest.encoders["text"].text
    assert about is not None
    text = "Hello 世界"
    tokens = Tokenizer.load(exported.directory, about).encode(text, "item")
    np.testing.assert_array_equal(tokens.ids, checkpoint.tokenise([text])[0].ids)


def test_padding_is_left_in_where_it_is_wanted(checkpoint: TextCheckpoint, tmp_path: Path) -> None:
    packed, padded = (make(checkpoint, tmp_path, pack=pack).manifest for pack in (True, False))
    assert (packed.encoders["text"].packed, padded.encoders["text"].packed) == ((Precision.FP32,), ())
    assert packed.space_id != padded.space_id


def test_half_precision_still_answers_in_float32(checkpoint: TextCheckpoint, tmp_path: Path) -> None:
    exported = make(checkpoint, tmp_path, precisions=[Precision.FP16])
    encoder = exported.manifest.encoders["text"]
    assert set(encoder.graphs) == {Precision.FP32, Precision.FP16}
    half = graph.session(exported.directory / encoder.graphs[Precision.FP16].path)
    assert {output.type for output in half.get_outputs()} == {"tensor(float)"}


class TestChannels:
    def test_one_for_each_kind_by_default(self, checkpoint: TextCheckpoint, tmp_path: Path) -> None:
        assert [c.model_dump() for c in make(checkpoint, tmp_path).manifest.channels] == [
            {"name": "text", "kind": "TEXT", "encoder": "text"}
        ]

    def test_several_over_one_encoder(self, checkpoint: TextCheckpoint, tmp_path: Path) -> None:
        exported = make(checkpoint, tmp_path, channels={"title": "text", "reviews": "text"})
        assert [(c.name, c.encoder) for c in exported.manifest.channels] == [
            ("title", "text"),
            ("reviews", "text"),
        ]

    def test_without_an_encoder_it_is_refused(self, checkpoint: TextCheckpoint, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="--image"):
            make(checkpoint, tmp_path, channels={"photo": "image"})


def break_graph(path: Path, size: float) -> None:
    """Change one weight matrix of the graph."""
    model = onnx.load(path)
    weights = max(
        model.graph.initializer, key=lambda weight: len(weight.raw_data) if len(weight.dims) == 2 else 0
    )
    values = numpy_helper.to_array(weights)
    moved = values + size * np.random.default_rng(0).standard_normal(values.shape).astype(values.dtype)
    weights.CopyFrom(numpy_helper.from_array(moved, weights.name))
    path.write_bytes(model.SerializeToString())


class TestParity:
    def test_a_broken_graph_fails(self, checkpoint: TextCheckpoint, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        checkpoint.export(path)
        samples = checkpoint.samples()
        assert parity.measure(path, Precision.FP32, samples).parity.passed
        break_graph(path, 0.01)
        row = parity.measure(path, Precision.FP32, samples).parity
        assert not row.passed
        assert row.max > row.limit

    def test_a_broken_fp32_graph_ends_the_export_and_leaves_nothing(
        self, checkpoint: TextCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = TextCheckpoint.export

        def broken(self: TextCheckpoint, path: Path) -> None:
            whole(self, path)
            break_graph(path, 0.01)

        monkeypatch.setattr(TextCheckpoint, "export", broken)
        with pytest.raises(ExportError, match="differs from the checkpoint"):
            make(checkpoint, tmp_path / "models")
        assert list((tmp_path / "models").iterdir()) == []

    def test_another_precision_that_fails_is_left_out_and_its_row_kept(
        self, checkpoint: TextCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(parity.LIMITS, Precision.FP16, 0.0)
        exported = make(checkpoint, tmp_path, precisions=[Precision.FP16])
        encoder = exported.manifest.encoders["text"]
        assert set(encoder.graphs) == {Precision.FP32}
        assert [(row.precision, row.passed) for row in encoder.parity] == [
            (Precision.FP32, True),
            (Precision.FP16, False),
        ]
        assert not (exported.directory / "text" / "model.fp16.onnx").exists()

    def test_infinite_if_a_vector_is_zero_or_not_a_number(self) -> None:
        ones = np.ones((3, 2), dtype=np.float32)
        other = np.array([[0, 0], [np.nan, 1], [2, 2]], dtype=np.float32)
        assert parity.cosine_distance(ones, other).tolist() == [np.inf, np.inf, 0]

    def test_tiny_distances_are_not_lost_to_rounding(self) -> None:
        a = np.array([[1.0, 0.0]])
        b = np.array([[1.0, 1e-7]])
        assert parity.cosine_distance(a, b)[0] == pytest.approx(5e-15)


class TestCommand:
    def run(self, **options: Any) -> None:
        export(
            **{"text": "none", "image": "none", "pooling": "auto", "precision": ["fp32"], "channel": None}
            | options
        )

    def test_it_prints_the_table_and_the_id(
        self, tiny_text: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.run(text=str(tiny_text()), models=tmp_path / "models", name=None, channel=["title=text"])
        out, err = capsys.readouterr()
        (written,) = (tmp_path / "models").iterdir()
        assert out.strip() == written.name
        assert "cosine distance" in err
        assert "kept" in err
        assert Manifest.load(written).name == "bert"
        # Neither its files nor its name say whether it needs prefixes.
        assert "prefixes of texts" in err and "warning:" in err and "--query-prefix" in err

    def test_it_says_which_prefixes_are_used(
        self, tiny_text: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.run(text=str(tiny_text()), models=tmp_path / "models", name=None, query_prefix="ask [x]: ")
        (written,) = (tmp_path / "models").iterdir()
        text = Manifest.load(written).encoders["text"].text
        assert text is not None and (text.query_prefix, text.item_prefix) == ("ask [x]: ", "")
        err = capsys.readouterr().err
        assert "'ask [x]: '" in err and "none" in err and "warning" not in err

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({}, "nothing to export"),
            ({"precision": ["fp32,fp64"]}, "fp64"),
            ({"ground": "grey"}, "--ground grey"),
            ({"ground": "#12345"}, "#rrggbb"),
            ({"channel": ["title"]}, "NAME=text"),
            ({"channel": ["a=sound"]}, "NAME=text"),
            ({"channel": ["a=text", "a=text"]}, "once"),
        ],
    )
    def test_bad_options(self, tmp_path: Path, options: dict[str, Any], says: str) -> None:
        with pytest.raises(ExportError, match=says):
            self.run(models=tmp_path, name=None, **options)

    @pytest.mark.parametrize(
        ("given", "colour"),
        [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("#0a80FF", (10, 128, 255))],
    )
    def test_the_ground(self, given: str, colour: tuple[int, int, int]) -> None:
        assert cli._colour(given) == colour

    def test_without_torch_it_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("itemlens_exporter.presets", "itemlens_exporter.space"):
            monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ExportError, match=r"itemlens-server\[export\]"):
            self.run(models=tmp_path, name=None)


class TestExternalChannels:
    def test_are_part_of_the_space_beside_encoders(self, checkpoint: TextCheckpoint, tmp_path: Path) -> None:
        alone = make(checkpoint, tmp_path).manifest
        both = make(checkpoint, tmp_path, external={"tower": space.external_channel(64, "3")}).manifest
        assert [c.name for c in both.channels] == ["text", "tower"]
        assert both.space_id != alone.space_id and both.encoders["text"] == alone.encoders["text"]

    def test_another_version_or_dimension_is_another_space(self, tmp_path: Path) -> None:
        ids = {
            export_space(
                {}, models=tmp_path, name="own", external={"v": space.external_channel(*own)}
            ).manifest.space_id
            for own in ((8, "1"), (8, "2"), (9, "1"))
        }
        assert len(ids) == 3 and all(Manifest.load(tmp_path / i).files() == [] for i in ids)

    @pytest.mark.parametrize(("dimension", "version"), [(0, "1"), (4097, "1"), (8, ""), (8, "a\0b")])
    def test_are_refused_without_a_possible_dimension_and_version(self, dimension: int, version: str) -> None:
        with pytest.raises(ExportError, match="external"):
            space.external_channel(dimension, version)

    def test_need_names_of_their_own(self, checkpoint: TextCheckpoint, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="two channels are named 'text'"):
            make(checkpoint, tmp_path, external={"text": space.external_channel(8, "1")})

    @pytest.mark.parametrize("given", ["tower", "tower=64", "tower=x@1", "=64@1", "tower=64@", "tower=-1@1"])
    def test_a_wrong_option_shows_a_right_one(self, given: str) -> None:
        with pytest.raises(ExportError, match="tower=64@2026-11"):
            cli._external([given])

    def test_an_option_names_channel_dimension_and_version(self) -> None:
        assert cli._external(["tower=64@2026@11", "b=1@x"]) == {"tower": (64, "2026@11"), "b": (1, "x")}
