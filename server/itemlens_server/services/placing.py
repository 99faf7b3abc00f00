"""Where in a text or picture the rows of its z lie."""

from __future__ import annotations

import numpy as np

from itemlens_server.engine.texts import Tokens
from itemlens_server.fusion.parts import Part, Places

TOKEN, CELL, SPECIAL = "TOKEN", "CELL", "SPECIAL"


def words(tokens: Tokens, text: str) -> Places:
    """Word pieces joined to words. Special tokens are one place."""
    parts: list[Part] = []
    owners = np.full(len(tokens), -1, np.int64)
    for n, (start, end) in enumerate(tokens.offsets.tolist()):
        if tokens.special[n] or end <= start:
            continue
        if parts and _same_word(text, parts[-1].end, start):
            start = parts.pop().start
        parts.append(Part(TOKEN, text=text[start:end], start=start, end=end))
        owners[n] = len(parts) - 1
    if (owners < 0).any():
        owners[owners < 0] = len(parts)
        parts.append(Part(SPECIAL))
    return Places(tuple(parts), owners)


def cells(rows: int, columns: int) -> Places:
    """The cells of a feature map, row by row."""
    parts = tuple(Part(CELL, row=row, column=column) for row in range(rows) for column in range(columns))
    return Places(parts, np.arange(len(parts)))


def _same_word(text: str, end: int, start: int) -> bool:
    """Whether a piece that begins at `start` goes on with the word that ended at `end`: never in Chinese."""
    if start != end or start == 0:
        return False
    before, after = text[start - 1], text[start]
    return before.isalnum() and after.isalnum() and not (_ideograph(before) or _ideograph(after))


def _ideograph(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"
