"""ONNX Runtime sessions on the requested provider, without silent fallback."""

from __future__ import annotations

import ctypes
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from itemlens_server.errors import FailedPrecondition

Arrays = dict[str, np.ndarray[Any, Any]]
Provider = Literal["CPUExecutionProvider", "CUDAExecutionProvider"]

log = logging.getLogger(__name__)

# How often a GPU session releases unused memory.
SHRINK_SECONDS = 60.0

# How long threads spin before they sleep: long enough for the next operator, or for the next text of a caller that
# sends one after the other (with 1 ms, such a text takes 0.6 ms more). ONNX Runtime's default is about 45 ms after each
# run, which at 40 texts per second takes as much time of two CPUs as the texts.
SPIN_MICROSECONDS = 3000


@dataclass(frozen=True)
class Device:
    """The device of the encoders. `gpus`: number of GPUs, with provider CUDA."""

    provider: Provider = "CPUExecutionProvider"
    gpus: int = 1

    @property
    def gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.provider == "CUDAExecutionProvider"


CPU = Device()


def choose_device(asked: Literal["auto", "cpu", "cuda"]) -> Device:
    """Return the device to run on.

    Raises:
        FailedPrecondition: CUDA was requested and this ONNX Runtime does not support it.
    """
    provider = choose_provider(asked)
    return Device(provider, max(1, gpu_count())) if provider == "CUDAExecutionProvider" else CPU


def choose_provider(asked: Literal["auto", "cpu", "cuda"]) -> Provider:
    """Return the provider to run on.

    Raises:
        FailedPrecondition: CUDA was requested and this ONNX Runtime does not support it.
    """
    if asked == "cpu":
        return "CPUExecutionProvider"
    if "CUDAExecutionProvider" in ort.get_available_providers():
        # A pip-installed CUDA and cuDNN are found only after this (onnxruntime#25609).
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        if asked == "cuda" or gpu_count():
            return "CUDAExecutionProvider"
    elif asked == "cuda":
        raise FailedPrecondition(
            "CUDA was requested, but this ONNX Runtime has no CUDA provider: "
            "pip uninstall onnxruntime && pip install 'itemlens-server[gpu]'"
        )
    return "CPUExecutionProvider"


def provider_loads(provider: str) -> str:
    """Return why a session on `provider` does not run there; empty if it does."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "probe", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    try:
        session = ort.InferenceSession(model.SerializeToString(), providers=[provider])
        session.run(["y"], {"x": np.ones(1, np.float32)})
    except Exception as error:
        return str(error)
    running = session.get_providers()[0]
    return "" if running == provider else missing_library() or f"falls back to {running} without an error"


def missing_library() -> str:
    """Return the loader's error if ONNX Runtime's CUDA provider does not load, which names the library; empty if it
    loads."""
    path = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    try:
        # The provider library needs the symbols of this one, which ONNX Runtime loads first.
        ctypes.CDLL(str(path.with_name("libonnxruntime_providers_shared.so")), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(path))
    except OSError as error:
        return str(error)
    return ""


def gpu_count() -> int:
    """Return the number of CUDA devices that this process may use."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    answers = cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if answers else 0


class Session:
    """One graph on one provider. `run` may be called from several threads at once."""

    def __init__(
        self, path: Path, provider: Provider, threads: int = 1, gpu_memory_bytes: int = 8 << 30, gpu: int = 0
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_MICROSECONDS))
        # Its warnings are about the construction of the graph, and have another format than our log.
        options.log_severity_level = 3
        # With a new shape for each batch the pattern cache only grows (onnxruntime#11118).
        options.enable_mem_pattern = False
        providers: list[Any] = ["CPUExecutionProvider"]
        if provider == "CUDAExecutionProvider":
            cuda = {
                "device_id": str(gpu),
                "gpu_mem_limit": str(gpu_memory_bytes),
                "arena_extend_strategy": "kSameAsRequested",
                # Exhaustive search runs again for each new shape (onnxruntime#19838).
                "cudnn_conv_algo_search": "HEURISTIC",
            }
            providers = [(provider, cuda), "CPUExecutionProvider"]
        try:
            self._session = ort.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # ONNX Runtime raises many types for a file it cannot read
            raise FailedPrecondition(f"{path}: ONNX Runtime cannot load this graph: {error}") from error
        self.provider = self._session.get_providers()[0]
        if self.provider != provider:
            raise FailedPrecondition(
                f"{provider} was requested, but ONNX Runtime fell back to {self.provider}: "
                f"{missing_library() or 'its libraries load, but no device answers'}; run `itemlens doctor` for details"
            )
        self._gpu = gpu if provider == "CUDAExecutionProvider" else None
        self._shrunk = time.monotonic()

    def run(self, outputs: list[str], inputs: Arrays) -> list[np.ndarray[Any, Any]]:
        """Run the graph. Only the named outputs are computed and copied."""
        if self._gpu is not None:
            return self._run_bound(outputs, inputs)
        result: list[np.ndarray[Any, Any]] = self._session.run(outputs, inputs)
        return result

    def _run_bound(self, outputs: list[str], inputs: Arrays) -> list[np.ndarray[Any, Any]]:
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        for name in outputs:
            binding.bind_output(name, "cuda", self._gpu)
        run = ort.RunOptions()
        # The arena does not release memory by itself (onnxruntime#22297); doing so after each run would cost more.
        if time.monotonic() - self._shrunk > SHRINK_SECONDS:
            run.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"gpu:{self._gpu}")
            self._shrunk = time.monotonic()
        self._session.run_with_iobinding(binding, run)
        result: list[np.ndarray[Any, Any]] = binding.copy_outputs_to_cpu()
        return result
