"""The spaces in a model repository, and the lookup of a space by id, by name or by default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from itemlens_server.engine.manifest import MANIFEST, Manifest
from itemlens_server.errors import FailedPrecondition, InvalidArgument, NotFound

SPACE_ID = re.compile(r"sp-[0-9a-f]{16}")

# Prefixes of the work folders of new spaces. The next start removes those of a killed process.
FIT_PREFIX, EXPORT_PREFIX = ".fit-", ".export-"


@dataclass(frozen=True)
class SpaceList:
    """The spaces in the folder `models`.

    spaces:  manifests by id
    damaged: by id, the faults of manifests that cannot be used
    """

    models: Path
    spaces: Mapping[str, Manifest]
    damaged: Mapping[str, str]

    @staticmethod
    def read(models: Path) -> SpaceList:
        """Read all manifests. A folder is a space if its name is a space's id. Others are ignored, such as the remains
        of a killed export or a copy under another name.

        Raises:
            FailedPrecondition: the folder `models` cannot be read.
        """
        spaces, damaged = {}, {}
        try:
            folders = sorted(models.iterdir()) if models.is_dir() else []
        except OSError as error:
            raise FailedPrecondition(f"the model repository cannot be read: {error}") from error
        for folder in folders:
            if not SPACE_ID.fullmatch(folder.name):
                continue
            try:
                manifest = Manifest.load(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError) as error:
                on_one_line = " ".join(str(error).split())
                damaged[folder.name] = f"{folder / MANIFEST} cannot be read: {on_one_line}"
                continue
            if manifest.space_id == folder.name:
                spaces[folder.name] = manifest
            else:
                damaged[folder.name] = f"{folder / MANIFEST} is that of space {manifest.space_id}"
        return SpaceList(models, spaces, damaged)

    def find(self, space: str) -> Manifest:
        """Return the space with this id or name, or the default for an empty string.

        The default is the newest exported space, so that a fit does not change it. If there is none, it is the oldest
        fitted space.

        Raises:
            NotFound: there is no such space.
            InvalidArgument: several spaces have this name.
            FailedPrecondition: its manifest cannot be read.
        """
        if space in self.spaces:
            return self.spaces[space]
        if self.damaged and (space in self.damaged or not self.spaces):
            told = self.damaged.get(space) or "; ".join(self.damaged.values())
            raise FailedPrecondition(f"{told}; export the space again or restore a copy")
        if not self.spaces:
            raise NotFound(
                f"no space in {self.models}; make one with: itemlens export --models {self.models}",
                "space",
                space,
            )
        by_age = sorted(self.spaces.values(), key=lambda m: (m.created, m.space_id))
        if not space:
            exported = [m for m in by_age if m.head is None]
            return exported[-1] if exported else by_age[0]
        named = [m for m in by_age if m.name == space]
        if not named:
            raise NotFound(
                f"no space {space!r} in {self.models}; there are {_told(by_age)}", "space", space, "space"
            )
        if len(named) > 1:
            raise InvalidArgument(
                f"{len(named)} spaces are named {space!r}: give the id of one of {_told(named)}", "space"
            )
        return named[0]


def next_created(models: Path) -> str:
    """Return the creation time of a new space: later than all in `models`, even if the clock was set back."""
    now = datetime.now(UTC)
    for manifest in SpaceList.read(models).spaces.values():
        try:
            made = datetime.fromisoformat(manifest.created)
            now = max(now, made + timedelta(seconds=1))
        except (ValueError, TypeError, OverflowError):  # not a time, or a time without a zone
            continue
    return now.isoformat(timespec="seconds")


def _told(manifests: list[Manifest]) -> str:
    kinds = {True: "fitted", False: "exported"}
    return ", ".join(f"{m.space_id} ({m.name}, {kinds[m.head is not None]} {m.created})" for m in manifests)
