"""Writes a fitted space: the encoders of another under a new head."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from itemlens_server.durable import publish, work_folder
from itemlens_server.engine.manifest import HeadFiles, Manifest, describe_file
from itemlens_server.engine.space_list import FIT_PREFIX, next_created
from itemlens_server.fusion import graph
from itemlens_server.fusion.head import Head


def write(
    models: Path, old: Manifest, head: Head, name: str, report: Sequence[dict[str, str]] = ()
) -> Manifest:
    """Add to `models` the space `old`, which is there, under `head` and the label `name`; its manifest.

    The encoders' files are shared with the old space where the file system can. A crash leaves nothing behind that
    is taken for a space.
    """
    with work_folder(models, FIT_PREFIX) as new:
        (new / "head").mkdir()
        graph.save(head, new / "head" / "head.onnx")
        head.save(new / "head" / "terms.npz")
        files = HeadFiles(
            graph=describe_file(new, "head/head.onnx"),
            terms=describe_file(new, "head/terms.npz"),
            report={"rows": list(report)},
        )
        changes = {"head": files, "created": next_created(models), "name": name}
        manifest = old.model_copy(update=changes).identified()
        for file in old.model_copy(update={"head": None}).files():
            _share(models / old.space_id / file.path, new / file.path)
        manifest.save(new)
        # What is there under this id has the same contents, but may be damaged.
        publish(new, models / manifest.space_id)
        return manifest


def _share(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
