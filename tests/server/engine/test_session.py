"""ONNX Runtime sessions: the error names a graph that does not load."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from itemlens_server.engine.session import Session, missing_library
from itemlens_server.errors import FailedPrecondition


def test_a_file_that_is_not_a_graph_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(FailedPrecondition, match=r"model\.onnx: ONNX Runtime cannot load this graph"):
        Session(path, "CPUExecutionProvider")


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA"
)
def test_the_library_that_cuda_lacks_is_named() -> None:
    assert "libonnxruntime_providers_cuda.so: cannot open shared object file" in missing_library()
