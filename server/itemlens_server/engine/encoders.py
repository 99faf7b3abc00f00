"""A text or picture encoder: input to raw vector v, and on request to the parts z that v is the mean of."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from itemlens_server.deadline import Deadline
from itemlens_server.engine.batcher import Batcher
from itemlens_server.engine.manifest import Encoder as Description
from itemlens_server.engine.manifest import Precision
from itemlens_server.engine.pictures import PictureError, decode, model_input, normalise, stored_form
from itemlens_server.engine.session import Provider, Session
from itemlens_server.engine.texts import TextError, Tokenizer, Tokens
from itemlens_server.errors import InvalidInput

Array = np.ndarray[Any, np.dtype[np.float32]]
Purpose = Literal["item", "query"]

# Texts whose token counts fall in the same step share a batch: at most 7 of its positions are padding.
LENGTH_STEP = 8


@dataclass(frozen=True)
class Limits:
    """What one input may be, and how batches are formed."""

    text_bytes: int
    picture_bytes: int
    picture_pixels: int
    queue: int
    workers: int
    gpu: bool

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of a batch."""
        return 16_384 if self.gpu else 512


@dataclass(frozen=True)
class Encoded:
    """v float32 [dim]; z float32 [parts, dim] where asked for, with v its mean."""

    v: Array
    z: Array | None


class TextEncoder:
    """Texts to vectors."""

    kind: Literal["TEXT"] = "TEXT"

    def __init__(
        self, directory: Path, about: Description, precision: Precision, provider: Provider, limits: Limits,
        gpu_memory_bytes: int,
    ) -> None:  # fmt: skip
        assert about.text is not None
        self.about = about
        self.digest = about.digest(precision)
        self.precision = precision
        self._limits = limits
        self._tokenizer = Tokenizer.load(directory, about.text)
        self._session = Session(directory / about.graphs[precision].path, provider, gpu_memory_bytes)
        self.provider = self._session.provider
        # Dynamic int8 scales activations over the batch: a text's vector would depend on its neighbours.
        alone = precision is Precision.INT8 and about.source.get("int8", "dynamic").startswith("dynamic")
        self._batcher: Batcher[tuple[Tokens, bool], Encoded] = Batcher(
            self._run,
            workers=limits.workers,
            max_batch=1 if alone else (256 if limits.gpu else 8),
            max_batch_size=limits.batch_tokens,
            max_queue=limits.queue,
            name="text",
        )

    def tokens(self, text: str, purpose: Purpose) -> Tokens:
        """Tokens of `text`.

        Raises:
            InvalidInput: the text is empty, too long or not proper Unicode.
        """
        if (
            len(text) > self._limits.text_bytes
            or len(text.encode("utf-8", "surrogatepass")) > self._limits.text_bytes
        ):
            raise InvalidInput(
                f"the text is longer than {self._limits.text_bytes} bytes; send the part that says what the item is",
                "text",
            )
        try:
            return self._tokenizer.encode(text, purpose)
        except TextError as error:
            raise InvalidInput(str(error), "text") from error

    def submit(self, tokens: list[Tokens], parts: bool, deadline: Deadline) -> list[Future[Encoded]]:
        """Queue texts; z has a row for each token, special ones included."""
        jobs = [((t, parts), len(t.ids), (parts, -(-len(t.ids) // LENGTH_STEP))) for t in tokens]
        return self._batcher.submit(jobs, deadline)

    def close(self) -> None:
        """Finish what is queued."""
        self._batcher.close()

    def _run(self, batch: list[tuple[Tokens, bool]]) -> list[Encoded]:
        longest = max(len(t.ids) for t, _ in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, (tokens, _) in enumerate(batch):
            ids[row, : len(tokens.ids)] = tokens.ids
            mask[row, : len(tokens.ids)] = 1
        parts = batch[0][1]
        result = self._session.run(["v", "z"] if parts else ["v"], {"input_ids": ids, "attention_mask": mask})
        return [
            Encoded(result[0][row], result[1][row, : len(tokens.ids)] if parts else None)
            for row, (tokens, _) in enumerate(batch)
        ]


@dataclass(frozen=True)
class Picture:
    """A picture ready for the model: pixels float32 [3, height, width], and the bytes to keep of it."""

    pixels: Array
    stored: bytes


class PictureEncoder:
    """Pictures to vectors."""

    kind: Literal["IMAGE"] = "IMAGE"

    def __init__(
        self, directory: Path, about: Description, precision: Precision, provider: Provider, limits: Limits,
        gpu_memory_bytes: int,
    ) -> None:  # fmt: skip
        assert about.picture is not None
        self.about = about
        self.digest = about.digest(precision)
        self.precision = precision
        self._limits = limits
        self._preprocessing = about.picture
        self._session = Session(directory / about.graphs[precision].path, provider, gpu_memory_bytes)
        self.provider = self._session.provider
        self._batcher: Batcher[tuple[Array, bool], Encoded] = Batcher(
            self._run,
            workers=limits.workers,
            max_batch=32 if limits.gpu else 1,
            max_batch_size=32,
            max_queue=limits.queue,
            name="picture",
        )

    def picture(self, data: bytes, keep: bool = False) -> Picture:
        """Decode `data`; with `keep`, also make the form the store holds (else it is empty).

        Raises:
            InvalidInput: it is no picture that can be read, or too large.
        """
        if len(data) > self._limits.picture_bytes:
            raise InvalidInput(
                f"the picture has {len(data)} bytes, the limit is {self._limits.picture_bytes}; scale it down",
                "picture",
            )
        try:
            image = decode(
                data,
                self._limits.picture_pixels,
                background=self._preprocessing.alpha_background,
                exif_orientation=self._preprocessing.exif_orientation,
            )
        except PictureError as error:
            raise InvalidInput(str(error), "picture") from error
        fitted = model_input(image, self._preprocessing)
        stored = stored_form(data, image, self._preprocessing) if keep else b""
        return Picture(normalise(fitted, self._preprocessing), stored)

    def submit(self, pictures: list[Array], parts: bool, deadline: Deadline) -> list[Future[Encoded]]:
        """Queue pixels; z has a row for each cell of the feature map, row by row."""
        return self._batcher.submit([((p, parts), 1, parts) for p in pictures], deadline)

    def close(self) -> None:
        """Finish what is queued."""
        self._batcher.close()

    def _run(self, batch: list[tuple[Array, bool]]) -> list[Encoded]:
        parts = batch[0][1]
        result = self._session.run(
            ["v", "z"] if parts else ["v"], {"pixels": np.stack([p for p, _ in batch])}
        )
        return [
            Encoded(result[0][row], result[1][row].reshape(-1, self.about.dim) if parts else None)
            for row in range(len(batch))
        ]


Encoder = TextEncoder | PictureEncoder
