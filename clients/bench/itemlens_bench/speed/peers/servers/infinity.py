"""infinity's own server with its ONNX Runtime engine on the exported graph. Its other engine, `torch`, was slower."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .checkpoint import folder_with_graph
from .options import options

BATCH = 4  # the default of 32 pads more; 16, 8 and 2 were slower, too


def cut_at(max_tokens: int, folder: Path) -> None:
    """Make the engine cut texts at `max_tokens`: it reads the model's 512 positions, not the checkpoint's limit."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"max_position_embeddings": max_tokens}
    path.write_text(json.dumps(config))


if __name__ == "__main__":
    parser = options()
    parser.add_argument("--engine", choices=("optimum", "torch"), default="optimum")
    given = parser.parse_args()
    folder = folder_with_graph(given.graph)
    if given.engine == "optimum":
        cut_at(given.max_tokens, folder)
    # infinity looks for the graph by its path, optimum by its name alone. In this folder both are the same.
    os.chdir(folder)
    settings = {
        "model-id": ".",
        "served-model-name": "texts",
        "engine": given.engine,
        "device": "cpu",
        "dtype": "float32",
        "pooling-method": "mean",
        "batch-size": BATCH,
        "host": "127.0.0.1",
        "port": given.port,
        "log-level": "warning",
    }
    # The graph is already fused. torch.compile would compile again for every shape.
    arguments = ["--onnx-disable-optimize", "--no-compile"]
    arguments += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    program = str(Path(sys.executable).with_name("infinity_emb"))
    os.execv(program, [program, "v2", *arguments])
