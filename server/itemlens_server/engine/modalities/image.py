"""Pictures to vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from itemlens_server.engine.encoder import Array, Encoded, Encoder
from itemlens_server.engine.pictures import PictureError, decode, model_input, normalise, stored_form
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Session
from itemlens_server.errors import InvalidArgument

SAMPLE_SIZE = 12


@dataclass(frozen=True)
class Picture:
    """A picture ready for the model: pixels float32 [3, height, width], and the bytes to keep of it."""

    pixels: Array
    stored: bytes = b""


class ImageEncoder(Encoder[Picture]):
    """Pictures to vectors; z has a row for each cell of the feature map, row by row."""

    kind: ClassVar[Literal["IMAGE"]] = "IMAGE"

    def _open(self, directory: Path) -> None:
        assert self.about.picture is not None
        self._preprocessing = self.about.picture

    def picture(self, data: bytes, keep: bool = False) -> Picture:
        """Decode `data`; with `keep`, also make the form the store holds (else it is empty).

        Raises:
            InvalidArgument: it is no picture that can be read, or too large.
        """
        if len(data) > self._options.picture_bytes:
            raise InvalidArgument(
                f"the picture has {len(data)} bytes, the limit is {self._options.picture_bytes}; scale it down",
                "picture",
            )
        try:
            image = decode(
                data,
                self._options.picture_pixels,
                background=self._preprocessing.alpha_background,
                exif_orientation=self._preprocessing.exif_orientation,
            )
        except PictureError as error:
            raise InvalidArgument(str(error), "picture") from error
        fitted = model_input(image, self._preprocessing)
        stored = stored_form(data, image, self._preprocessing) if keep else b""
        return Picture(normalise(fitted, self._preprocessing), stored)

    def _plans(self) -> list[Plan]:
        if self._options.gpu:
            return [Plan(self._options.gpus, 1, max_batch=32)]
        # Batches of pictures bring nothing on a processor: each is work enough for a thread.
        return [Plan(self._options.threads, 1, max_batch=1), Plan(1, self._options.threads, max_batch=1)]

    def _sample(self) -> list[Picture]:
        shape = (3, self._preprocessing.height, self._preprocessing.width)
        return [Picture(np.zeros(shape, np.float32))] * SAMPLE_SIZE

    def _tokens(self, prepared: Picture) -> int:
        return 1

    def _run(self, session: Session, batch: list[tuple[Picture, bool]]) -> list[Encoded]:
        parts = batch[0][1]
        pixels = np.stack([picture.pixels for picture, _ in batch])
        if self._options.gpu:  # few shapes: see the text encoder
            rows = 1 << (len(batch) - 1).bit_length()
            pixels = np.concatenate([pixels, np.zeros((rows - len(batch), *pixels.shape[1:]), np.float32)])
        result = session.run(["v", "z"] if parts else ["v"], {"pixels": pixels})
        return [
            Encoded(
                result[0][row].copy(), result[1][row].reshape(-1, self.about.dim).copy() if parts else None
            )
            for row in range(len(batch))
        ]
