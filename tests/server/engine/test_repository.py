"""The model repository: it finds and verifies spaces, and names the fault of a changed one."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.manifest import MANIFEST, Manifest, Precision, describe_file
from itemlens_server.engine.modalities.image import ImageEncoder
from itemlens_server.engine.modalities.text import TextEncoder
from itemlens_server.engine.repository import ModelRepository, Space, TooManySpaces, verify
from itemlens_server.engine.session import choose_provider
from itemlens_server.errors import FailedPrecondition, InvalidArgument, NotFound
from support import spaces
from support.spaces import Tiny


@pytest.fixture
def copied(tiny: Tiny, tmp_path: Path) -> Path:
    """A copy of all spaces that a test may damage."""
    return Path(shutil.copytree(tiny.models, tmp_path / "models"))


@pytest.fixture
def opened(copied: Path) -> Iterator[ModelRepository]:
    model_repository = spaces.open_repository(copied)
    yield model_repository
    model_repository.close()


class TestFinding:
    def test_by_id_and_by_name(self, repository: ModelRepository, tiny: Tiny) -> None:
        assert repository.load(tiny.plain) is repository.load("tiny")

    def test_the_default_is_the_last_exported(self, repository: ModelRepository, tiny: Tiny) -> None:
        assert repository.load("").space_id == tiny.plain

    def test_an_unknown_one_is_refused_with_a_list(self, repository: ModelRepository) -> None:
        with pytest.raises(NotFound, match=r"no space 'nope'.*tiny") as error:
            repository.load("nope")
        assert (error.value.resource_type, error.value.name, error.value.field) == ("space", "nope", "space")

    @pytest.mark.parametrize("there", [True, False])
    def test_an_empty_repository_says_what_to_run(self, tmp_path: Path, there: bool) -> None:
        empty = spaces.open_repository(tmp_path if there else tmp_path / "missing")
        with pytest.raises(NotFound, match="itemlens export"):
            empty.load("")

    def test_other_folders_and_files_are_ignored(
        self, copied: Path, opened: ModelRepository, tiny: Tiny
    ) -> None:
        (copied / ".half-made").mkdir()
        (copied / "notes.txt").write_text("mine")
        assert opened.load(tiny.plain).space_id == tiny.plain


class TestIdleSpaces:
    """A caller that names spaces makes the server load a few of them, not all."""

    def test_beyond_the_limit_no_further_space_is_loaded(self, tiny: Tiny) -> None:
        few = spaces.open_repository(tiny.models, max_idle_spaces=0)
        try:
            default = few.load(tiny.plain)
            assert few.load(tiny.fitted, lambda: [default]).space_id == tiny.fitted  # it shares the encoders
            with pytest.raises(TooManySpaces, match="max_idle_spaces"):
                few.load(tiny.other, lambda: [default])
            assert few.load(tiny.other).space_id == tiny.other  # the server itself may load it
            assert few.load(tiny.other, lambda: [default]).space_id == tiny.other  # it is loaded now
        finally:
            few.close()


class TestDamage:
    @pytest.mark.parametrize(
        "name", ["text.onnx", "image.onnx", "tokenizer.json", "head/head.onnx", "head/terms.npz"]
    )
    @pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
    def test_of_any_file_is_found_before_it_is_used(
        self, copied: Path, opened: ModelRepository, tiny: Tiny, name: str, how: str
    ) -> None:
        path = copied / tiny.fitted / name
        data = path.read_bytes()
        if how == "missing":
            path.unlink()
        else:
            path.write_bytes(data[: len(data) // 2] if how == "cut" else bytes([data[0] ^ 1]) + data[1:])
        with pytest.raises(FailedPrecondition, match="export the space again") as error:
            opened.load(tiny.fitted)
        assert name in error.value.message
        # The other spaces can be loaded.
        assert opened.load(tiny.plain).space_id == tiny.plain

    def test_a_changed_manifest_is_refused(self, copied: Path, opened: ModelRepository, tiny: Tiny) -> None:
        path = copied / tiny.plain / MANIFEST
        manifest = json.loads(path.read_text())
        manifest["encoders"]["text"]["text"]["item_prefix"] = "document: "
        path.write_text(json.dumps(manifest))
        with pytest.raises(FailedPrecondition, match="changed after it was made"):
            opened.load(tiny.plain)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}'])
    def test_a_manifest_that_cannot_be_read_is_named(
        self, copied: Path, opened: ModelRepository, tiny: Tiny, content: str
    ) -> None:
        (copied / tiny.plain / MANIFEST).write_text(content)
        with pytest.raises(FailedPrecondition, match=rf"{tiny.plain}.*cannot be read"):
            opened.load(tiny.plain)
        assert opened.load(tiny.fitted).space_id == tiny.fitted
        assert opened.load("fitted").space_id == tiny.fitted

    def test_a_repository_of_damaged_spaces_only_says_so(self, copied: Path, opened: ModelRepository) -> None:
        for path in copied.glob(f"*/{MANIFEST}"):
            path.write_text("{")
        with pytest.raises(FailedPrecondition, match="cannot be read"):
            opened.load("")

    def test_a_file_that_is_not_a_graph_is_refused_even_with_the_right_hash(
        self, copied: Path, opened: ModelRepository, tiny: Tiny
    ) -> None:
        folder = copied / tiny.plain
        (folder / "text.onnx").write_bytes(b"no graph")
        manifest = Manifest.load(folder)
        text = manifest.encoders["text"].model_copy(
            update={"graphs": {Precision.FP32: describe_file(folder, "text.onnx")}}
        )
        changed = manifest.model_copy(update={"encoders": {**manifest.encoders, "text": text}}).identified()
        changed.save(folder)
        folder.rename(copied / changed.space_id)
        with pytest.raises(FailedPrecondition, match="cannot load this graph"):
            opened.load(changed.space_id)

    def test_after_loading_has_no_effect(self, copied: Path, opened: ModelRepository, tiny: Tiny) -> None:
        loaded = opened.load(tiny.plain)
        shutil.rmtree(copied)
        assert opened.load(tiny.plain) is loaded


class TestSpace:
    def test_an_id_is_a_hash_of_what_changes_answers(self, tiny: Tiny) -> None:
        manifest = verify(tiny.models / tiny.plain)
        renamed = manifest.model_copy(update={"name": "other", "created": "2030"})
        assert renamed.computed_space_id() == tiny.plain
        channels = (manifest.channels[0],)
        assert manifest.model_copy(update={"channels": channels}).computed_space_id() != tiny.plain

    def test_encoders_are_shared_between_spaces_that_have_the_same(
        self, plain_space: Space, fitted_space: Space
    ) -> None:
        assert plain_space.encoders["text"] is fitted_space.encoders["text"]
        assert plain_space.same_encoders(fitted_space)

    def test_other_encoders_are_told_apart(
        self, plain_space: Space, repository: ModelRepository, tiny: Tiny
    ) -> None:
        assert not plain_space.same_encoders(repository.load(tiny.other))

    def test_an_encoder_without_the_wanted_precision_runs_in_fp32(self, tiny: Tiny) -> None:
        model_repository = spaces.open_repository(tiny.models, precision="int8")
        precisions = {e.precision for e in model_repository.load(tiny.plain).encoders.values()}
        model_repository.close()
        assert precisions == {Precision.FP32}

    def test_cuda_that_is_not_there_is_refused(self) -> None:
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("NOT RUN: this ONNX Runtime has CUDA, so nothing is refused")
        with pytest.raises(FailedPrecondition, match=r"itemlens-server\[gpu\]"):
            choose_provider("cuda")


class TestEncoders:
    @staticmethod
    def encoders(space: Space) -> tuple[TextEncoder, ImageEncoder]:
        text, image = space.encoders["text"], space.encoders["image"]
        assert isinstance(text, TextEncoder) and isinstance(image, ImageEncoder)
        return text, image

    def test_v_is_the_mean_of_the_parts(self, plain_space: Space) -> None:
        text, image = self.encoders(plain_space)
        tokens = [
            text.prepare(t, "item").model_input
            for t in ("red shoe", "a longer text about a silk dress", "鞋")
        ]
        for t, encoded in zip(tokens, text.submit(tokens, True, CallContext()).results(), strict=True):
            assert encoded.z is not None and encoded.z.shape == (len(t.ids), spaces.TEXT_DIM)
            np.testing.assert_allclose(encoded.v, encoded.z.mean(0), atol=1e-5)
        picture = image.prepare(spaces.picture("tour", "red"), "item").model_input
        [encoded] = image.submit([picture], True, CallContext()).results()
        assert encoded.z is not None and encoded.z.shape == (spaces.GRID**2, spaces.IMAGE_DIM)
        np.testing.assert_allclose(encoded.v, encoded.z.mean(0), atol=1e-5)

    def test_a_texts_vector_does_not_depend_on_its_neighbours(self, plain_space: Space) -> None:
        text, _ = self.encoders(plain_space)
        tokens = [text.prepare(f"{'red ' * n}shoe", "item").model_input for n in range(1, 12)]
        together = [encoded.v for encoded in text.submit(tokens, False, CallContext()).results()]
        alone = [text.submit([t], False, CallContext()).results()[0].v for t in tokens]
        np.testing.assert_allclose(together, alone, atol=1e-5)

    def test_parts_are_made_only_on_request(self, plain_space: Space) -> None:
        text, _ = self.encoders(plain_space)
        [encoded] = text.submit([text.prepare("red", "item").model_input], False, CallContext()).results()
        assert encoded.z is None

    def test_a_text_beyond_the_limit_is_refused(self, plain_space: Space) -> None:
        text, _ = self.encoders(plain_space)
        text.prepare("鞋" * (Settings().max_text_bytes // 3), "item")
        with pytest.raises(InvalidArgument, match=r"longer than 262144 bytes") as error:
            text.prepare("鞋" * (Settings().max_text_bytes // 3 + 1), "item")
        assert error.value.field == "text"

    def test_a_picture_beyond_the_limit_is_refused(self, plain_space: Space) -> None:
        _, image = self.encoders(plain_space)
        with pytest.raises(InvalidArgument, match="scale it down") as error:
            image.prepare(b"x" * (Settings().max_picture_bytes + 1), "item")
        assert error.value.field == "picture"

    def test_the_stored_form_gives_the_same_pixels(self, plain_space: Space) -> None:
        _, image = self.encoders(plain_space)
        large = image.prepare(spaces.picture("dress", "blue", side=400), "item", keep=True)
        again = image.prepare(large.stored, "item")
        np.testing.assert_array_equal(large.model_input, again.model_input)


def test_the_tiny_graphs_are_valid(tiny: Tiny) -> None:
    for path in (tiny.models / tiny.fitted).rglob("*.onnx"):
        onnx.checker.check_model(onnx.load(path), full_check=True)


class TestSpaceOfAnEarlierVersion:
    """Its head has no questions but "kinds", whose weights are no nats."""

    @pytest.fixture
    def earlier(self, copied: Path, tiny: Tiny) -> str:
        """The id of such a space."""
        folder = copied / tiny.fitted
        about = {"channels": [], "kinds": {}, "behaviour_lambda": 300.0, "fitted": True}
        np.savez(folder / "head/terms.npz", about=np.frombuffer(json.dumps(about).encode(), np.uint8))
        manifest = Manifest.load(folder)
        assert manifest.head is not None
        head = manifest.head.model_copy(update={"terms": describe_file(folder, "head/terms.npz")})
        changed = manifest.model_copy(update={"head": head}).identified()
        changed.save(folder)
        folder.rename(copied / changed.space_id)
        return changed.space_id

    def test_is_refused_with_the_cure(self, opened: ModelRepository, earlier: str) -> None:
        with pytest.raises(
            FailedPrecondition, match="fitted by an earlier version; run `itemlens fit` again"
        ):
            opened.load(earlier)

    def test_can_be_fitted_again(self, copied: Path, earlier: str) -> None:
        before = set(threading.enumerate())
        with closing(spaces.open_repository(copied)) as own:
            space = own.load_to_fit(earlier)
            assert not space.head.fitted and space.head.names == ["text", "image"]
            h = space.head_runner.fuse([{"text": [np.ones(spaces.TEXT_DIM, np.float32)]}])
            assert h.shape == (1, space.head.dimension)
        assert set(threading.enumerate()) <= before

    def test_one_of_this_version_is_fitted_from_its_own_head(
        self, repository: ModelRepository, tiny: Tiny
    ) -> None:
        assert repository.load_to_fit(tiny.fitted) is repository.load(tiny.fitted)
