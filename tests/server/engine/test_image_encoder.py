"""The encoder of pictures: refusals, waits for memory, and warnings."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Encoder
from itemlens_server.engine.modalities.image import ImageEncoder
from itemlens_server.errors import Cancelled, InvalidArgument
from support import picture_files, spaces
from support.spaces import Tiny

MIB = 1 << 20


@pytest.fixture(scope="module")
def image(tiny: Tiny) -> Iterator[ImageEncoder]:
    repository = spaces.open_repository(tiny.models, picture_memory_bytes=32 * MIB)
    encoder: Encoder[bytes, object] = repository.load(tiny.plain).encoders["image"]
    assert isinstance(encoder, ImageEncoder)
    yield encoder
    repository.close()


def white_logo() -> bytes:
    logo = Image.new("RGBA", (spaces.SIDE, spaces.SIDE), (255, 255, 255, 0))
    logo.paste((255, 255, 255, 255), (8, 8, 24, 24))
    return picture_files.encoded(logo)


def test_a_picture_that_takes_more_memory_than_there_is_is_refused(image: ImageEncoder) -> None:
    with pytest.raises(
        InvalidArgument, match=r"takes 3\d MiB .* \(picture_memory_bytes\) is 32 MiB: send"
    ) as error:
        image.prepare(picture_files.claiming(2500, 2500, depth=8, colour=6), "item")
    assert error.value.field == "picture"


def test_a_picture_waits_until_there_is_memory_for_it(image: ImageEncoder) -> None:
    prepared = threading.Event()

    def prepare() -> None:
        image.prepare(spaces.picture("shoe", "red"), "item")
        prepared.set()

    with image._decoding.lend(30 * MIB):
        thread = threading.Thread(target=prepare, daemon=True)
        thread.start()
        while not image._decoding._waiting:
            thread.join(0.001)
        assert not prepared.is_set()
    assert prepared.wait(30)
    thread.join(30)
    assert image._decoding.lent == 0


def test_a_picture_of_an_ended_call_is_not_decoded(
    image: ImageEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = CallContext()
    call.end()
    data = spaces.picture("shoe", "red")
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(Cancelled):
        image.prepare(data, "item", call=call)


def test_memory_is_returned_after_a_damaged_picture(image: ImageEncoder) -> None:
    with pytest.raises(InvalidArgument, match="cut short"):
        image.prepare(spaces.picture("shoe", "red")[:300], "item")
    assert image._decoding.lent == 0


def test_warnings_reach_the_caller(image: ImageEncoder) -> None:
    blank = image.prepare(picture_files.encoded(Image.new("RGB", (9, 9), "white")), "item")
    assert [(w.reason, w.field) for w in blank.warnings] == [("PICTURE_BLANK", "picture")]
    cut = image.prepare(spaces.picture("shoe", "red", form="JPEG")[:-2], "item")
    assert [(w.reason, w.field) for w in cut.warnings] == [("PICTURE_TRUNCATED", "picture")]


def test_a_heat_map_is_drawn_over_the_ground_that_the_model_saw(image: ImageEncoder) -> None:
    assert image.heat_maps is not None
    stored = image.prepare(white_logo(), "item", keep=True).stored
    png = image.heat_maps.draw(stored, [0.0] * spaces.GRID**2)
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert pixels[0, 0].max() == 0 and pixels[16, 16].min() == 255


def test_white_logos_are_not_white_pictures(image: ImageEncoder) -> None:
    logo, white = (
        image.prepare(data, "item").model_input
        for data in (white_logo(), picture_files.encoded(Image.new("RGB", (32, 32), "white")))
    )
    first, second = (encoded.v for encoded in image.submit([logo, white], False, CallContext()).results())
    assert first @ second / np.linalg.norm(first) / np.linalg.norm(second) < 0.95


def test_a_sample_query_of_a_white_logo_shows_it(image: ImageEncoder) -> None:
    query = image.modality.sample_query(random.Random(1), white_logo())
    assert isinstance(query, bytes) and image.prepare(query, "query").warnings == ()
