"""The list of spaces: which folders are spaces, and the lookup by id, by name or by default."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from itemlens_server.engine.manifest import MANIFEST, Manifest
from itemlens_server.engine.space_list import SpaceList, next_created
from itemlens_server.errors import FailedPrecondition, InvalidArgument, NotFound
from support import spaces
from support.spaces import Tiny


@pytest.fixture
def models(tiny: Tiny, tmp_path: Path) -> Path:
    """A copy of all spaces that a test may change."""
    return Path(shutil.copytree(tiny.models, tmp_path / "models"))


def rewrite(models: Path, space: str, **changes: str) -> None:
    """Change values that are not part of a space's identity."""
    Manifest.load(models / space).model_copy(update=changes).save(models / space)


class TestFolders:
    @pytest.mark.parametrize(
        "name", [".fit-abcd", ".export-abcd", ".sp-0123456789abcdef.itemlens-replaced", "copy of it"]
    )
    def test_only_those_named_by_an_id_are_spaces(self, models: Path, tiny: Tiny, name: str) -> None:
        shutil.copytree(models / tiny.fitted, models / name)
        rewrite(models, name, created="2100-01-01T00:00:00+00:00")
        (models / name / "head" / "head.onnx").unlink()
        found = SpaceList.read(models)
        assert set(found.spaces) == {tiny.plain, tiny.fitted, tiny.other} and not found.damaged

    def test_one_under_the_id_of_another_is_damaged(self, models: Path, tiny: Tiny) -> None:
        shutil.rmtree(models / tiny.fitted)
        (models / tiny.plain).rename(models / tiny.fitted)
        found = SpaceList.read(models)
        assert set(found.spaces) == {tiny.other} and tiny.plain in found.damaged[tiny.fitted]

    @pytest.mark.parametrize("how", ["folder", "rubbish", "link to nothing"])
    def test_an_unreadable_one_does_not_hide_the_others(self, models: Path, tiny: Tiny, how: str) -> None:
        manifest = models / tiny.plain / MANIFEST
        manifest.unlink()
        if how == "folder":
            manifest.mkdir()
        elif how == "rubbish":
            manifest.write_bytes(b"\xff\xfe\0")
        else:
            shutil.rmtree(models / tiny.plain)
            (models / tiny.plain).symlink_to(models / "gone")
        found = SpaceList.read(models)
        assert set(found.spaces) == {tiny.fitted, tiny.other}
        assert found.find("fitted").space_id == tiny.fitted
        assert found.find("").space_id == tiny.other

    def test_a_missing_folder_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="itemlens export"):
            SpaceList.read(tmp_path / "missing").find("")


class TestNames:
    def test_an_ambiguous_name_is_refused_with_the_ids(self, models: Path, tiny: Tiny) -> None:
        rewrite(models, tiny.other, name="tiny")
        with pytest.raises(InvalidArgument, match="2 spaces are named 'tiny'") as error:
            SpaceList.read(models).find("tiny")
        assert tiny.plain in error.value.message and tiny.other in error.value.message
        assert SpaceList.read(models).find(tiny.other).space_id == tiny.other

    def test_an_unknown_one_is_refused_with_a_list(self, tiny: Tiny) -> None:
        with pytest.raises(NotFound, match=r"no space 'nope'.*tiny"):
            SpaceList.read(tiny.models).find("nope")

    def test_a_damaged_one_is_named(self, models: Path, tiny: Tiny) -> None:
        (models / tiny.plain / MANIFEST).write_text("{")
        with pytest.raises(FailedPrecondition, match=rf"{tiny.plain}.*cannot be read"):
            SpaceList.read(models).find(tiny.plain)


class TestDefault:
    def test_is_the_newest_exported_one_even_after_fits(self, models: Path, tiny: Tiny) -> None:
        assert SpaceList.read(models).find("").space_id == tiny.plain
        spaces.build_fitted(models, tiny.other, "of the other")
        assert SpaceList.read(models).find("").space_id == tiny.plain
        rewrite(models, tiny.other, created="2100-01-01T00:00:00+00:00")
        assert SpaceList.read(models).find("").space_id == tiny.other

    def test_without_an_exported_one_is_the_first_fitted(self, models: Path, tiny: Tiny) -> None:
        later = spaces.build_fitted(models, tiny.other, "of the other")
        for space in (tiny.plain, tiny.other):
            shutil.rmtree(models / space)
        assert set(SpaceList.read(models).spaces) == {tiny.fitted, later}
        assert SpaceList.read(models).find("").space_id == tiny.fitted


def test_a_new_space_is_the_newest_even_if_the_clock_was_set_back(models: Path, tiny: Tiny) -> None:
    assert next_created(models) > "2026-01-02"
    rewrite(models, tiny.fitted, created="2100-01-01T00:00:00+00:00")
    rewrite(models, tiny.other, created="yesterday")
    assert next_created(models) == "2100-01-01T00:00:01+00:00"
