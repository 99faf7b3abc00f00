"""Writes a fitted space: the encoders of another space with a new head."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from itemlens_server.durable import publish, work_folder
from itemlens_server.engine.manifest import HeadFiles, Manifest, describe_file
from itemlens_server.engine.space_list import FIT_PREFIX, next_created
from itemlens_server.fusion import graph
from itemlens_server.fusion.head import Head


def write(
    models: Path, old: Manifest, head: Head, name: str, report: Mapping[str, object] | None = None
) -> Manifest:
    """Write the existing space `old` with `head` and the label `name` as a new space to `models`. Return its manifest.

    The encoders' files are hard links to those of the old space if the file system supports that. A crash leaves
    nothing that counts as a space.
    """
    with work_folder(models, FIT_PREFIX) as new:
        (new / "head").mkdir()
        graph.save(head, new / "head" / "head.onnx")
        head.save(new / "head" / "terms.npz")
        files = HeadFiles(
            graph=describe_file(new, "head/head.onnx"),
            terms=describe_file(new, "head/terms.npz"),
            report=dict(report or {}),
        )
        changes = {"head": files, "created": next_created(models), "name": name}
        manifest = old.model_copy(update=changes).identified()
        for file in old.model_copy(update={"head": None}).files():
            _share(models / old.space_id / file.path, new / file.path)
        manifest.save(new)
        # An existing space of this id has the same contents, but may be damaged.
        publish(new, models / manifest.space_id)
        return manifest


def _share(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
