"""What the engine is told by the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from itemlens_server.engine.session import Provider


@dataclass(frozen=True)
class EngineOptions:
    """How encoders run, and what one input may be.

    threads:           processor threads that inference may use
    gpus:              devices that it may use, with provider CUDA
    gpu_memory_bytes:  bound of ONNX Runtime's memory on each, for each encoder
    low_latency_sessions:     an encoder has a second session, of all threads, for inputs that come alone
    queue_tokens:      interactive tokens that may wait for an encoder; 0: as many as it runs in `queue_seconds`
    queue_seconds:     bound of the queue where it is not given in tokens
    wait_seconds:      how long a small interactive call may have to wait; a large one waits longer
    min_admitted_inputs, large_call_patience: behind how many inputs a call may wait in any case
    tunings:           file that remembers measured plans; None: nothing is remembered
    tune:              measure anew, even if a plan is remembered
    """

    provider: Provider = "CPUExecutionProvider"
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto"
    threads: int = 1
    gpus: int = 1
    gpu_memory_bytes: int = 8 << 30
    text_bytes: int = 256 << 10
    picture_bytes: int = 10 << 20
    picture_pixels: int = 40_000_000
    low_latency_sessions: bool = True
    queue_tokens: int = 0
    queue_seconds: float = 4.0
    wait_seconds: float = 0.3
    min_admitted_inputs: int = 63
    large_call_patience: int = 7
    tunings: Path | None = None
    tune: bool = False

    @property
    def gpu(self) -> bool:
        """Whether encoders run on a GPU."""
        return self.provider == "CUDAExecutionProvider"
