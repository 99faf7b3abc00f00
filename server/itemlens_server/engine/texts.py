"""Text -> tokens: the one place texts are tokenised, for serving, for `fit` and for the exporter's parity
check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from tokenizers import Tokenizer as HfTokenizer

from itemlens_server.engine.manifest import Purpose, TextPreprocessing

# A text can be megabytes long and the model reads a few hundred tokens. No more than this many characters a
# token are looked at: the longest pieces of real vocabularies have 16 to 20, runs of spaces and unknown words
# can be longer.
CHARACTERS_PER_TOKEN = 32
SPACE = "▁"  # how SentencePiece writes one


class TextError(ValueError):
    """The text cannot be encoded; the message says what to change."""


@dataclass(frozen=True)
class Tokens:
    """A tokenised text. T counts special and prefix tokens too.

    ids:              int64 [T]
    special:          bool [T], true for special tokens ([CLS] ...) and for those of the model's prefix
    truncated:        part of the text was cut off
    unknown_fraction: share of the text's own tokens that the vocabulary does not know, 0..1
    """

    ids: npt.NDArray[np.int64]
    special: npt.NDArray[np.bool_]
    truncated: bool
    unknown_fraction: float
    _encoding: Encoding
    _window: _Window

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, count: int) -> Tokens:
        """The first `count` tokens alone, whatever stands there."""
        return replace(self, ids=self.ids[:count], special=self.special[:count])

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """int64 [T, 2]: start and end of each token in the caller's text, in characters and without the white space
        around it; of no width for a token that is only a space; (-1, -1) where `special`.

        Only explanations ask for them, so they are not worked out before.
        """
        return _locate(self._encoding, self.special, self._window)


@dataclass(frozen=True, slots=True)
class _Window:
    """What is looked at of a text, behind a prefix; `skipped` characters of the text stand before it."""

    prefix: str
    text: str
    skipped: int
    cut: bool


class Tokenizer:
    """A space's tokenizer. Thread-safe: nothing changes after construction."""

    def __init__(self, tokenizer: HfTokenizer, preprocessing: TextPreprocessing) -> None:
        """`tokenizer` is taken over: its padding and truncation are replaced. TextError if no text would
        fit."""
        # "[SEP]" or "</s>" in a caller's text are words like any others, never the control token itself.
        tokenizer.encode_special_tokens = True
        tokenizer.no_padding()
        tokenizer.enable_truncation(preprocessing.max_tokens)
        self._tokenizer = tokenizer
        self._prefixes = {"query": preprocessing.query_prefix, "item": preprocessing.item_prefix}
        self._max_characters = preprocessing.max_tokens * CHARACTERS_PER_TOKEN
        self._unknown = tokenizer.token_to_id(preprocessing.unknown_token)
        for prefix in self._prefixes.values():
            if len(tokenizer.encode(prefix).ids) >= preprocessing.max_tokens:
                raise TextError(
                    f"max_tokens={preprocessing.max_tokens} leaves no room for a text after {prefix!r}"
                )

    @staticmethod
    def load(space: Path, preprocessing: TextPreprocessing) -> Tokenizer:
        """Read the tokenizer of the space in directory `space`."""
        path = space / preprocessing.tokenizer.path
        return Tokenizer(HfTokenizer.from_str(path.read_text(encoding="utf-8")), preprocessing)

    def encode(self, text: str, purpose: Purpose) -> Tokens:
        """Tokenise `text`, put behind the prefix for `purpose`.

        TextError: the text is empty, white space or control characters only, or not valid Unicode.
        """
        window = self._window(text, self._prefixes[purpose])
        encoding = self._tokenizer.encode(window.prefix + window.text)
        ids = np.array(encoding.ids, dtype=np.int64)
        special = np.array(encoding.special_tokens_mask, dtype=np.bool_)
        if window.prefix:
            special |= np.array([end for _, end in encoding.offsets]) <= len(window.prefix)
        own = len(ids) - int(np.count_nonzero(special))
        if own == 0:
            raise TextError("text has no readable character: send at least one letter, digit or symbol")
        unknown = int(np.count_nonzero((ids == self._unknown) & ~special)) if self._unknown is not None else 0
        return Tokens(ids, special, window.cut or bool(encoding.overflowing), unknown / own, encoding, window)

    def _window(self, text: str, prefix: str) -> _Window:
        body = text.lstrip()
        if not body:
            raise TextError("text is empty: send at least one character that is not white space")
        skipped = len(text) - len(body)
        body = body.rstrip()
        window = body[: self._max_characters]
        try:
            window.encode("utf-8")
        except UnicodeEncodeError as error:
            at = skipped + error.start
            raise TextError(
                f"text has half of a surrogate pair at character {at}: send valid Unicode (UTF-8) text"
            ) from None
        return _Window(prefix, window, skipped, len(window) < len(body))


def _locate(encoding: Encoding, special: npt.NDArray[np.bool_], window: _Window) -> npt.NDArray[np.int64]:
    full, begin = window.prefix + window.text, len(window.prefix)
    offsets = np.full((len(special), 2), -1, dtype=np.int64)
    for t, (start, end) in enumerate(encoding.offsets):
        if special[t]:
            continue
        # SentencePiece counts the space before a word as part of it, a reader does not.
        start = max(start, begin)
        while start < end and full[start].isspace():
            start += 1
        while end > start and full[end - 1].isspace():
            end -= 1
        # A piece that is only a space has no width; one put before the text points at its first character.
        if encoding.tokens[t] == SPACE:
            end = start
        offsets[t] = start - begin + window.skipped, end - begin + window.skipped
    return offsets
