"""Hugging Face text checkpoints, from a folder or the hub."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer as HfTokenizer
from transformers import AutoModel

from .text import TextCheckpoint


def load_text(name: str, *, source: dict[str, str] | None = None) -> TextCheckpoint:
    model = AutoModel.from_pretrained(
        name, add_pooling_layer=False, attn_implementation="eager", dtype=torch.float32
    ).eval()
    return TextCheckpoint(model, HfTokenizer.from_file(str(Path(name) / "tokenizer.json")), 256, source or {})
