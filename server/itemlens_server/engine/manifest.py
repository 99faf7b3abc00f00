"""The manifest of a space: its files, the preprocessing of inputs, and the results of the parity check.

A space is a directory `<models>/<space_id>/` with `manifest.json` and the files that it names. `space_id` is a hash of
everything in the manifest that changes vectors or scores (encoders, channels, head). Two spaces with the same id give
the same vectors, and a space cannot be edited in place.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MANIFEST = "manifest.json"


class Precision(StrEnum):
    """The number format of an ONNX graph's weights and products."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


# Whether a content is a query or describes an item.
Purpose = Literal["query", "item"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Model):
    """A file of the space. `path` is relative to the space's directory."""

    path: str
    sha256: str
    bytes: int


class Parity(_Model):
    """Cosine distance between the `v` of a graph and of its checkpoint, over `inputs` varied inputs."""

    precision: Precision
    inputs: int
    mean: float
    max: float
    limit: float
    passed: bool


class TextPreprocessing(_Model):
    """Tokenisation of texts. The tokenizer's own truncation and padding are not used."""

    tokenizer: File
    max_tokens: int = Field(description="maximum length with special tokens and prefix; longer texts are cut")
    query_prefix: str = Field(default="", description="prefix of query texts, such as 'query: ' for e5")
    item_prefix: str = Field(default="", description="prefix of item texts, such as 'passage: ' for e5")
    unknown_token: str = Field(
        default="[UNK]", description="token of unknown words; a large share in a text causes a warning"
    )


class PicturePreprocessing(_Model):
    """Preprocessing of pictures: orientation, transparency, resize, crop, scale, in this order."""

    height: int
    width: int
    resize: Literal["stretch", "shorter_side"] = Field(
        description="stretch: to height x width, no crop; shorter_side: to `resize_to`, then crop the centre"
    )
    resize_to: int | None = Field(
        default=None, description="length of the shorter side before the crop, pixels"
    )
    resample: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    exif_orientation: bool = True
    alpha_background: tuple[int, int, int] = (255, 255, 255)
    grid_height: int = Field(description="rows of the feature map: z has grid_height x grid_width cells")
    grid_width: int


class ExternalVectors(_Model):
    """The caller's own vectors: nothing encodes them."""

    version: str = Field(
        description="what the vectors were made with, in the caller's words: those of two versions are not compared"
    )


class EncoderSpec(_Model):
    """An encoder: ONNX graphs by precision, with these inputs and outputs:

    TEXT:  input_ids int64 [B, T], attention_mask int64 [B, T] -> v float32 [B, dim], z float32 [B, T, dim];
           v is the mean of z over the positions where attention_mask is 1.
    IMAGE: pixels float32 [B, 3, height, width] -> v float32 [B, dim], z float32 [B, grid_h, grid_w, dim];
           v is the mean of z over the cells.

    EXTERNAL has no graph: v is the caller's vector.
    """

    kind: str = Field(description="name of a ChannelKind of the wire contract: TEXT, IMAGE, EXTERNAL")
    dim: int
    graphs: dict[Precision, File] = Field(default_factory=dict)
    packed: tuple[Precision, ...] = Field(
        default=(), description="text graphs that compute padding in attention only"
    )
    singly: tuple[Precision, ...] = Field(
        default=(Precision.INT8,),
        description="text graphs whose inputs must run one at a time: a dynamic int8 graph has one scale for the whole "
        "batch",
    )
    text: TextPreprocessing | None = None
    picture: PicturePreprocessing | None = None
    external: ExternalVectors | None = None
    source: dict[str, str] = Field(
        default_factory=dict, description="checkpoint, licence, versions; for people"
    )
    parity: tuple[Parity, ...] = ()

    @model_validator(mode="after")
    def _graphs_or_external(self) -> EncoderSpec:
        external = self.kind == "EXTERNAL"
        if external == (self.external is None) or external == bool(self.graphs):
            raise ValueError("an encoder has graphs, or `external` if its kind is EXTERNAL")
        return self

    def digest(self, precision: Precision) -> str:
        """Return the identity of this encoder's raw vectors at `precision`: 32 hex characters."""
        kept: dict[str, object] = {
            "kind": self.kind,
            "text": self.text.model_dump() if self.text else None,
            "picture": self.picture.model_dump() if self.picture else None,
        }
        if self.external is None:
            kept["graph"] = self.graphs[precision].sha256
        else:
            kept |= {"dim": self.dim, "external": self.external.model_dump()}
        return _digest(kept)[:32]


class Channel(_Model):
    """A named input of a space, with its encoder."""

    name: str
    kind: str
    encoder: str = Field(description="key in Manifest.encoders")


class HeadFiles(_Model):
    """The fusion head. ONNX Runtime runs `graph`; `terms` has the same arrays and the weights."""

    graph: File
    terms: File
    report: dict[str, object] = Field(
        default_factory=dict, description="the choices of fit and their effect on quality"
    )


class Manifest(_Model):
    """The contents of `manifest.json`."""

    format: Literal[1] = 1
    space_id: str
    name: str = Field(description="label for people; not part of the identity")
    created: str = Field(description="ISO 8601, UTC")
    made_with: dict[str, str] = Field(default_factory=dict)
    encoders: dict[str, EncoderSpec]
    channels: tuple[Channel, ...]
    head: HeadFiles | None = Field(
        default=None, description="absent until `itemlens fit`: raw vectors are used as they are"
    )

    def computed_space_id(self) -> str:
        """Return the id computed from this manifest's contents: `sp-` and 16 hex characters."""
        kept = {
            "encoders": {
                name: {
                    "kind": e.kind,
                    "dim": e.dim,
                    "graphs": {p.value: f.sha256 for p, f in sorted(e.graphs.items())},
                    "text": e.text.model_dump() if e.text else None,
                    "picture": e.picture.model_dump() if e.picture else None,
                    # Without a key for others, whose ids are older than channels of this kind.
                    **({"external": e.external.model_dump()} if e.external else {}),
                }
                for name, e in sorted(self.encoders.items())
            },
            "channels": [c.model_dump() for c in self.channels],
            "head": [self.head.graph.sha256, self.head.terms.sha256] if self.head else None,
        }
        return "sp-" + _digest(kept)[:16]

    def identified(self) -> Manifest:
        """Return a copy with the computed `space_id`."""
        return self.model_copy(update={"space_id": self.computed_space_id()})

    def files(self) -> list[File]:
        """Return every file of the space."""
        files = [f for e in self.encoders.values() for f in e.graphs.values()]
        files += [e.text.tokenizer for e in self.encoders.values() if e.text]
        if self.head:
            files += [self.head.graph, self.head.terms]
        return files

    def save(self, directory: Path) -> None:
        """Write `manifest.json` into `directory`."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)
        (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def load(directory: Path) -> Manifest:
        """Read `manifest.json` from `directory`."""
        return Manifest.model_validate_json((directory / MANIFEST).read_text(encoding="utf-8"))


def describe_file(directory: Path, path: str) -> File:
    """Return the size and hash of the file `directory/path`."""
    full = directory / path
    digest = hashlib.sha256()
    with full.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return File(path=path, sha256=digest.hexdigest(), bytes=full.stat().st_size)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
