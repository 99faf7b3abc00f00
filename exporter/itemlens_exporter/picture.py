"""Picture checkpoints: networks that end in a grid of cells. The mean of the cells is the picture's vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from onnxruntime.transformers import optimizer
from optimum.exporters.onnx import OnnxConfig
from torch import nn
from transformers import PretrainedConfig

from itemlens_exporter import graph, parity_inputs, quantise
from itemlens_exporter.checkpoint import Feed, Int8, Samples
from itemlens_server.engine import pictures
from itemlens_server.engine.manifest import EncoderSpec, PicturePreprocessing
from itemlens_server.engine.pictures.fitting import normalise

BATCH = 8
MAX_PIXELS = 10_000_000


class MeanOfCells(nn.Module):
    """pixels float32 [B, 3, H, W] -> v [B, dim], the mean of z [B, grid_h, grid_w, dim]."""

    def __init__(self, cells: nn.Module) -> None:
        super().__init__()
        self.cells = cells
        self.config = getattr(cells, "config", None) or PretrainedConfig()

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        z = self.cells(pixels)
        return {"v": z.mean((1, 2)), "z": z}


@dataclass(frozen=True)
class PictureCheckpoint:
    """A picture encoder in memory. `cells`: pixels float32 [B, 3, H, W] -> [B, grid_h, grid_w, dim]."""

    kind: ClassVar[str] = "IMAGE"

    cells: nn.Module
    preprocessing: PicturePreprocessing
    dim: int
    source: dict[str, str]
    onnx_config: OnnxConfig
    transformer: bool = False
    _pooled: MeanOfCells = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pooled", MeanOfCells(self.cells).eval())

    def export(self, path: Path) -> None:
        """Write the optimised fp32 graph: attention fused, constants and batch norms folded.

        Only onnxruntime's hardware-independent "basic" passes are applied. The server's session applies the
        rest, since the blocked layout of convolutions differs by processor.
        """
        pre = self.preprocessing
        example = {"pixels": torch.zeros(2, 3, pre.height, pre.width)}
        traced, basic = path.with_suffix(".traced"), path.with_suffix(".basic")
        graph.export_graph(
            self._pooled, self.onnx_config, example, {"v": {0: "batch"}, "z": {0: "batch"}}, traced
        )
        with graph.quiet():
            if self.transformer:
                model = optimizer.optimize_model(
                    str(traced), model_type="vit", num_heads=0, hidden_size=0
                ).model
            else:
                options = SessionOptions()
                options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
                options.optimized_model_filepath = str(basic)
                InferenceSession(str(traced), options, providers=["CPUExecutionProvider"])
                model = onnx.load(str(basic))
                basic.unlink()
        graph.save(model, path)
        traced.unlink()

    def samples(self) -> Samples:
        """Return the parity pictures, decoded and prepared as the server does."""
        prepared = self.prepare(parity_inputs.pictures())
        groups = [list(range(i, min(i + BATCH, len(prepared)))) for i in range(0, len(prepared), BATCH)]
        return Samples(
            singles=[([i], {"pixels": prepared[i : i + 1]}) for i in range(len(prepared))],
            batches=[(group, {"pixels": prepared[group]}) for group in groups],
            reference=np.concatenate([self.reference(prepared[group]) for group in groups]),
        )

    def int8(self, fp32: Path, folder: Path) -> Iterator[Iterator[Int8]]:
        """Return ladders of static int8 graphs."""
        prepared = self.prepare(parity_inputs.pictures(seed=1)[::2])
        feeds: list[Feed] = [{"pixels": prepared[i : i + 1]} for i in range(len(prepared))]
        return quantise.picture(fp32, folder, feeds, self.transformer)

    def with_preprocessing(self, spec: EncoderSpec, directory: Path, folder: str) -> EncoderSpec:
        """Return `spec` with the preprocessing of pictures. It needs no files."""
        return spec.model_copy(update={"picture": self.preprocessing})

    def prepare(self, encoded: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Return image files as float32 [N, 3, H, W]."""
        pre = self.preprocessing
        return np.stack([normalise(pictures.read(data, pre, MAX_PIXELS).image, pre) for data in encoded])

    @torch.inference_mode()
    def reference(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return v computed by the checkpoint, float32 [N, dim]."""
        v: torch.Tensor = self._pooled(torch.from_numpy(pixels))["v"]
        return v.numpy()
