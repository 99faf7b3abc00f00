"""On a CUDA device the vectors equal those of the CPU. Skipped, with a message, without a device."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnxruntime
import pytest

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.engine.session import choose_device
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent
from support.spaces import Tiny

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
        reason="NOT TESTED ON CUDA: no CUDA provider here; on a GPU machine install itemlens-server[gpu] and run this",
    ),
]


def test_vectors_are_those_of_the_processor(tiny: Tiny) -> None:
    contents = [Content("text", "text", "red running shoes"), Content("text", "text", "你好")]
    vectors = []
    providers: dict[Literal["cpu", "cuda"], str] = {
        "cpu": "CPUExecutionProvider",
        "cuda": "CUDAExecutionProvider",
    }
    for asked, provider in providers.items():
        settings = Settings(
            models=tiny.models, data=tiny.models, threads=2, precision="fp32", gpu_memory_bytes=1 << 30
        )
        repository = ModelRepository(settings, choose_device(asked))
        space = repository.load(tiny.plain)
        assert {e.provider for e in space.encoders.values()} == {provider}
        outcomes = ContentEncoder(Settings(threads=1)).encode(space, contents, "item", CallContext())
        vectors.append(np.stack([o.v for o in outcomes if isinstance(o, EncodedContent)]))
        repository.close()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-3)
