"""A BERT of any size with random weights, for measuring speed: python -m itemlens_bench.speed.random_bert FOLDER"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel

from itemlens_exporter import presets

POSITIONS = 512


def write(folder: Path, layers: int = 12, width: int = 768, heads: int = 12) -> None:
    """Write a checkpoint for `itemlens export --text` to `folder`, by default of BERT-base's size, with MiniLM's
    vocabulary."""
    tokenizer = presets.minilm().tokenizer
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "bert", vocab_size=tokenizer.get_vocab_size(), hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=4 * width, max_position_embeddings=POSITIONS,
    )  # fmt: skip
    untyped: Any = AutoModel
    untyped.from_config(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "BertTokenizerFast", "model_max_length": POSITIONS}
    (folder / "tokenizer_config.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
