"""The modality of texts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Encoded, Modality
from itemlens_server.engine.manifest import Purpose
from itemlens_server.engine.model_encoder import ModelEncoder
from itemlens_server.engine.prepared import Layout, Prepared
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Session
from itemlens_server.engine.texts import TextError, Tokenizer, Tokens
from itemlens_server.errors import InvalidArgument, Warning
from itemlens_server.fusion.parts import Part, Places

# Typical lengths of a catalogue's texts (titles, descriptions, a few long ones) to measure a plan, tokens.
SAMPLE_LENGTHS = (12, 14, 16, 18, 22, 26, 30, 34, 38, 44, 48, 54, 60, 66, 74, 82, 96, 112, 140, 190)
SAMPLE_SIZE = 40
TOKEN, SPECIAL = "TOKEN", "SPECIAL"

# On a GPU every new shape costs memory and time, so batches are padded to few shapes: lengths to a multiple of this,
# rows to a power of two.
GPU_LENGTH_STEP = 16

# Text length at which attention takes as long as the rest of the model, as a multiple of the model's width (measured on
# MiniLM-L6).
ATTENTION_WIDTHS = 2.5

# Above this share of unknown tokens, a text's vector says little about the text.
MOSTLY_UNKNOWN = 0.5

# Length of a query sampled from a text without spaces between words, characters.
QUERY_CHARACTERS = 6


@dataclass(frozen=True, slots=True)
class TextLayout(Layout):
    """z has a row for each token. Word pieces are joined to words; all special tokens are one place."""

    text: str
    tokens: Tokens

    def places(self) -> Places:
        parts: list[Part] = []
        owners = np.full(len(self.tokens), -1, np.int64)
        for n, (start, end) in enumerate(self.tokens.offsets.tolist()):
            if self.tokens.special[n] or end <= start:
                continue
            if parts and _same_word(self.text, parts[-1].end, start):
                start = parts.pop().start
            parts.append(Part(TOKEN, text=self.text[start:end], start=start, end=end))
            owners[n] = len(parts) - 1
        if (owners < 0).any():
            owners[owners < 0] = len(parts)
            parts.append(Part(SPECIAL))
        return Places(tuple(parts), owners)


class TextEncoder(ModelEncoder[str, Tokens]):
    """Encodes texts. z has a row for each token, special ones included."""

    def _open(self, directory: Path) -> None:
        assert self.spec.text is not None
        self._tokenizer = Tokenizer.load(directory, self.spec.text)
        self._max_tokens = self.spec.text.max_tokens
        self._singly = self.precision in self.spec.singly

    def prepare(
        self, value: str, purpose: Purpose, keep: bool = False, call: CallContext | None = None
    ) -> Prepared[Tokens]:
        """Tokenise a text.

        Raises:
            InvalidArgument: the text is empty, too long or not valid Unicode.
        """
        limit = self._settings.max_text_bytes
        if len(value) > limit or (
            4 * len(value) > limit and len(value.encode("utf-8", "surrogatepass")) > limit
        ):
            raise InvalidArgument(
                f"the text is longer than {limit} bytes; send the part that describes the item", "text"
            )
        try:
            tokens = self._tokenizer.encode(value, purpose)
        except TextError as error:
            raise InvalidArgument(str(error), "text") from error
        return Prepared(tokens, TextLayout(value, tokens), warnings=_warnings(tokens))

    def _plans(self) -> list[Plan]:
        threads = self._settings.thread_count()
        if self._device.gpu:
            # On a GPU small batches cost more than padding.
            return [Plan(self._device.gpus, 1, max_batch=256, max_tokens=32_768, call_tokens=4096)]
        shares = [(threads // n, n) for n in (1, 2, 4, 8) if n <= threads and threads % n == 0]
        if self._singly:
            # The queue still gives a few inputs at a time: a thread that waits for its next input costs more than the
            # other inputs' wait for their batch.
            return [Plan(i, n, max_batch=4, singly=True) for i, n in shares]
        packed = self.precision in self.spec.packed
        attention = int(ATTENTION_WIDTHS * self.spec.dim) if packed else 0
        return [Plan(i, n, max_batch=size, attention_tokens=attention) for i, n in shares for size in (8, 1)]

    def _sample(self) -> list[Tokens]:
        rng = random.Random(7)
        word = self._tokenizer.encode("tea " * self._max_tokens, "item")
        lengths = [min(rng.choice(SAMPLE_LENGTHS), len(word)) for _ in range(SAMPLE_SIZE)]
        return [word.first(length) for length in lengths]

    def _tokens(self, model_input: Tokens) -> int:
        return len(model_input)

    def _run(self, session: Session, batch: list[tuple[Tokens, bool]]) -> list[Encoded]:
        if self._singly:
            return [self._run_together(session, [alone])[0] for alone in batch]
        return self._run_together(session, batch)

    def _run_together(self, session: Session, batch: list[tuple[Tokens, bool]]) -> list[Encoded]:
        rows, longest = len(batch), max(len(t) for t, _ in batch)
        if self._device.gpu:
            rows = 1 << (rows - 1).bit_length()
            longest = min(-(-longest // GPU_LENGTH_STEP) * GPU_LENGTH_STEP, self._max_tokens)
        ids = np.zeros((rows, longest), np.int64)
        mask = np.zeros_like(ids)
        mask[:, 0] = 1  # a row of padding must have a mean too
        for row, (tokens, _) in enumerate(batch):
            ids[row, : len(tokens)] = tokens.ids
            mask[row, : len(tokens)] = 1
        with_places = batch[0][1]
        result = session.run(["v", "z"] if with_places else ["v"], {"input_ids": ids, "attention_mask": mask})
        # A view would keep the whole batch in memory as long as one of its vectors is cached.
        return [
            Encoded(result[0][row].copy(), result[1][row, : len(tokens)].copy() if with_places else None)
            for row, (tokens, _) in enumerate(batch)
        ]


def _warnings(tokens: Tokens) -> tuple[Warning, ...]:
    warnings = []
    if tokens.truncated:
        warnings.append(
            Warning("TEXT_TRUNCATED", "the text is longer than the model reads; its end was left out", "text")
        )
    if tokens.unknown_fraction > MOSTLY_UNKNOWN:
        share = f"{tokens.unknown_fraction:.0%}"
        warnings.append(
            Warning(
                "TEXT_UNKNOWN",
                f"{share} of the text is unknown to the tokenizer; check that the model supports its language",
                "text",
            )
        )
    return tuple(warnings)


def _same_word(text: str, end: int, start: int) -> bool:
    """Return whether a piece that begins at `start` continues the word that ended at `end`; never in Chinese."""
    if start != end or start == 0:
        return False
    before, after = text[start - 1], text[start]
    return before.isalnum() and after.isalnum() and not (_ideograph(before) or _ideograph(after))


def _ideograph(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"


def _sample_query(rng: random.Random, text: str) -> str:
    """Return two words of the text, or a run of characters if the text has no spaces between words."""
    words = text.split()
    if len(words) >= 3:
        return " ".join(words[n] for n in sorted(rng.sample(range(len(words)), 2)))
    length = max(1, min(len(text), QUERY_CHARACTERS))
    start = rng.randint(0, len(text) - length)
    return text[start : start + length].strip() or text


TEXT = Modality(
    kind="TEXT",
    field="text",
    plural="texts",
    encoder=TextEncoder,
    several=False,
    in_document=True,
    quick=True,
    by_purpose=True,
    cached=True,
    place=TOKEN,
    other_places=(SPECIAL,),
    fits={"en": "its words {} fit", "zh": "其中的{}与之相符"},
    sample_query=_sample_query,
    # A few words fit many items. Fits found 2.5 (two words of an item's text; the bundled catalogue, Complete Journey);
    # users' words fit less well than pieces of the items themselves.
    search_nats=1.5,
)
