"""The modality of pictures."""

from __future__ import annotations

import io
import random
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Array, Encoded, Modality
from itemlens_server.engine.heat_map import HeatMapDrawer
from itemlens_server.engine.manifest import Purpose
from itemlens_server.engine.model_encoder import ModelEncoder
from itemlens_server.engine.pictures import read, stored_form
from itemlens_server.engine.pictures.errors import PictureError
from itemlens_server.engine.pictures.file import PictureFile
from itemlens_server.engine.pictures.fitting import normalise
from itemlens_server.engine.pictures.strips import Strips
from itemlens_server.engine.prepared import Layout, Prepared
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Session
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.parts import Part, Places

SAMPLE_SIZE = 12
CELL = "CELL"


@dataclass(frozen=True, slots=True)
class GridLayout(Layout):
    """z has a row for each cell of the feature map, row by row. Each cell is a place."""

    rows: int
    columns: int

    def places(self) -> Places:
        cells = [Part(CELL, row=r, column=c) for r in range(self.rows) for c in range(self.columns)]
        return Places(tuple(cells), np.arange(len(cells)))


class ImageEncoder(ModelEncoder[bytes, Array]):
    """Encodes pictures. The model reads pixels float32 [3, height, width]; z has a row for each cell of the feature
    map, row by row."""

    def _open(self, directory: Path) -> None:
        assert self.spec.picture is not None
        self._preprocessing = self.spec.picture
        rows, columns = self._preprocessing.grid_height, self._preprocessing.grid_width
        self._layout = GridLayout(rows, columns)
        self.heat_maps = HeatMapDrawer(rows, columns, self._as_seen)

    def prepare(
        self, value: bytes, purpose: Purpose, keep: bool = False, call: CallContext | None = None
    ) -> Prepared[Array]:
        """Decode a picture and fit it to the model; with `keep`, also make the form that is stored.

        Raises:
            InvalidArgument: it cannot be read as a picture, or is too large.
            DeadlineExceeded, Cancelled: the call ended before there was memory for it.
        """
        if len(value) > self._settings.max_picture_bytes:
            raise InvalidArgument(
                f"the picture has {len(value)} bytes, the limit is {self._settings.max_picture_bytes}; scale it down",
                "picture",
            )

        def reserve(size: int) -> AbstractContextManager[None]:
            if size > self._decoding.max_bytes:
                raise PictureError(
                    f"picture takes {size >> 20} MiB to decode, the limit (picture_memory_bytes) is "
                    f"{self._decoding.max_bytes >> 20} MiB: send a smaller version"
                )
            return self._decoding.lend(size, call)

        try:
            fitted = read(value, self._preprocessing, self._settings.max_picture_pixels, reserve)
        except PictureError as error:
            raise InvalidArgument(str(error), "picture") from error
        stored = stored_form(value, fitted.image) if keep else b""
        pixels = normalise(fitted.image, self._preprocessing)
        return Prepared(pixels, self._layout, stored, fitted.warnings)

    def _as_seen(self, stored: bytes) -> Image.Image:
        """Return a stored picture as the model saw it: upright, cropped. Limits do not apply to stored pictures."""
        return read(stored, self._preprocessing, sys.maxsize, self._decoding.lend).image

    def _plans(self) -> list[Plan]:
        if self._device.gpu:
            return [Plan(self._device.gpus, 1, max_batch=32)]
        # Batches of pictures bring nothing on a CPU: each picture is enough work for a thread.
        threads = self._settings.thread_count()
        return [Plan(threads, 1, max_batch=1), Plan(1, threads, max_batch=1)]

    def _sample(self) -> list[Array]:
        shape = (3, self._preprocessing.height, self._preprocessing.width)
        return [np.zeros(shape, np.float32)] * SAMPLE_SIZE

    def _tokens(self, model_input: Array) -> int:
        return 1

    def _run(self, session: Session, batch: list[tuple[Array, bool]]) -> list[Encoded]:
        with_places = batch[0][1]
        pixels = np.stack([picture for picture, _ in batch])
        if self._device.gpu:  # few shapes: see the text encoder
            rows = 1 << (len(batch) - 1).bit_length()
            pixels = np.concatenate([pixels, np.zeros((rows - len(batch), *pixels.shape[1:]), np.float32)])
        result = session.run(["v", "z"] if with_places else ["v"], {"pixels": pixels})
        return [
            Encoded(
                result[0][row].copy(),
                result[1][row].reshape(-1, self.spec.dim).copy() if with_places else None,
            )
            for row in range(len(batch))
        ]


def _sample_query(rng: random.Random, stored: bytes) -> bytes:
    """Return a crop of the picture, mirrored and dimmed."""
    image = PictureFile(stored, sys.maxsize).load()
    # Transparency is kept, because the choice of the background depends on the contents of the crop.
    image = image.convert("RGBA") if image.has_transparency_data else Strips(image).whole((0, 0, 0))
    share = rng.uniform(0.65, 0.85)
    width, height = max(1, int(image.width * share)), max(1, int(image.height * share))
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    crop = ImageOps.mirror(image.crop((left, top, left + width, top + height)))
    out = io.BytesIO()
    ImageEnhance.Brightness(crop).enhance(rng.uniform(0.6, 0.9)).save(out, "PNG")
    return out.getvalue()


IMAGE = Modality(
    kind="IMAGE",
    field="picture",
    plural="pictures",
    encoder=ImageEncoder,
    several=True,
    in_document=False,
    quick=False,
    by_purpose=False,
    cached=True,
    place=CELL,
    fits={"en": "its picture looks alike", "zh": "图片也与之相似"},
    sample_query=_sample_query,
    # A picture of an item fits hardly any other. Fits found 5 to 7 (a crop of its picture; the bundled catalogue).
    search_nats=4.0,
)
