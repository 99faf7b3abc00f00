"""Text checkpoints: BERT-family encoders whose vector is the mean over the tokens."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from onnxruntime.transformers import optimizer
from tokenizers import Tokenizer as HfTokenizer
from torch import nn
from transformers import PreTrainedModel

from itemlens_exporter import graph, parity_inputs, quantise
from itemlens_exporter.checkpoint import Feed, Int8, Samples
from itemlens_exporter.errors import ExportError
from itemlens_server.engine.manifest import (
    EncoderSpec,
    File,
    Purpose,
    TextPreprocessing,
    describe_file,
)
from itemlens_server.engine.texts import TextError, Tokenizer, Tokens

BATCH = 8


class MeanPooled(nn.Module):
    """input_ids, attention_mask int64 [B, T] -> v [B, dim], the mean of z [B, T, dim] over the unmasked
    tokens."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self._types = getattr(model.config, "type_vocab_size", 0) > 0 and model.config.model_type != "mpnet"

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        # A zeros-like node for the token types gives the graph two inputs for every architecture, and BERT's
        # embeddings still fuse: 54 nodes, against 59 if the model slices its own buffer of zeros.
        types = {"token_type_ids": torch.zeros_like(input_ids)} if self._types else {}
        z = self.model(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        weight = attention_mask.to(z.dtype)[..., None]
        return {"v": (z * weight).sum(1) / weight.sum(1), "z": z}


@dataclass(frozen=True)
class TextCheckpoint:
    """A text encoder with its tokenizer, in memory. `model` must use the "eager" implementation of attention."""

    kind: ClassVar[str] = "TEXT"

    model: PreTrainedModel
    tokenizer: HfTokenizer
    max_tokens: int
    source: dict[str, str]
    query_prefix: str = ""
    item_prefix: str = ""
    prefixes_from: str = ""
    """Origin of the prefixes, for people; empty if nothing is known about them."""
    unknown_token: str = "[UNK]"
    _pooled: MeanPooled = field(init=False)
    _server_tokenizer: Tokenizer = field(init=False)

    def __post_init__(self) -> None:
        """ExportError if the prefixes leave no room for a text."""
        object.__setattr__(self, "_pooled", MeanPooled(self.model).eval())
        preprocessing = self.preprocessing(File(path="", sha256="", bytes=0))
        try:
            tokenizer = Tokenizer(copy.deepcopy(self.tokenizer), preprocessing)
        except TextError as error:
            raise ExportError(f"{error}: give a shorter --query-prefix and --item-prefix") from error
        object.__setattr__(self, "_server_tokenizer", tokenizer)

    @property
    def dim(self) -> int:
        """Width of v."""
        return int(self.model.config.hidden_size)

    def export(self, path: Path) -> None:
        """Write the optimised fp32 graph.

        optimum traces the graph, and onnxruntime's transformer optimizer fuses it. On MiniLM-L6 the result has the
        6 Attention, 12 SkipLayerNormalization and 6 BiasGelu of optimum's O2 and EmbedLayerNormalization in addition.
        A trace of "eager" attention takes half the time of "sdpa" and gives the same nodes.
        """
        example = torch.ones(2, 8, dtype=torch.long)
        outputs = {"v": {0: "batch"}, "z": {0: "batch", 1: "length"}}
        inputs = {"input_ids": example, "attention_mask": example}
        traced = path.with_suffix(".traced")
        graph.export_graph(self._pooled, graph.optimum_config(self.model), inputs, outputs, traced)
        with graph.quiet():
            # With 0 the optimizer reads heads and width from the graph; configurations name them differently.
            fused = optimizer.optimize_model(str(traced), model_type="bert", num_heads=0, hidden_size=0)
        graph.save(fused.model, path)
        traced.unlink()

    def samples(self) -> Samples:
        """Return the parity texts, half as queries and half as items. Long texts are cut."""
        return self._samples(parity_inputs.texts())

    def int8(self, fp32: Path, folder: Path) -> Iterator[Iterator[Int8]]:
        """Return ladders of dynamic and static int8 graphs."""
        texts = parity_inputs.texts(seed=1)[::3]
        feeds = [_feed([tokens.ids]) for tokens in self.tokenise(texts)]
        return quantise.text(fp32, folder, feeds)

    def with_preprocessing(self, spec: EncoderSpec, directory: Path, folder: str) -> EncoderSpec:
        """Return `spec` with the preprocessing of texts. Write tokenizer.json."""
        plain = copy.deepcopy(self.tokenizer)
        plain.no_padding()
        plain.no_truncation()
        name = f"{folder}/tokenizer.json"
        (directory / name).write_text(plain.to_str(), encoding="utf-8")
        text = self.preprocessing(describe_file(directory, name))
        source = {**spec.source, "prefixes_from": self.prefixes_from}
        return spec.model_copy(update={"text": text, "source": source})

    def preprocessing(self, tokenizer: File) -> TextPreprocessing:
        """Return how the server prepares texts for this encoder."""
        return TextPreprocessing(
            tokenizer=tokenizer,
            max_tokens=self.max_tokens,
            query_prefix=self.query_prefix,
            item_prefix=self.item_prefix,
            unknown_token=self.unknown_token,
        )

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Return `texts` tokenised as by the server, every second one as a query."""
        purposes: tuple[Purpose, Purpose] = ("item", "query")
        return [self._server_tokenizer.encode(text, purposes[i % 2]) for i, text in enumerate(texts)]

    @torch.inference_mode()
    def reference(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return v of one tokenised text computed by the checkpoint, float32 [dim]."""
        batch = torch.from_numpy(ids)[None]
        v: torch.Tensor = self._pooled(batch, torch.ones_like(batch))["v"][0]
        return v.numpy()

    def _samples(self, texts: Sequence[str]) -> Samples:
        ids = [tokens.ids for tokens in self.tokenise(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        groups.append(order[: BATCH // 2] + order[-BATCH // 2 :])  # the largest amount of padding
        return Samples(
            singles=[([i], _feed([ids[i]])) for i in range(len(ids))],
            batches=[(group, _feed([ids[i] for i in group])) for group in groups],
            reference=np.stack([self.reference(text_ids) for text_ids in ids]),
        )


def _feed(batch: Sequence[npt.NDArray[np.int64]]) -> Feed:
    """Pad to the longest text. Padding is token 0 with mask 0; its value must not matter."""
    length = max(len(ids) for ids in batch)
    input_ids = np.zeros((len(batch), length), dtype=np.int64)
    mask = np.zeros_like(input_ids)
    for row, ids in enumerate(batch):
        input_ids[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": mask}
