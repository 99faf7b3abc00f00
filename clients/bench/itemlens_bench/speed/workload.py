"""The texts to send: all distinct, in a catalogue's mix of lengths, so that neither padding nor a cache looks better
than it is."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itemlens_bench.speed.figures import percentile
from itemlens_datasets import bundled
from itemlens_server.engine.manifest import TextPreprocessing
from itemlens_server.engine.texts import Tokenizer
from itemlens_server.errors import InvalidArgument

TEXTS = 4096
# Product texts have a mean of 57 tokens and a 95th percentile of 148: a log-normal with this median and this sigma.
MEDIAN_TOKENS, SIGMA, LEAST_TOKENS, MOST_TOKENS = 43.0, 0.75, 6, 250
TOKENS_A_WORD = 1.28  # of the bundled catalogue's English, punctuation counted


@dataclass(frozen=True)
class Workload:
    """Distinct texts, and the number of tokens of each, special and prefix tokens included."""

    texts: Sequence[str]
    tokens: Sequence[int]

    def calls(self, size: int) -> list[list[str]]:
        """The texts in calls of `size`. A rest at the end is not sent."""
        return [list(self.texts[at : at + size]) for at in range(0, len(self.texts) - size + 1, size)]

    def describe(self) -> str:
        """One line for the report."""
        tokens = np.asarray(self.tokens, np.float64)
        return (
            f"{len(self.texts):,} distinct texts, tokens: mean {tokens.mean():.0f}, "
            f"p50 {percentile(tokens, 50):.0f}, p95 {percentile(tokens, 95):.0f}, most {tokens.max():.0f}"
        )


def workload(texts: Sequence[str], space: Path, preprocessing: TextPreprocessing) -> Workload:
    """`texts` with their numbers of tokens by the tokenizer of the space in directory `space`."""
    tokenizer = Tokenizer.load(space, preprocessing)
    return Workload(texts, [len(tokenizer.encode(text, "item")) for text in texts])


def read_texts(file: Path) -> list[str]:
    """The distinct lines of a file, without white space around them and without blank lines.

    Raises:
        InvalidArgument: there is no text.
    """
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    texts = list(dict.fromkeys(line for line in lines if line))
    if not texts:
        raise InvalidArgument(f"{file} has no text; write one text per line")
    return texts


def make_texts(count: int, seed: int) -> list[str]:
    """Texts made of the bundled catalogue's English titles and sentences, the same for the same seed."""
    rng = random.Random(seed)
    english = [item for item in bundled.items() if item.language == "en"]
    titles = [item.title for item in english]
    sentences = [f"{part.strip(' .')}." for item in english for part in item.description.split(". ")]
    texts: dict[str, None] = {}
    while len(texts) < count:
        tokens = min(max(rng.lognormvariate(math.log(MEDIAN_TOKENS), SIGMA), LEAST_TOKENS), MOST_TOKENS)
        words = _words(rng, titles, sentences)
        texts.setdefault(" ".join(next(words) for _ in range(max(3, round(tokens / TOKENS_A_WORD)))))
    return list(texts)


def texts_of(tokens: int, count: int, seed: int, space: Path, preprocessing: TextPreprocessing) -> list[str]:
    """Texts of exactly `tokens` tokens each, made of words that are one token.

    Raises:
        InvalidArgument: the special tokens and the prefix leave no room for a word.
    """
    tokenizer = Tokenizer.load(space, preprocessing)
    once, twice = (len(tokenizer.encode(text, "item")) for text in ("tea", "tea tea"))
    around = 2 * once - twice  # special tokens and prefix
    if tokens <= around:
        raise InvalidArgument(
            f"tokens is {tokens}: it must be more than {around}, the special and prefix tokens", "tokens"
        )
    words = sorted({word for text in make_texts(200, seed) for word in text.split() if word.isalpha()})
    single = [word for word in words if len(tokenizer.encode(word, "item")) == around + 1]
    rng = random.Random(seed)
    return [" ".join(rng.choices(single, k=tokens - around)) for _ in range(count)]


def _words(rng: random.Random, titles: Sequence[str], sentences: Sequence[str]) -> Iterator[str]:
    """A title, then sentences, without end."""
    yield from f"{rng.choice(titles)}:".split()
    while True:
        yield from rng.choice(sentences).split()
