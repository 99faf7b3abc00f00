"""h of many items with numpy is the h of the head's graph."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.channel_data import ChannelData
from itemlens_server.fusion.fused import fused
from itemlens_server.fusion.graph import build
from itemlens_server.fusion.head import Head, HeadChannel


def test_it_equals_the_graph_with_several_pictures_and_imputed_and_absent_channels() -> None:
    import onnxruntime

    rng = np.random.default_rng(0)

    def channel(name: str, dim: int, width: int, source: str, source_width: int) -> HeadChannel:
        p, w = rng.normal(size=(dim, width)), rng.normal(size=(source_width, width))
        mean = rng.normal(size=dim).astype(np.float32)
        return HeadChannel(name, mean, p.astype(np.float32), {source: w.astype(np.float32)}, 0.7)

    head = Head((channel("text", 8, 5, "image", 4), channel("image", 6, 4, "text", 5)))
    owners = {"text": np.asarray([0, 1, 3]), "image": np.asarray([1, 1, 2])}
    data = {
        n: ChannelData(rng.normal(size=(3, d)).astype(np.float32), owners[n])
        for n, d in (("text", 8), ("image", 6))
    }
    inputs = {}
    for i, name in enumerate(("text", "image")):
        inputs[f"v_{i}"] = data[name].vectors
        inputs[f"member_{i}"] = (owners[name][None] == np.arange(5)[:, None]).astype(np.float32)
    session = onnxruntime.InferenceSession(build(head).SerializeToString())
    [expected] = session.run(None, inputs)
    found = fused(head, data, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert head.imputed(found, "image").tolist() == [True, False, False, True, False]


def test_a_channel_without_content_is_absent() -> None:
    head = Head((HeadChannel("text", np.zeros(3, np.float32)), HeadChannel("image", np.zeros(2, np.float32))))
    h = fused(head, {"text": ChannelData(np.eye(3, dtype=np.float32), np.arange(3))}, 3)
    assert h.shape == (3, head.dimension)
    assert not head.present(h, "image").any() and head.present(h, "text").all()
