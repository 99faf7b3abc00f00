"""Texts to vectors."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from itemlens_server.engine.encoder import Encoded, Encoder
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Session
from itemlens_server.engine.texts import Purpose, TextError, Tokenizer, Tokens
from itemlens_server.errors import InvalidArgument

# Texts of a catalogue: titles, descriptions, now and then a long one. Tokens of each, for measuring a plan.
SAMPLE_LENGTHS = (12, 14, 16, 18, 22, 26, 30, 34, 38, 44, 48, 54, 60, 66, 74, 82, 96, 112, 140, 190)
SAMPLE_SIZE = 40

# On a GPU every new shape costs memory and time, so batches are padded to few: lengths to a multiple, rows to a power
# of two.
GPU_LENGTH_STEP = 16

# Tokens, as a multiple of the width, of which attention takes as long as all the rest (MiniLM-L6, measured; both grow
# with the length, the rest with the width, too).
ATTENTION_WIDTHS = 2.5


class TextEncoder(Encoder[Tokens]):
    """Texts to vectors; z has a row for each token, special ones included."""

    kind: ClassVar[Literal["TEXT"]] = "TEXT"

    def _open(self, directory: Path) -> None:
        assert self.about.text is not None
        self._tokenizer = Tokenizer.load(directory, self.about.text)
        self._max_tokens = self.about.text.max_tokens
        self._singly = self.precision in self.about.singly

    def tokens(self, text: str, purpose: Purpose) -> Tokens:
        """Tokens of `text`.

        Raises:
            InvalidArgument: the text is empty, too long or not proper Unicode.
        """
        limit = self._options.text_bytes
        if len(text) > limit or (
            4 * len(text) > limit and len(text.encode("utf-8", "surrogatepass")) > limit
        ):
            raise InvalidArgument(
                f"the text is longer than {limit} bytes; send the part that says what the item is", "text"
            )
        try:
            return self._tokenizer.encode(text, purpose)
        except TextError as error:
            raise InvalidArgument(str(error), "text") from error

    def _plans(self) -> list[Plan]:
        threads = self._options.threads
        if self._options.gpu:
            # On a GPU small batches are the enemy, and padding is cheap beside them.
            return [Plan(self._options.gpus, 1, max_batch=256, max_tokens=32_768, call_tokens=4096)]
        shares = [(threads // n, n) for n in (1, 2, 4, 8) if n <= threads and threads % n == 0]
        if self._singly:
            # They still leave the queue a few at a time: that a thread waits for the next costs more than the others'
            # waiting for it.
            return [Plan(i, n, max_batch=4, singly=True) for i, n in shares]
        packed = self.precision in self.about.packed
        attention = int(ATTENTION_WIDTHS * self.about.dim) if packed else 0
        return [Plan(i, n, max_batch=size, attention_tokens=attention) for i, n in shares for size in (8, 1)]

    def _sample(self) -> list[Tokens]:
        rng = random.Random(7)
        word = self._tokenizer.encode("tea " * self._max_tokens, "item")
        lengths = [min(rng.choice(SAMPLE_LENGTHS), len(word)) for _ in range(SAMPLE_SIZE)]
        return [word.first(length) for length in lengths]

    def _tokens(self, prepared: Tokens) -> int:
        return len(prepared)

    def _run(self, session: Session, batch: list[tuple[Tokens, bool]]) -> list[Encoded]:
        if self._singly:
            return [self._run_together(session, [one])[0] for one in batch]
        return self._run_together(session, batch)

    def _run_together(self, session: Session, batch: list[tuple[Tokens, bool]]) -> list[Encoded]:
        rows, longest = len(batch), max(len(t) for t, _ in batch)
        if self._options.gpu:
            rows = 1 << (rows - 1).bit_length()
            longest = min(-(-longest // GPU_LENGTH_STEP) * GPU_LENGTH_STEP, self._max_tokens)
        ids = np.zeros((rows, longest), np.int64)
        mask = np.zeros_like(ids)
        mask[:, 0] = 1  # a row of padding only must have a mean, too
        for row, (tokens, _) in enumerate(batch):
            ids[row, : len(tokens)] = tokens.ids
            mask[row, : len(tokens)] = 1
        parts = batch[0][1]
        result = session.run(["v", "z"] if parts else ["v"], {"input_ids": ids, "attention_mask": mask})
        # Copies, since a view would keep the whole batch in memory as long as one of its vectors is cached.
        return [
            Encoded(result[0][row].copy(), result[1][row, : len(tokens)].copy() if parts else None)
            for row, (tokens, _) in enumerate(batch)
        ]
