"""The interface of modalities: all kinds of the contract exist, and a new modality needs only its own module."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock, call

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.config import Settings
from itemlens_server.engine import modalities, pictures
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Array, Encoded, Modality
from itemlens_server.engine.manifest import (
    Channel,
    EncoderSpec,
    Manifest,
    Precision,
    Purpose,
    describe_file,
)
from itemlens_server.engine.modalities import MODALITIES, modality_of_kind
from itemlens_server.engine.model_encoder import ModelEncoder
from itemlens_server.engine.pictures.fitting import fit_to_model
from itemlens_server.engine.prepared import Layout, Prepared
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.repository import ModelRepository, Space
from itemlens_server.engine.session import Session
from itemlens_server.errors import FailedPrecondition, InvalidArgument
from itemlens_server.fusion.parts import Part, Places
from itemlens_server.services import (
    Catalogue,
    Content,
    ContentEncoder,
    EncodedContent,
    ExplainOptions,
    ItemInput,
    QueryRequest,
    RecommendOptions,
    UseCases,
    encoding,
    stored_content,
)
from itemlens_server.storage.records import content_hash
from itemlens_server.storage.store import Store
from support import spaces

STEPS, DIM = 4, 8


@dataclass(frozen=True, slots=True)
class StepLayout(Layout):
    def places(self) -> Places:
        return Places(tuple(Part("CELL", column=n) for n in range(STEPS)), np.arange(STEPS))


class SoundEncoder(ModelEncoder[bytes, Array]):
    """Return the first 32 bytes as 4 steps of 8 numbers."""

    def prepare(
        self, value: bytes, purpose: Purpose, keep: bool = False, call: CallContext | None = None
    ) -> Prepared[Array]:
        if not value:
            raise InvalidArgument("the sound is empty", "audio")
        samples = np.frombuffer(value[: STEPS * DIM].ljust(STEPS * DIM), np.uint8).astype(np.float32)
        return Prepared(samples.reshape(STEPS, DIM), StepLayout(), value if keep else b"")

    def _open(self, directory: Path) -> None:
        pass

    def _plans(self) -> list[Plan]:
        return [Plan()]

    def _sample(self) -> list[Array]:
        return [np.zeros((STEPS, DIM), np.float32)]

    def _tokens(self, model_input: Array) -> int:
        return 1

    def _run(self, session: Session, batch: list[tuple[Array, bool]]) -> list[Encoded]:
        v, z = session.run(["v", "z"], {"samples": np.stack([samples for samples, _ in batch])})
        return [Encoded(v[n], z[n] if batch[n][1] else None) for n in range(len(batch))]


SOUND = Modality(
    kind="AUDIO",
    field="audio",
    plural="sounds",
    encoder=SoundEncoder,
    several=True,
    in_document=False,
    quick=False,
    by_purpose=False,
    cached=True,
    place="CELL",
    fits={"en": "it sounds alike", "zh": "声音也与之相似"},
    sample_query=lambda rng, stored: stored[: len(stored) // 2],
    search_nats=4.0,
)


def build(repository: Path) -> str:
    """Write a space with one channel, `sound`, of kind AUDIO, and return its id."""
    folder = repository / ".sound"
    folder.mkdir(parents=True)
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["samples"], ["z"]),
            helper.make_node("ReduceMean", ["z", "axes"], ["v"], keepdims=0),
        ],
        "sound",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["b", STEPS, DIM])],
        [
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["b", DIM]),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["b", STEPS, DIM]),
        ],
        [numpy_helper.from_array(np.array([1]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "sound.onnx")
    encoder = EncoderSpec(kind="AUDIO", dim=DIM, graphs={Precision.FP32: describe_file(folder, "sound.onnx")})
    manifest = Manifest(
        space_id="",
        name="sound",
        created="2026-01-01T00:00:00+00:00",
        encoders={"sound": encoder},
        channels=(Channel(name="sound", kind="AUDIO", encoder="sound"),),
    ).identified()
    manifest.save(folder)
    folder.rename(repository / manifest.space_id)
    return manifest.space_id


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelRepository]:
    """A repository with the space of sounds, on a server that has the modality."""
    monkeypatch.setitem(MODALITIES, "AUDIO", SOUND)
    build(tmp_path / "models")
    repository = spaces.open_repository(tmp_path / "models")
    yield repository
    repository.close()


@pytest.fixture
def encoder() -> Iterator[ContentEncoder]:
    content_encoder = ContentEncoder(Settings(threads=2))
    yield content_encoder
    content_encoder.close()


class TestRegistry:
    def test_has_every_kind_of_the_contract(self) -> None:
        kinds = {
            name.removeprefix("CHANNEL_KIND_") for name in itemlens_pb2.ChannelKind.DESCRIPTOR.values_by_name
        }
        assert set(MODALITIES) == kinds - {"UNSPECIFIED"}
        assert all(modality.kind == kind for kind, modality in MODALITIES.items())

    def test_has_every_field_of_the_contracts_content(self) -> None:
        fields = {field.name for field in common_pb2.Content.DESCRIPTOR.oneofs_by_name["value"].fields}
        assert {modality.field for modality in MODALITIES.values()} == fields

    def test_an_unknown_kind_is_an_error_that_names_it(self) -> None:
        with pytest.raises(FailedPrecondition, match="'AUDIO'"):
            modality_of_kind("AUDIO")

    def test_a_space_of_an_unknown_kind_does_not_load(self, tmp_path: Path) -> None:
        build(tmp_path)
        repository = spaces.open_repository(tmp_path)
        with pytest.raises(FailedPrecondition, match="'AUDIO'"):
            repository.load("")
        repository.close()

    def test_says_in_each_language_what_fits(self) -> None:
        for modality in MODALITIES.values():
            assert set(modality.fits) == {"en", "zh"}


class TestANewModality:
    def test_is_encoded(self, sounds: ModelRepository, encoder: ContentEncoder) -> None:
        space = sounds.load("")
        data = bytes(range(32))
        contents = [
            Content("sound", "audio", data),
            Content("sound", "audio", b""),
            Content("sound", "text", "x"),
        ]
        good, empty, text = encoder.encode(
            space, contents, "item", CallContext(), with_places=True, keep=True
        )
        assert isinstance(good, EncodedContent) and good.z is not None
        np.testing.assert_allclose(good.v, np.arange(32).reshape(STEPS, DIM).mean(0))
        assert good.z.shape == (STEPS, DIM) and good.stored == data
        assert isinstance(empty, InvalidArgument) and empty.message == "the sound is empty"
        assert isinstance(text, InvalidArgument) and text.field == "audio"
        assert text.message == "channel 'sound' takes sounds; give `audio`"

    def test_is_stored_and_explained(
        self, sounds: ModelRepository, encoder: ContentEncoder, tmp_path: Path
    ) -> None:
        store = Store(tmp_path / "data")
        space = sounds.load("")
        settings = Settings(max_item_pictures=2)
        catalogue = Catalogue(store, sounds, encoder, settings, space.space_id)
        catalogue.load()
        use_cases = UseCases.over(catalogue, encoder, settings)
        loud, low = (Content("sound", "audio", bytes(range(start, start + 32))) for start in (0, 100))
        items = [
            ItemInput("both", [loud, low], {}, ()),
            ItemInput("too many", [loud] * 3, {}, ()),
            ItemInput("again", [low], {}, ()),
        ]
        (both, too_many, again), _, collection = catalogue.upsert("", items, False, CallContext())
        assert both.error is None and again.error is None
        assert too_many.error is not None
        assert too_many.error.message == "channel 'sound' takes at most 2 sounds per item"

        item = catalogue.reads.items(collection, ["both"], with_data=True)["both"]
        contents = [stored_content(space, item, stored) for stored in item.inputs]
        assert contents == [loud, low]
        request = QueryRequest(content=[low])
        result = use_cases.recommender.recommend("", request, RecommendOptions(), CallContext())
        assert [i.item_id for i in result.items] == ["again", "both"]
        [explained] = use_cases.explainer.explain_query(
            "", request, ["both"], ExplainOptions(with_sums=True), CallContext()
        ).explanations
        [whole] = explained.sums
        assert [(p.kind, p.picture_index, p.column) for p in whole.places] == [
            ("CELL", n, c) for n in (0, 1) for c in range(STEPS)
        ]
        assert abs(explained.residual) < 1e-5 and "it sounds alike" in explained.sentence.lower()
        store.close()

    def test_a_query_is_cut_from_what_is_stored(self) -> None:
        assert SOUND.sample_query(random.Random(0), b"abcd") == b"ab"


class TestWorkIsDoneOnce:
    def test_a_picture_is_resized_once(
        self, plain_space: Space, encoder: ContentEncoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fit = Mock(wraps=fit_to_model)
        monkeypatch.setattr(pictures, "fit_to_model", fit)
        content = Content("image", "picture", spaces.picture("shoe", "red", side=400))
        [outcome] = encoder.encode(plain_space, [content], "item", CallContext(), keep=True)
        assert isinstance(outcome, EncodedContent) and outcome.stored
        assert fit.call_count == 1

    def test_a_content_is_hashed_once(
        self, repository: ModelRepository, plain_space: Space, encoder: ContentEncoder, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        hashes = Mock(wraps=content_hash)
        monkeypatch.setattr(encoding, "content_hash", hashes)
        store = Store(tmp_path / "data")
        catalogue = Catalogue(store, repository, encoder, Settings(), plain_space.space_id)
        catalogue.load()
        picture = spaces.picture("shoe", "red")
        contents = [Content("text", "text", "red shoe"), Content("image", "picture", picture)]
        [outcome], _, _ = catalogue.upsert("", [ItemInput("a", contents, {}, ())], False, CallContext())
        assert outcome.error is None
        assert hashes.call_args_list == [call(b"red shoe"), call(picture)]
        store.close()


class TestTheCacheOfVectors:
    def test_tells_purposes_apart_where_they_differ(
        self, plain_space: Space, encoder: ContentEncoder
    ) -> None:
        contents = [
            Content("text", "text", "red"),
            Content("image", "picture", spaces.picture("shoe", "red")),
        ]
        for purpose in ("item", "query"):
            encoder.encode(plain_space, contents, purpose, CallContext())
        assert (encoder.cache.hits, encoder.cache.misses) == (1, 3)

    def test_never_takes_a_picture_for_a_text(self, plain_space: Space, encoder: ContentEncoder) -> None:
        [text] = encoder.encode(plain_space, [Content("text", "text", "red")], "item", CallContext())
        [same_bytes] = encoder.encode(
            plain_space, [Content("text", "picture", b"red")], "item", CallContext()
        )
        assert isinstance(text, EncodedContent)
        assert isinstance(same_bytes, InvalidArgument) and same_bytes.field == "text"


def test_no_other_module_asks_which_kind_a_content_is() -> None:
    server = Path(modalities.__file__).parents[2]
    own = {"modalities", "manifest.py", "texts.py", "pictures.py"}
    for path in server.rglob("*.py"):
        if not own & set(path.relative_to(server).parts):
            source = path.read_text(encoding="utf-8")
            for name in ('"IMAGE"', '"TEXT"', '"EXTERNAL"', "TextEncoder", "ImageEncoder"):
                assert name not in source, f"{path} has {name}"
