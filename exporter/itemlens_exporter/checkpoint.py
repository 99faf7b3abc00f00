"""What all kinds of checkpoint have in common for the assembly of a space."""

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
    """Inputs to compare a graph with its checkpoint on.

    singles, batches: (indices of the inputs, what the graph is fed); each covers every input at least once
    reference:        the checkpoint's own v, float32 [inputs, dim], each input on its own
    """

    singles: Sequence[tuple[list[int], Feed]]
    batches: Sequence[tuple[list[int], Feed]]
    reference: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Int8:
    """An int8 graph at `path`; `label` says how it was made, for people.

    singly: its scales are taken over the whole batch, so that an input's vector would depend on its neighbours
    """

    label: str
    path: Path
    singly: bool = False


class Checkpoint(Protocol):
    """A loaded checkpoint that can be exported."""

    kind: ClassVar[str]
    """Of the contract's ChannelKind."""

    @property
    def dim(self) -> int:
        """Width of v."""

    @property
    def source(self) -> dict[str, str]:
        """Where it comes from, for people."""

    def export(self, path: Path) -> None:
        """Write the optimised fp32 graph."""

    def samples(self) -> Samples:
        """At least 200 varied inputs with the checkpoint's answers."""

    def int8(self, fp32: Path, folder: Path) -> Iterator[Iterator[Int8]]:
        """Quantise the graph `fp32` into `folder`: ladders, each from the boldest graph to the most
        careful."""

    def with_preprocessing(self, spec: EncoderSpec, directory: Path, folder: str) -> EncoderSpec:
        """`spec` with its pre-processing, whose files (a tokenizer) are written to `directory`/`folder`."""
