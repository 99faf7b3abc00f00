"""Tokenisation of texts, shared by serving, `fit` and the exporter's parity check."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from tokenizers import Tokenizer as HfTokenizer

from itemlens_server.engine.manifest import Purpose, TextPreprocessing

# A text can be megabytes long, but the model reads a few hundred tokens. At most this number of characters per token
# is read. The longest pieces of real vocabularies have 16 to 20; runs of spaces and unknown words can be longer.
CHARACTERS_PER_TOKEN = 32
SPACE = "▁"  # SentencePiece's symbol of a space

# In a text that does not fit, long runs are shortened: white space to KEPT_SPACE characters, which is more than between
# paragraphs, and one other character to KEPT_SAME, beyond which a word is unknown to any vocabulary. Such runs give one
# token or none, but would use up the characters that are read.
KEPT_SPACE, KEPT_SAME = 4, 128
_RUN = re.compile(rf"\s{{{KEPT_SPACE + 1},}}|(\S)\1{{{KEPT_SAME},}}")


class TextError(ValueError):
    """The text cannot be encoded. The message says what to change."""


@dataclass(frozen=True)
class Tokens:
    """A tokenised text. T counts special and prefix tokens too.

    ids:              int64 [T]
    special:          bool [T], true for special tokens ([CLS] ...) and for tokens of the model's prefix
    truncated:        part of the text was cut off
    unknown_fraction: share of the text's own tokens that are not in the vocabulary, 0..1
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
        """Return the first `count` tokens only, whatever they are."""
        return replace(self, ids=self.ids[:count], special=self.special[:count])

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Start and end of each token in the caller's text, int64 [T, 2], in characters, without surrounding white
        space. A token that is only a space has width 0. (-1, -1) if `special`.

        Computed on demand, since only explanations need them.
        """
        return _locate(self._encoding, self.special, self._window)


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a text that is read, after a prefix.

    skipped: number of characters of the text before it
    cut:     whether more than white space of the text is missing
    gaps:    shortened runs: a position in `text`, and the number of characters missing before it
    """

    prefix: str
    text: str
    skipped: int
    cut: bool
    gaps: tuple[tuple[int, int], ...] = ()

    def place(self, at: int) -> int:
        """Return the position in the caller's text of the character at `at` in the window."""
        missing = next((count for place, count in reversed(self.gaps) if place <= at), 0)
        return self.skipped + at + missing


class Tokenizer:
    """A space's tokenizer. Thread-safe: nothing changes after construction."""

    def __init__(self, tokenizer: HfTokenizer, preprocessing: TextPreprocessing) -> None:
        """Take over `tokenizer` and replace its padding and truncation. TextError if no text would fit."""
        # "[SEP]" or "</s>" in a caller's text is ordinary text, never the control token.
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
        """Tokenise `text` after the prefix for `purpose`.

        TextError: the text is empty, white space or control characters only, or not valid Unicode.
        """
        window = self._window(text, self._prefixes[purpose])
        encoding = self._tokenizer.encode(window.prefix + window.text)
        if window.cut or encoding.overflowing:
            shortened = self._window(text, self._prefixes[purpose], shorten=True)
            if shortened.gaps:
                window, encoding = shortened, self._tokenizer.encode(shortened.prefix + shortened.text)
        ids = np.array(encoding.ids, dtype=np.int64)
        special = np.array(encoding.special_tokens_mask, dtype=np.bool_)
        if window.prefix:
            special |= np.array([end for _, end in encoding.offsets]) <= len(window.prefix)
        own = len(ids) - int(np.count_nonzero(special))
        if own == 0:
            raise TextError("text has no readable character: send at least one letter, digit or symbol")
        unknown = int(np.count_nonzero((ids == self._unknown) & ~special)) if self._unknown is not None else 0
        return Tokens(ids, special, window.cut or bool(encoding.overflowing), unknown / own, encoding, window)

    def _window(self, text: str, prefix: str, shorten: bool = False) -> _Window:
        body = text.lstrip()
        if not body:
            raise TextError("text is empty: send at least one character that is not white space")
        skipped = len(text) - len(body)
        body = body.rstrip()
        gaps: tuple[tuple[int, int], ...] = ()
        lost = False
        if shorten:
            body, gaps, lost = _shorten(body, self._max_characters)
        read = body[: self._max_characters]
        window = _Window(prefix, read, skipped, lost or len(read) < len(body), gaps)
        try:
            read.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TextError(
                f"text has half of a surrogate pair at character {window.place(error.start)}: send valid Unicode "
                "(UTF-8) text"
            ) from None
        return window


def _shorten(text: str, wanted: int) -> tuple[str, tuple[tuple[int, int], ...], bool]:
    """Shorten the long runs in the first `wanted` characters, so that these cover more of the text. Return the text,
    the gaps as in `_Window`, and whether more than white space is missing."""
    pieces: list[str] = []
    gaps: list[tuple[int, int]] = []
    begin = kept = 0
    lost = False
    while run := _RUN.search(text, begin, end := begin + wanted - kept):
        stop = run.start() + (KEPT_SAME if run[1] else KEPT_SPACE)
        pieces.append(text[begin:stop])
        kept += stop - begin
        begin = run.end()
        if begin == end:  # the run may continue; None stands for white space
            begin = len(text) - len(text[begin:].lstrip(run[1]))
        gaps.append((kept, begin - kept))
        lost |= run[1] is not None
    return "".join([*pieces, text[begin:]]), tuple(gaps), lost


def _locate(encoding: Encoding, special: npt.NDArray[np.bool_], window: _Window) -> npt.NDArray[np.int64]:
    full, begin = window.prefix + window.text, len(window.prefix)
    offsets = np.full((len(special), 2), -1, dtype=np.int64)
    for t, (start, end) in enumerate(encoding.offsets):
        if special[t]:
            continue
        # SentencePiece counts the space before a word as part of it; the caller's offsets do not.
        start = max(start, begin)
        while start < end and full[start].isspace():
            start += 1
        while end > start and full[end - 1].isspace():
            end -= 1
        # A piece that is only a space has width 0. A space inserted before the text points at the first character.
        if encoding.tokens[t] == SPACE:
            end = start
        place = window.place(start - begin)
        offsets[t] = place, window.place(end - 1 - begin) + 1 if end > start else place
    return offsets
