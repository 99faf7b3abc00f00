"""Writes a fitted space: the encoders of another under a new head."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from itemlens_server.durable import publish
from itemlens_server.engine.manifest import HeadFiles, Manifest, describe_file
from itemlens_server.fusion import graph
from itemlens_server.fusion.head import Head


def write(
    models: Path, old: Manifest, head: Head, report: Sequence[dict[str, str]] = (), name: str = ""
) -> Manifest:
    """Add to `models` the space `old`, which is there, under `head`; its manifest.

    The encoders' files are shared with the old space where the file system can. A crash leaves nothing behind that
    is taken for a space.
    """
    new = Path(tempfile.mkdtemp(prefix=".fit-", dir=models))
    try:
        (new / "head").mkdir()
        graph.save(head, new / "head" / "head.onnx")
        head.save(new / "head" / "terms.npz")
        files = HeadFiles(
            graph=describe_file(new, "head/head.onnx"),
            terms=describe_file(new, "head/terms.npz"),
            report={"rows": list(report)},
        )
        created = datetime.now(UTC).isoformat(timespec="seconds")
        changes = {"head": files, "created": created, "name": name or old.name}
        manifest = old.model_copy(update=changes).identified()
        for file in old.model_copy(update={"head": None}).files():
            _share(models / old.space_id / file.path, new / file.path)
        manifest.save(new)
        new.chmod(0o755)
        # What is there under this id has the same contents, but may be damaged.
        publish(new, models / manifest.space_id)
        return manifest
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _share(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
