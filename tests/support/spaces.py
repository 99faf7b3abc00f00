"""A tiny space for tests: real ONNX graphs, a real tokenizer and a real head, built in milliseconds without torch.

The text encoder is a table of word vectors; those of a theme ("shoe", "trail", "鞋") are close together. The
picture encoder averages 8 x 8 patches and runs a small convolution over them. Both end in a mean, as the
manifest requires, so everything built on them behaves as with a real model.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from itemlens_server.config import Settings
from itemlens_server.engine import fitted
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.manifest import (
    Channel,
    EncoderSpec,
    ExternalVectors,
    Manifest,
    PicturePreprocessing,
    Precision,
    TextPreprocessing,
    describe_file,
)
from itemlens_server.engine.repository import ModelRepository, Space
from itemlens_server.fusion.channel_data import ChannelData, item_units
from itemlens_server.fusion.head import Array, Head, HeadChannel
from itemlens_server.fusion.imputation import predictor
from itemlens_server.fusion.projection import Directions, Recipe
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    TableRules,
    Transform,
    search_question,
)

TEXT_DIM, IMAGE_DIM, SIDE, GRID, MAX_TOKENS = 32, 24, 32, 4, 48

THEMES: dict[str, list[str]] = {
    "shoe": ["shoe", "shoes", "running", "trail", "marathon", "sneaker", "sole", "鞋", "跑", "步"],
    "dress": ["dress", "summer", "silk", "gown", "skirt", "linen", "裙", "丝", "绸"],
    "kettle": ["kettle", "kitchen", "steel", "pot", "boil", "tea", "茶", "壶", "水"],
    "tour": ["tour", "island", "hotel", "beach", "temple", "train", "旅", "行", "岛"],
    "course": ["course", "lesson", "maths", "python", "teacher", "exam", "课", "程", "学"],
    "fund": ["fund", "bond", "savings", "interest", "loan", "account", "基", "金", "存"],
}
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 30, 30),
    "green": (30, 180, 60),
    "blue": (40, 70, 220),
    "black": (20, 20, 20),
    "white": (240, 240, 240),
}
COLOUR_CHARACTERS = {"red": "红", "green": "绿", "blue": "蓝", "black": "黑", "white": "白"}
COMMON = [
    "a",
    "the",
    "for",
    "with",
    "and",
    "of",
    "query",
    "passage",
    ":",
    ".",
    ",",
    "-",
    "light",
    "good",
    "的",
    "色",
    "好",
]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

PICTURE = PicturePreprocessing(
    height=SIDE, width=SIDE, resize="stretch", resample="bilinear", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25),
    grid_height=GRID, grid_width=GRID,
)  # fmt: skip


def vocabulary() -> list[str]:
    """All pieces of the tokenizer: themes, colours, common words, single characters and their continuations."""
    words = [word for theme in THEMES.values() for word in theme]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *COMMON, *COLOURS, *COLOUR_CHARACTERS.values(), *words]
    pieces += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return list(dict.fromkeys(pieces))


def tokenizer() -> Tokenizer:
    """WordPiece as in BERT: lower case, each Chinese character is a word."""
    ids = {piece: n for n, piece in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    return tokenizer


def word_vectors(seed: int, dim: int = TEXT_DIM) -> Array:
    """float32 [pieces, dim]: words of a theme near its centre, colours near the centre of colours."""
    rng = np.random.default_rng(seed)
    pieces = vocabulary()
    table = 0.35 * rng.normal(size=(len(pieces), dim))
    centres = {
        word: centre for theme in THEMES.values() for centre in [rng.normal(size=dim)] for word in theme
    }
    for colour, character in COLOUR_CHARACTERS.items():
        centres[colour] = centres[character] = rng.normal(size=dim)
    for n, piece in enumerate(pieces):
        if piece in centres:
            table[n] += centres[piece]
    # All texts have a common component, as with real models, which mu removes.
    return (table + 0.5).astype(np.float32)


def text_graph(seed: int, dim: int = TEXT_DIM) -> onnx.ModelProto:
    """input_ids, attention_mask [B, T] -> z = table[ids] [B, T, dim], v = its mean where the mask is 1 [B, dim]."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["z"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["z", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask3", "one"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["v"]),
    ]
    constants = {"table": word_vectors(seed, dim), "last": np.array([-1]), "one": np.array([1])}
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "t"])
        for n in ("input_ids", "attention_mask")
    ]
    return _model(nodes, constants, inputs, {"v": ["b", dim], "z": ["b", "t", dim]})


def picture_graph(seed: int) -> onnx.ModelProto:
    """pixels [B, 3, SIDE, SIDE] -> z [B, GRID, GRID, dim], v = its mean [B, dim]."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["pooled", "kernel", "bias"], ["features"]),
        helper.make_node("Tanh", ["features"], ["bounded"]),
        helper.make_node("Transpose", ["bounded"], ["z"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["z", "axes"], ["v"], keepdims=0),
    ]
    constants = {
        "kernel": rng.normal(size=(IMAGE_DIM, 3, 1, 1)).astype(np.float32),
        "bias": rng.normal(size=IMAGE_DIM).astype(np.float32),
        "axes": np.array([1, 2]),
    }
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, SIDE, SIDE])
    return _model(nodes, constants, [pixels], {"v": ["b", IMAGE_DIM], "z": ["b", GRID, GRID, IMAGE_DIM]})


def _model(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: list[onnx.ValueInfoProto],
    outputs: Mapping[str, Sequence[str | int | None]],
) -> onnx.ModelProto:
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()
    ]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, results, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


@dataclass(frozen=True)
class Tiny:
    """A model repository with three spaces: not fitted, fitted with the same encoders, and with other encoders."""

    models: Path
    plain: str
    fitted: str
    other: str


def build(
    repository: Path,
    name: str = "tiny",
    seed: int = 1,
    created: str = "2026-01-01T00:00:00+00:00",
    text_dim: int = TEXT_DIM,
    external: Mapping[str, EncoderSpec] | None = None,
) -> str:
    """Write an unfitted space with the channels `text`, `image` and those of `external` into `repository`; its id."""
    new = repository / f".{name}"
    new.mkdir(parents=True)
    (new / "tokenizer.json").write_text(tokenizer().to_str(), encoding="utf-8")
    (new / "text.onnx").write_bytes(text_graph(seed, text_dim).SerializeToString())
    (new / "image.onnx").write_bytes(picture_graph(seed).SerializeToString())
    text = TextPreprocessing(
        tokenizer=describe_file(new, "tokenizer.json"),
        max_tokens=MAX_TOKENS,
        query_prefix="query: ",
        item_prefix="passage: ",
    )
    encoders = {
        "text": EncoderSpec(
            kind="TEXT", dim=text_dim, graphs={Precision.FP32: describe_file(new, "text.onnx")}, text=text
        ),
        "image": EncoderSpec(
            kind="IMAGE",
            dim=IMAGE_DIM,
            graphs={Precision.FP32: describe_file(new, "image.onnx")},
            picture=PICTURE,
        ),
        **(external or {}),
    }
    channels = tuple(Channel(name=key, kind=spec.kind, encoder=key) for key, spec in encoders.items())
    manifest = Manifest(
        space_id="", name=name, created=created, encoders=encoders, channels=channels
    ).identified()
    manifest.save(new)
    new.rename(repository / manifest.space_id)
    return manifest.space_id


def external(dimension: int, version: str = "1") -> EncoderSpec:
    """The encoder of a channel of the caller's own vectors."""
    return EncoderSpec(kind="EXTERNAL", dim=dimension, external=ExternalVectors(version=version))


def build_fitted(repository: Path, space_id: str, name: str = "fitted", *, uses_events: bool = True) -> str:
    """Write the space of `space_id` again with a head fitted to `sample_items`. Return the new id."""
    models_ = open_repository(repository)
    try:
        head = fitted_head(models_.load(space_id))
        head = head if uses_events else replace(head, table_rules=None)
    finally:
        models_.close()
    return fitted.write(repository, Manifest.load(repository / space_id), head, name).space_id


def open_repository(directory: Path, **settings: Any) -> ModelRepository:
    """The repository in `directory`, on the processor. Close it."""
    return ModelRepository(Settings(models=directory, data=directory, threads=2, **settings))


def fitted_head(space: Space) -> Head:
    """A head in closed form from the vectors of `sample_items`, with predictors both ways and weights for all terms."""
    items = [item for item in sample_items(240) if item.pictures]
    raw = [raw_vectors(space, item) for item in items]
    channels, units = {}, {}
    for name, width in {"text": 20, "image": 12}.items():
        vectors = [v for item_vectors in raw for v in item_vectors[name]]
        owners = [n for n, item_vectors in enumerate(raw) for _ in item_vectors[name]]
        data = ChannelData(np.stack(vectors), np.asarray(owners, np.int64))
        channels[name] = Directions(name, data, len(items)).channel(Recipe(centred=True), width)
        units[name], _ = item_units(channels[name], data, len(items))
    predicted = tuple(
        HeadChannel(
            name,
            channels[name].mean,
            channels[name].projection,
            {other: predictor(units[other], units[name])},
            0.5,
        )
        for name, other in (("text", "image"), ("image", "text"))
    )
    return Head(predicted, questions(), TableRules(regularisation=5.0), fitted=True)


def questions() -> dict[str, QuestionWeights]:
    """Weights of every question by which every term counts, with all transforms, as a fit could give them."""
    prior = {
        "POPULARITY.all": ColumnWeights(0.3, 0.1, neutral=1.2),
        "POPULARITY.recent": ColumnWeights(0.2, 0.05, neutral=0.7),
        "NEWNESS": ColumnWeights(cold=-0.4),
    }
    evidence = {
        "BEHAVIOUR": ColumnWeights(0.8, 0.3, transform=Transform("log", 0.02), neutral=0.3),
        "SEQUENCE": ColumnWeights(1.5, 0.5, transform=Transform("sqrt"), neutral=0.1),
        "ATTRIBUTE": ColumnWeights(0.9, 0.2, 1.4, neutral=0.1),
    }
    repeats = {
        "REPEAT.had": ColumnWeights(had=0.5),
        "REPEAT.count": ColumnWeights(had=0.6),
        "REPEAT.recency": ColumnWeights(had=0.3),
        "REPEAT.frequency": ColumnWeights(had=0.7),
    }
    presence = {"PRESENT.image": ColumnWeights(0.2), "IMPUTED.image": ColumnWeights(-0.1)}
    decays = {"CHANNEL": 0.9, "BEHAVIOUR": 0.9, "SEQUENCE": 0.6, "ATTRIBUTE": 1.0}
    search = ChannelWeights(8.0, 0.3, 0.1)
    return {
        search_question({"text": 0}): QuestionWeights({"text": search, "image": search}),
        search_question({"image": 0}): QuestionWeights({"text": search, "image": search}),
        search_question({"text": 0, "image": 0}): QuestionWeights(
            {"text": search, "image": ChannelWeights(12.0, 0.4, 0.2)}
        ),
        NEXT: QuestionWeights(
            {"text": ChannelWeights(5.0, 0.3, 0.1, cold=7.0), "image": ChannelWeights(3.5, 0.35, 0.15)},
            {**evidence, **repeats, **prior, **presence},
            decays,
            choices=500,
        ),
        ANYONE: QuestionWeights(columns=prior, choices=500),
        SIMILAR: QuestionWeights({"text": search, "image": ChannelWeights(5.0, 0.35, 0.15)}, evidence),
        DISLIKE: QuestionWeights(
            {"text": ChannelWeights(20.0, 0.4, 0.4), "image": ChannelWeights(20.0, 0.6, 0.5)}
        ),
    }


@dataclass(frozen=True)
class SampleItem:
    """An item of the tests' catalogue."""

    item_id: str
    theme: str
    colour: str
    text: str
    pictures: tuple[bytes, ...]


def sample_items(count: int) -> list[SampleItem]:
    """A mixed catalogue, always the same: some items have no picture, some have two, every fifth is in Chinese."""
    rng = np.random.default_rng(11)
    themes, colours = list(THEMES), list(COLOURS)
    items = []
    for n in range(count):
        theme, colour = themes[n % len(themes)], colours[(n // len(themes)) % len(colours)]
        words = [w for w in THEMES[theme] if w.isascii()]
        characters = [w for w in THEMES[theme] if not w.isascii()]
        if n % 5 == 4:
            text = f"{COLOUR_CHARACTERS[colour]}色的{''.join(characters)}，好"
        else:
            chosen = rng.permutation(words)[:3]
            text = f"{colour} {chosen[0]} with {chosen[1]} and {chosen[2]}, no {n}"
        amount = int(rng.choice([0, 1, 1, 2], p=[0.3, 0.3, 0.3, 0.1]))
        pictures = tuple(picture(theme, colour, int(rng.integers(1 << 30))) for _ in range(amount))
        items.append(SampleItem(f"item-{n:04d}", theme, colour, text, pictures))
    return items


def picture(theme: str, colour: str, seed: int = 0, side: int = SIDE, form: str = "PNG") -> bytes:
    """A picture with the theme's pattern in the given colour, with some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    pattern = {
        "shoe": y > 0.6, "dress": np.abs(x - 0.5) < y / 2, "kettle": (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.12,
        "tour": x + y > 1.0, "course": (x > 0.2) & (x < 0.8) & (y > 0.3), "fund": ((4 * x).astype(int) % 2) == 0,
    }[theme]  # fmt: skip
    pixels = np.where(pattern[..., None], np.array(COLOURS[colour]), np.array([200, 200, 190]))
    noisy = np.clip(pixels + rng.normal(scale=8, size=pixels.shape), 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(noisy), form)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The bytes of a picture file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def raw_vectors(space: Space, item: SampleItem) -> dict[str, Sequence[Array]]:
    """v of an item's text and pictures, by channel."""
    contents: dict[str, list[str] | list[bytes]] = {"text": [item.text], "image": list(item.pictures)}
    raw: dict[str, Sequence[Array]] = {}
    for channel, values in contents.items():
        encoder = space.encoders[channel]
        inputs = [encoder.prepare(value, "item").model_input for value in values]
        if inputs:
            raw[channel] = [encoded.v for encoded in encoder.submit(inputs, False, CallContext()).results()]
    return raw
