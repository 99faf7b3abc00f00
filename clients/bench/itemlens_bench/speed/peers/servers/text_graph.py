"""Texts to vectors by the exported graph in plain ONNX Runtime, as several peers serve it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

Array = np.ndarray[Any, np.dtype[np.float32]]

# The number of texts that run together after sorting by length. On a CPU more are not faster.
GROUP = 8
# The number of texts that run together unsorted. Padding hundreds to the longest would be unfair to the peers.
PADDED = 32


class TextGraph:
    """The graph and its tokenizer. Several threads may use both at once."""

    def __init__(self, given: argparse.Namespace) -> None:
        options = ort.SessionOptions()
        # Concurrent runs of one thread each are best for texts of mixed length.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(str(given.graph), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(given.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(given.max_tokens)

    def padded(self, texts: Sequence[str]) -> Array:
        """Vectors, float32 [texts, dimension]. Texts run together in their order, padded to the longest."""
        encodings = self._tokenizer.encode_batch(list(texts))
        return np.concatenate([self._run(group) for group in _cut(encodings, PADDED)])

    def grouped(self, texts: Sequence[str]) -> Array:
        """Vectors, float32 [texts, dimension]. Texts of similar length run together."""
        encodings = self._tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda row: len(encodings[row].ids))
        vectors = np.concatenate(
            [self._run(group) for group in _cut([encodings[row] for row in order], GROUP)]
        )
        result: Array = np.empty_like(vectors)
        result[order] = vectors
        return result

    def _run(self, encodings: Sequence[Encoding]) -> Array:
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        vectors: Array = self._session.run(["v"], {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


def _cut(encodings: Sequence[Encoding], size: int) -> list[Sequence[Encoding]]:
    """Consecutive groups of at most `size`."""
    return [encodings[first : first + size] for first in range(0, len(encodings), size)]
