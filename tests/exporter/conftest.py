"""Tiny checkpoints with random weights, and the real presets, exported once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from itemlens_exporter import parity_inputs, presets
from itemlens_exporter.space import Exported, export_space
from itemlens_server.engine.manifest import Precision
from support.sizes import size
from support.tiny_checkpoints import POSITIONS, Folder

# On a busy machine several torch threads are many times slower than one, because they wait for each other.
torch.set_num_threads(1)

# Every fifth input of the parity check is taken: 8 kinds of pictures and 3 of files alternate, so each is there.
STEP = size(5, 1)

LETTERS = [chr(c) for c in range(33, 127)] + list("你好世界茶红跑步鞋")


@pytest.fixture(scope="session", autouse=True)
def fewer_inputs() -> Iterator[None]:
    """Exports are compared with their checkpoints on a part of the inputs, which are made once."""
    texts, pictures = parity_inputs.texts, parity_inputs.pictures
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity_inputs, "texts", cache(lambda seed=0: texts(seed)[::STEP]))
        patch.setattr(parity_inputs, "pictures", cache(lambda seed=0: pictures(seed)[::STEP]))
        yield


def tiny_tokenizer() -> Tokenizer:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + letter for letter in LETTERS)]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


@pytest.fixture
def tiny_text(tmp_path: Path) -> Folder:
    """Return a factory of checkpoint folders: tiny_text("Bert", pooling={...})."""

    def make(family: str = "Bert", pooling: dict[str, Any] | None = None) -> Path:
        torch.manual_seed(0)
        sizes = (
            {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
            if family == "DistilBert"
            else {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 64,
            }
        )
        offset = 2 if family in ("Roberta", "XLMRoberta", "MPNet") else 0
        config = getattr(transformers, f"{family}Config")(
            vocab_size=5 + 2 * len(LETTERS),
            max_position_embeddings=POSITIONS + offset,
            pad_token_id=1 if offset else 0,
            **sizes,
        )
        folder = tmp_path / family.lower()
        getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
        special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        transformers.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(), **special).save_pretrained(
            folder
        )
        if pooling is not None:
            (folder / "1_Pooling").mkdir()
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        return folder

    return make


@pytest.fixture
def tiny_picture(tmp_path: Path) -> Folder:
    """Return a factory of checkpoint folders: tiny_picture("ViT")."""

    def make(family: str = "ViT", **said: Any) -> Path:
        torch.manual_seed(0)
        if family in ("ConvNext", "ResNet"):
            sizes: dict[str, Any] = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 24]}
            if family == "ResNet":
                sizes |= {"embedding_size": 8, "layer_type": "basic"}
        else:
            sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 16}
            sizes |= {"intermediate_size": 64, "image_size": 64}
        folder = tmp_path / family.lower()
        config = getattr(transformers, f"{family}Config")(**sizes)
        getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
        prepared = {
            "image_processor_type": "ViTImageProcessor",
            "size": {"height": 64, "width": 64},
            "resample": int(Image.Resampling.BILINEAR),
            "image_mean": [0.4, 0.5, 0.6],
            "image_std": [0.2, 0.3, 0.4],
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(prepared | said))
        return folder

    return make


@pytest.fixture(scope="session")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return the space that `make demo` exports."""
    models_folder = tmp_path_factory.mktemp("multilingual")
    return export_space(
        {"text": presets.text("multilingual"), "image": presets.image("lite0")},
        models=models_folder,
        name="demo",
    )


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return a space with a text encoder in every precision."""
    models_folder = tmp_path_factory.mktemp("minilm")
    return export_space(
        {"text": presets.text("minilm")},
        models=models_folder,
        name="minilm",
        precisions=list(Precision),
    )
