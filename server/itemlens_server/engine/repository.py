"""The model repository: a folder of spaces. Spaces are verified when loaded; equal files share sessions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itemlens_server.config import Settings
from itemlens_server.engine.encoder import Encoder, Modality, Runtime
from itemlens_server.engine.head_runner import HeadRunner
from itemlens_server.engine.manifest import MANIFEST, EncoderSpec, Manifest, Precision, describe_file
from itemlens_server.engine.memory_budget import MemoryBudget
from itemlens_server.engine.modalities import modality_of_kind
from itemlens_server.engine.session import CPU, Device, Session
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.engine.tuning import Tunings
from itemlens_server.errors import FailedPrecondition
from itemlens_server.fusion.default_weights import unfitted
from itemlens_server.fusion.head import Head
from itemlens_server.observer import NullObserver, Observer

log = logging.getLogger(__name__)

# File in the folder of the store with the measurements of this machine.
TUNINGS = "tunings.json"


class TooManySpaces(FailedPrecondition):
    """A caller named a space that is not loaded, and the limit of loaded spaces is reached."""


@dataclass(frozen=True)
class Space:
    """A loaded space: an encoder for each channel, and the fusion head."""

    manifest: Manifest
    directory: Path
    encoders: Mapping[str, Encoder[Any, Any]]
    head_runner: HeadRunner

    @property
    def space_id(self) -> str:
        """Id in every vector of this space."""
        return self.manifest.space_id

    @property
    def head(self) -> Head:
        """The head's arrays and weights."""
        return self.head_runner.head

    @property
    def encoder_digests(self) -> dict[str, str]:
        """Digest of each channel's encoder."""
        return {name: encoder.digest for name, encoder in self.encoders.items()}

    @property
    def modalities(self) -> dict[str, Modality]:
        """Modality of each channel."""
        return {name: encoder.modality for name, encoder in self.encoders.items()}

    def same_encoders(self, other: Space) -> bool:
        """Return whether the raw vectors of the two spaces are equal."""
        return self.encoder_digests == other.encoder_digests


class ModelRepository:
    """Loads spaces of the folder `settings.models` on demand, runs them on `device`, and keeps them loaded."""

    def __init__(
        self,
        settings: Settings,
        device: Device = CPU,
        *,
        tune: bool = False,
        observer: Observer | None = None,
    ) -> None:
        """`tune`: measure the plans of the encoders on this machine again, even if they are known. `observer` receives
        their batches."""
        self._directory = settings.models
        tunings = Tunings(settings.data / TUNINGS, settings.thread_count(), device.provider, anew=tune)
        decoding = MemoryBudget(settings.picture_memory())
        self._runtime = Runtime(settings, device, tunings, observer or NullObserver(), decoding)
        self._spaces: dict[str, Space] = {}
        self._encoders: dict[str, Encoder[Any, Any]] = {}
        self._head_runners: list[HeadRunner] = []
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def load(self, space: str, in_use: Callable[[], Sequence[Space]] | None = None) -> Space:
        """Return the space with this id or name, verified and warmed up.

        in_use: given if a remote caller chose the space; returns the spaces in use. At most `max_idle_spaces` spaces
        are loaded that share their encoders with none of these.

        Raises:
            NotFound: there is no such space.
            InvalidArgument: several spaces have this name.
            TooManySpaces: `max_idle_spaces` are loaded.
            FailedPrecondition: a file is missing or damaged, or a session does not load.
        """
        # Loaded spaces stay, even if the folder changes, and are returned while another space loads.
        if (loaded := self._spaces.get(space)) is not None:
            return loaded
        manifest = self._find(space)
        used = None if in_use is None else [other.encoder_digests for other in in_use()]
        with self._lock:
            if manifest.space_id not in self._spaces:
                if used is not None:
                    self._check_idle(manifest, used)
                self._spaces[manifest.space_id] = self._load(self._directory / manifest.space_id)
            return self._spaces[manifest.space_id]

    def load_to_fit(self, space: str) -> Space:
        """Return the space with this id or name for a fit: without its head if that is of an earlier version.

        Raises:
            NotFound, InvalidArgument, FailedPrecondition: as `load`.
        """
        manifest = self._find(space)
        directory = self._directory / manifest.space_id
        if manifest.head is None or not Head.outdated(directory / manifest.head.terms.path):
            return self.load(space)
        with self._lock:
            return self._load(directory, with_head=False)

    def close(self) -> None:
        """Run all queued inputs, then stop the encoders."""
        for encoder in self._encoders.values():
            encoder.close()
        for head_runner in self._head_runners:
            head_runner.close()

    def _find(self, space: str) -> Manifest:
        found = SpaceList.read(self._directory)
        for damage in found.damaged.values():
            if damage not in self._told:
                log.warning("%s; the space is ignored", damage)
                self._told.add(damage)
        return found.find(space)

    def _check_idle(self, manifest: Manifest, used: Sequence[dict[str, str]]) -> None:
        idle = [space for space in self._spaces.values() if space.encoder_digests not in used]
        limit = self._runtime.settings.max_idle_spaces
        wanted = {name: spec.digest(precision) for name, spec, precision in self._channels(manifest)}
        if len(idle) >= limit and wanted not in used:
            raise TooManySpaces(
                f"{limit} spaces that no collection uses are loaded, which is the limit: use one of them, or start the "
                "server with a larger max_idle_spaces",
                "space",
            )

    def _channels(self, manifest: Manifest) -> Iterator[tuple[str, EncoderSpec, Precision]]:
        """Yield each channel's name, its encoder, and the precision to run."""
        for channel in manifest.channels:
            spec = manifest.encoders[channel.encoder]
            chosen = self._choose(spec.graphs, channel.encoder) if spec.external is None else Precision.FP32
            yield channel.name, spec, chosen

    def _load(self, directory: Path, *, with_head: bool = True) -> Space:
        started = time.monotonic()
        manifest = verify(directory)
        encoders = {}
        for name, spec, precision in self._channels(manifest):
            digest = spec.digest(precision)
            if digest not in self._encoders:
                modality = modality_of_kind(spec.kind)
                self._encoders[digest] = modality.encoder(modality, directory, spec, precision, self._runtime)
            encoders[name] = self._encoders[digest]
        if manifest.head is None or not with_head:
            head_runner = HeadRunner(unfitted({n: e.spec.dim for n, e in encoders.items()}), None)
        else:
            # The head is small; it runs on the CPU, like the store and the index.
            session = Session(directory / manifest.head.graph.path, "CPUExecutionProvider")
            head_runner = HeadRunner(Head.load(directory / manifest.head.terms.path), session)
        self._head_runners.append(head_runner)
        log.info(
            "space %s (%s) loaded in %.1f s", manifest.space_id, manifest.name, time.monotonic() - started
        )
        return Space(manifest, directory, encoders, head_runner)

    def _choose(self, graphs: Mapping[Precision, object], encoder: str) -> Precision:
        """Return the precision of the settings, or fp32 with a warning if the encoder lacks that graph."""
        if self._runtime.settings.precision == "auto":
            wanted = (
                Precision.FP16 if self._runtime.device.gpu and Precision.FP16 in graphs else Precision.FP32
            )
        else:
            wanted = Precision(self._runtime.settings.precision)
        if wanted not in graphs and Precision.FP32 in graphs:
            log.warning("encoder %s has no %s graph; it runs in fp32", encoder, wanted)
            wanted = Precision.FP32
        if wanted not in graphs:
            raise FailedPrecondition(
                f"encoder {encoder!r} has no {wanted} graph (it has {', '.join(graphs)}); export it with --precision"
            )
        return wanted


def verify(directory: Path) -> Manifest:
    """Check all hashes of the space in `directory` and return its manifest.

    Raises:
        FailedPrecondition: a file is missing or differs from the exported one.
    """
    try:
        manifest = Manifest.load(directory)
    except (OSError, ValueError) as error:
        raise FailedPrecondition(
            f"{directory / MANIFEST} cannot be read: {error}; export the space again or restore a copy"
        ) from error
    if manifest.computed_space_id() != manifest.space_id:
        raise FailedPrecondition(
            f"{directory / MANIFEST} was changed after it was made; export the space again or restore a copy"
        )
    for file in manifest.files():
        path = directory / file.path
        if not path.is_file():
            raise FailedPrecondition(f"{path} is missing; export the space again or restore a copy")
        if describe_file(directory, file.path).sha256 != file.sha256:
            raise FailedPrecondition(
                f"{path} is damaged (its hash differs from the manifest's); export the space again or restore a copy"
            )
    return manifest
