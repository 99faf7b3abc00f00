"""The interface of checkpoints, used to assemble a space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from itemlens_server.engine.manifest import EncoderSpec

Feed = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Samples:
    """Inputs for the comparison of a graph with its checkpoint.

    singles, batches: (indices of the inputs, feed of the graph); each covers every input at least once
    reference:        v computed by the checkpoint, float32 [inputs, dim], one input at a time
    """

    singles: Sequence[tuple[list[int], Feed]]
    batches: Sequence[tuple[list[int], Feed]]
    reference: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Int8:
    """An int8 graph at `path`. `label` describes for people how it was made.

    singly: each input must run alone, because the graph's scales are computed over the whole batch
    """

    label: str
    path: Path
    singly: bool = False


class Checkpoint(Protocol):
    """A loaded checkpoint that can be exported."""

    kind: ClassVar[str]
    """Name of a ChannelKind of the wire contract."""

    @property
    def dim(self) -> int:
        """Width of v."""

    @property
    def source(self) -> dict[str, str]:
        """Origin of the checkpoint, for people."""

    def export(self, path: Path) -> None:
        """Write the optimised fp32 graph."""

    def samples(self) -> Samples:
        """Return at least 200 varied inputs with the checkpoint's vectors."""

    def int8(self, fp32: Path, folder: Path) -> Iterator[Iterator[Int8]]:
        """Quantise the graph `fp32` into `folder`. Yield ladders, each ordered from the fastest graph to the most
        precise."""

    def with_preprocessing(self, spec: EncoderSpec, directory: Path, folder: str) -> EncoderSpec:
        """Return `spec` with its pre-processing. Write its files (a tokenizer) to `directory`/`folder`."""
