"""Assembly of exported encoders into a space."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from itemlens_exporter import graph, packing, parity
from itemlens_exporter.checkpoint import Checkpoint, Int8, Samples
from itemlens_exporter.errors import ExportError
from itemlens_exporter.parity import Measured
from itemlens_server.durable import publish, work_folder
from itemlens_server.engine.manifest import (
    Channel,
    EncoderSpec,
    ExternalVectors,
    Manifest,
    Parity,
    Precision,
    describe_file,
)
from itemlens_server.engine.space_list import EXPORT_PREFIX, next_created

Progress = Callable[[str], None]

# Of two int8 graphs that pass, the later one is chosen only if it takes less than this share of the earlier one's time.
# The choice, and so the space's id, must not depend on the noise of a measurement.
CLEARLY_FASTER = 0.8
# A fit of more would take gigabytes and minutes: it decomposes matrices of dimension by dimension.
MAX_EXTERNAL = 4096

_MADE_WITH = ("torch", "transformers", "optimum-onnx", "onnx", "onnxruntime", "tokenizers", "pillow")


@dataclass(frozen=True)
class Exported:
    """A space on disk."""

    directory: Path
    manifest: Manifest


def export_space(
    checkpoints: Mapping[str, Checkpoint],
    *,
    models: Path,
    name: str,
    precisions: Sequence[Precision] = (Precision.FP32,),
    channels: Mapping[str, str] | None = None,
    external: Mapping[str, EncoderSpec] | None = None,
    pack: bool = True,
    progress: Progress = lambda message: None,
) -> Exported:
    """Export the encoders to `models`/<space_id>/ and check each graph against its checkpoint.

    checkpoints: by the encoder's name in the space
    precisions: fp32 is always included; another precision that fails its parity check is left out, but its row stays
        in the manifest
    channels: name -> encoder; by default each encoder has one channel of the same name
    external: channels of the caller's own vectors, which are added to these, by name (see `external_channel`)
    pack: remove padding from the fp32 graph of texts, if possible (see `packing`)
    ExportError: a channel has no encoder, two have one name, or fp32 fails the parity check.
    """
    external = external or {}
    named = _channels(channels or {key: key for key in checkpoints}, checkpoints)
    if twice := sorted(external.keys() & {channel.name for channel in named}):
        raise ExportError(f"two channels are named {twice[0]!r}; give the external one another name")
    named += tuple(
        Channel(name=name, kind=spec.kind, encoder=_external_key(name)) for name, spec in external.items()
    )
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"the model repository {models} cannot be created: {error}") from error
    with work_folder(models, EXPORT_PREFIX) as work:
        encoders = {
            key: _export(work, key, checkpoint, precisions, pack, progress)
            for key, checkpoint in checkpoints.items()
        }
        encoders |= {_external_key(name): spec for name, spec in external.items()}
        manifest = Manifest(
            space_id="",
            name=name,
            created=next_created(models),
            made_with=_made_with(),
            encoders=encoders,
            channels=named,
        ).identified()
        manifest.save(work)
        target = models / manifest.space_id
        # An existing space of this name has the same contents, but may be damaged.
        publish(work, target)
    return Exported(target, manifest)


def external_channel(dimension: int, version: str) -> EncoderSpec:
    """Return the encoder of a channel of the caller's own vectors.

    ExportError: the dimension is not within 1 and MAX_EXTERNAL, or the version is empty.
    """
    if not 1 <= dimension <= MAX_EXTERNAL:
        raise ExportError(f"an external vector can have 1 to {MAX_EXTERNAL} numbers, not {dimension}")
    if not version or "\0" in version:
        raise ExportError("an external channel needs a version: what its vectors were made with")
    return EncoderSpec(kind="EXTERNAL", dim=dimension, external=ExternalVectors(version=version))


def _external_key(channel: str) -> str:
    """The key of an external channel's encoder, unlike those of encoders that are exported."""
    return f"external:{channel}"


def _channels(channels: Mapping[str, str], checkpoints: Mapping[str, Checkpoint]) -> tuple[Channel, ...]:
    for name, key in channels.items():
        if key not in checkpoints:
            raise ExportError(f"channel {name!r} needs a {key} encoder: give one with --{key}")
    return tuple(
        Channel(name=name, kind=checkpoints[key].kind, encoder=key) for name, key in channels.items()
    )


def _export(
    work: Path,
    key: str,
    checkpoint: Checkpoint,
    precisions: Sequence[Precision],
    pack: bool,
    progress: Progress,
) -> EncoderSpec:
    (work / key).mkdir()
    graphs: dict[Precision, str] = {}
    rows: list[Parity] = []
    source = dict(checkpoint.source)

    progress(f"{key}: tracing and optimising the fp32 graph")
    fused = work / key / "fused.onnx"  # the source of all precisions
    checkpoint.export(fused)
    fp32 = work / key / "model.fp32.onnx"
    packed = packing.pack(onnx.load(str(fused))) if pack else None
    if packed:
        graph.save(packed, fp32)
    else:
        shutil.copyfile(fused, fp32)
    progress(f"{key}: running the checkpoint on the parity inputs")
    samples = checkpoint.samples()

    def judge(precision: Precision, path: Path) -> Parity:
        progress(f"{key}: comparing {precision} with the checkpoint on {len(samples.reference)} inputs")
        row = parity.measure(path, precision, samples).parity
        rows.append(row)
        if row.passed:
            graphs[precision] = f"{key}/{path.name}"
        else:
            path.unlink()
        return row

    row = judge(Precision.FP32, fp32)
    if not row.passed:
        raise ExportError(
            f"{key}: the fp32 graph differs from the checkpoint: cosine distance {row.max:.1e}, "
            f"limit {row.limit:.0e}; use another checkpoint"
        )
    if Precision.FP16 in precisions:
        progress(f"{key}: converting to fp16")
        half = work / key / "model.fp16.onnx"
        with graph.quiet():
            graph.save(graph.to_half(onnx.load(str(fused))), half)
        judge(Precision.FP16, half)
    singly: tuple[Precision, ...] = ()
    if Precision.INT8 in precisions:
        best, row = _int8(
            work / key, fused, checkpoint, samples, lambda message: progress(f"{key}: {message}")
        )
        rows.append(row)
        if best:
            graphs[Precision.INT8] = f"{key}/{best.path.name}"
            source["int8"] = best.label
            singly = (Precision.INT8,) if best.singly else ()
    fused.unlink()
    spec = EncoderSpec(
        kind=checkpoint.kind,
        dim=checkpoint.dim,
        graphs={precision: describe_file(work, path) for precision, path in graphs.items()},
        packed=(Precision.FP32,) if packed else (),
        singly=singly,
        source=source,
        parity=tuple(rows),
    )
    return checkpoint.with_preprocessing(spec, work, key)


def _int8(
    folder: Path, fp32: Path, checkpoint: Checkpoint, samples: Samples, progress: Progress
) -> tuple[Int8 | None, Parity]:
    """Return the fastest int8 graph that passes with its row, or None with the row of the best failure."""
    attempts = folder / "int8"
    attempts.mkdir()
    best: tuple[Int8, Measured] | None = None
    failed: list[Parity] = []
    for ladder in checkpoint.int8(fp32, attempts):
        for attempt in ladder:
            progress(f"trying int8, {attempt.label}")
            measured = parity.measure(attempt.path, Precision.INT8, samples, singly=attempt.singly)
            if not measured.parity.passed:
                failed.append(measured.parity)
                continue
            if best is None or measured.seconds < CLEARLY_FASTER * best[1].seconds:
                best = attempt, measured
            break
    kept = None
    if best:
        kept = replace(best[0], path=best[0].path.rename(folder / "model.int8.onnx"))
    shutil.rmtree(attempts)
    return kept, best[1].parity if best else min(failed, key=lambda row: row.max)


def _made_with() -> dict[str, str]:
    versions = {package: importlib.metadata.version(package) for package in _MADE_WITH}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}
