"""A space of random encoders, and made-up items in clusters for it: they cost little, so that large catalogues can be
measured. Graphs, tokenizer, server and store are real; only what the vectors mean is not.

A text's vector is the mean of random vectors of its words. A picture's is the mean over its cells of tanh(W cell), with
random W.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from itemlens import Item
from itemlens_server.engine.manifest import (
    Channel,
    EncoderSpec,
    Manifest,
    PicturePreprocessing,
    Precision,
    TextPreprocessing,
    describe_file,
)

TEXT_DIM, IMAGE_DIM = 384, 256
SIDE, CELL = 32, 8
"""Pixels of a picture's side, and of a cell's."""
KINDS, COMMON_WORDS = 400, 4000
SPREAD, LIFT = "spread", "lift"
"""Attributes that are spread evenly between 0 and 1: for filters, so that one leaves any share of the items, and for
boosts."""
EQUAL, PICTURED = 0.25, 0.5
"""Shares of items that have the content of another, and of contents with a picture."""
COPIES = 25
"""About how many items an item's content has that others have, too."""


def write(folder: Path, seed: int = 1) -> str:
    """Write a space with the channels `text` and `image` into `folder`, a model repository. Return its id."""
    rng = np.random.default_rng(seed)
    new = folder / ".random"
    new.mkdir(parents=True)
    words = ["[UNK]", *_kind_words(), *(f"w{n}" for n in range(COMMON_WORDS))]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (new / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    (new / "text.onnx").write_bytes(_text_graph(rng, len(words)))
    (new / "image.onnx").write_bytes(_picture_graph(rng))
    picture = PicturePreprocessing(
        height=SIDE, width=SIDE, resize="stretch", resample="bilinear", mean=(0.5,) * 3, std=(0.25,) * 3,
        grid_height=SIDE // CELL, grid_width=SIDE // CELL,
    )  # fmt: skip
    text = TextPreprocessing(tokenizer=describe_file(new, "tokenizer.json"), max_tokens=32)
    graphs = {name: {Precision.FP32: describe_file(new, f"{name}.onnx")} for name in ("text", "image")}
    encoders = {
        "text": EncoderSpec(kind="TEXT", dim=TEXT_DIM, graphs=graphs["text"], text=text),
        "image": EncoderSpec(kind="IMAGE", dim=IMAGE_DIM, graphs=graphs["image"], picture=picture),
    }
    channels = tuple(Channel(name=name, kind=own.kind, encoder=name) for name, own in encoders.items())
    manifest = Manifest(
        space_id="", name="random", created="2026-01-01T00:00:00+00:00", encoders=encoders, channels=channels
    ).identified()
    manifest.save(new)
    new.rename(folder / manifest.space_id)
    return manifest.space_id


def clustered_items(count: int, seed: int) -> Iterator[Item]:
    """Yield items in `KINDS` clusters. `EQUAL` of them have the text and the picture of another one, and half of all
    contents have no picture."""
    rng = random.Random(seed)
    colours = {kind: [rng.randrange(256) for _ in range(3 * 16)] for kind in range(KINDS)}
    shared = [_content(rng, colours) for _ in range(max(1, int(count * EQUAL / COPIES)))]
    for n in range(count):
        kind, text, picture = rng.choice(shared) if rng.random() < EQUAL else _content(rng, colours)
        attributes = {
            SPREAD: rng.random(), LIFT: rng.random(), "in_stock": rng.random() < 0.8, "category": f"kind-{kind}",
            "content": text,
        }  # fmt: skip
        yield Item(f"made-{n}", text=text, picture=picture, attributes=attributes)


def _content(rng: random.Random, colours: Mapping[int, Sequence[int]]) -> tuple[int, str, bytes | None]:
    """Return a kind, a text of two words of the kind and six of all items, and perhaps a picture in about the kind's
    colours, as PNG."""
    kind = rng.randrange(KINDS)
    words = [f"k{kind}a", f"k{kind}b", *(f"w{rng.randrange(COMMON_WORDS)}" for _ in range(6))]
    if rng.random() >= PICTURED:
        return kind, " ".join(words), None
    pixels = [min(255, max(0, round(rng.gauss(colour, 30)))) for colour in colours[kind]]
    png = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8).reshape(4, 4, 3)).save(png, "PNG")
    return kind, " ".join(words), png.getvalue()


def _kind_words() -> list[str]:
    return [f"k{kind}{letter}" for kind in range(KINDS) for letter in "ab"]


def _text_graph(rng: np.random.Generator, words: int) -> bytes:
    """input_ids, attention_mask [B, T] -> z = table[ids] [B, T, dim], v: its mean where the mask is 1 [B, dim]."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["z"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["z", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask3", "one"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["v"]),
    ]
    table = rng.normal(size=(words, TEXT_DIM)).astype(np.float32)
    constants = {"table": table, "last": np.array([-1]), "one": np.array([1])}
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"])
        for name in ("input_ids", "attention_mask")
    ]
    return _model(nodes, constants, ids, {"v": ["b", TEXT_DIM], "z": ["b", "t", TEXT_DIM]})


def _picture_graph(rng: np.random.Generator) -> bytes:
    """pixels [B, 3, SIDE, SIDE] -> z [B, cells, cells, dim], v: its mean [B, dim]."""
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[CELL] * 2, strides=[CELL] * 2),
        helper.make_node("Conv", ["pooled", "kernel"], ["features"]),
        helper.make_node("Tanh", ["features"], ["bounded"]),
        helper.make_node("Transpose", ["bounded"], ["z"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["z", "axes"], ["v"], keepdims=0),
    ]
    constants = {
        "kernel": rng.normal(size=(IMAGE_DIM, 3, 1, 1)).astype(np.float32),
        "axes": np.array([1, 2]),
    }
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, SIDE, SIDE])
    cells = SIDE // CELL
    return _model(nodes, constants, [pixels], {"v": ["b", IMAGE_DIM], "z": ["b", cells, cells, IMAGE_DIM]})


def _model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Mapping[str, Sequence[str | int]],
) -> bytes:
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()
    ]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "random", inputs, results, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())
