"""What the two kinds of checkpoint have in common for the assembly of a space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from itemlens_server.engine.manifest import EncoderSpec, Parity, Precision

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

    def encoder(
        self,
        directory: Path,
        folder: str,
        graphs: dict[Precision, str],
        parity: tuple[Parity, ...],
        source: dict[str, str],
    ) -> EncoderSpec:
        """The manifest's entry, writing what else it needs (a tokenizer) to `directory`/`folder`."""
