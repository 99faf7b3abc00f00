"""The neural yardstick for sequences: SASRec with cross-entropy over all items.

W. Kang, J. McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018. The model is theirs: item and position
embeddings, causal self-attention, the next item by dot product with the item embeddings. The loss is the later, better
one: a softmax over the whole catalogue in place of one sampled negative (A. Klenitskiy, A. Vasilev, "Turning Dross Into
Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023). It needs torch.

Several short sequences share one row of a batch, and attention stays within each of them. So no time goes into padding.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Ids: TypeAlias = NDArray[np.int64]
IGNORED = -100
"""Target of a place that has none: the default `ignore_index` of torch's cross-entropy."""


@dataclass(frozen=True)
class Settings:
    """What is tuned. `length` is the number of newest items that the model sees."""

    width: int = 64
    layers: int = 2
    heads: int = 2
    dropout: float = 0.5
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    smoothing: float = 0.0
    length: int = 50
    norm_first: bool = False
    from_end: bool = True
    """Positions count from the newest item (as in the paper's code, which pads on the left) or from the oldest."""


class Rows(NamedTuple):
    """Sequences side by side in rows; int64 [rows, length] each. `sequence` numbers the sequences within a row."""

    item: Tensor
    position: Tensor
    sequence: Tensor
    target: Tensor


class Block(nn.Module):
    """One transformer layer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width = settings.width
        self.heads, self.dropout, self.norm_first = settings.heads, settings.dropout, settings.norm_first
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm_attention, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(settings.dropout)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """The layer's output; `h` [rows, length, width], `mask` bool [rows, 1, length, length], true: may look."""
        if self.norm_first:
            h = h + self._attend(self.norm_attention(h), mask)
            return h + self._feed(self.norm_feed(h))
        h = self.norm_attention(h + self._attend(h, mask))
        out: Tensor = self.norm_feed(h + self._feed(h))
        return out

    def _attend(self, h: Tensor, mask: Tensor) -> Tensor:
        rows, length, width = h.shape
        q, k, v = self.qkv(h).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        seen = nn.functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        out: Tensor = self.drop(self.out(seen.transpose(1, 2).reshape(rows, length, width)))
        return out

    def _feed(self, h: Tensor) -> Tensor:
        out: Tensor = self.drop(self.outer(self.drop(nn.functional.gelu(self.inner(h)))))
        return out


class SASRec(nn.Module):
    """Scores of all `items` for what comes after each place."""

    def __init__(self, items: int, settings: Settings) -> None:
        super().__init__()
        self.items, self.settings = items, settings
        self.item = nn.Embedding(items + 1, settings.width)  # the last one pads
        self.position = nn.Embedding(settings.length, settings.width)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.layers))
        self.norm_in, self.norm_out = nn.LayerNorm(settings.width), nn.LayerNorm(settings.width)
        self.drop = nn.Dropout(settings.dropout)
        for embedding in (self.item, self.position):
            nn.init.normal_(embedding.weight, 0.0, 0.02)

    def forward(self, item: Tensor, position: Tensor, sequence: Tensor) -> Tensor:
        """The state after each place; float32 [rows, length, width]."""
        h = self.item(item) + self.position(position)
        h = self.drop(h if self.settings.norm_first else self.norm_in(h))
        length = item.shape[1]
        earlier = torch.ones(length, length, dtype=torch.bool, device=item.device).tril()
        mask = (sequence[:, :, None] == sequence[:, None, :]) & earlier
        for block in self.blocks:
            h = block(h, mask[:, None])
        out: Tensor = self.norm_out(h) if self.settings.norm_first else h
        return out

    def scores(self, state: Tensor) -> Tensor:
        """Scores of all items; float32 [..., items]."""
        return state @ self.item.weight[: self.items].T

    def loss(self, rows: Rows) -> Tensor:
        """Mean cross-entropy of the next items."""
        state = self(rows.item, rows.position, rows.sequence).flatten(0, 1)
        return nn.functional.cross_entropy(
            self.scores(state), rows.target.flatten(), label_smoothing=self.settings.smoothing
        )


class Pairs:
    """All pairs (item, next item) of sequences, cut into pieces that fit into a row.

    A sequence longer than `settings.length` is cut from its end into several pieces.
    """

    def __init__(self, sequences: Sequence[Ids], items: int, settings: Settings) -> None:
        self.padding, self.length = items, settings.length
        spans = [
            (n, max(0, stop - self.length), stop)
            for n, sequence in enumerate(sequences)
            for stop in range(len(sequence) - 1, 0, -self.length)
        ]
        self.item = np.concatenate([sequences[n][start:stop] for n, start, stop in spans])
        self.target = np.concatenate([sequences[n][start + 1 : stop + 1] for n, start, stop in spans])
        self.sizes = np.asarray([stop - start for _, start, stop in spans])
        self.starts = np.cumsum(self.sizes) - self.sizes
        place = np.arange(len(self.item)) - np.repeat(self.starts, self.sizes)
        self.position = np.repeat(self.sizes, self.sizes) - 1 - place if settings.from_end else place

    def rows(self, order: Ids) -> Rows:
        """The pieces in this order, each in the current row if it still fits and else in a new one; on the CPU."""
        row, column, first = 0, 0, []
        for size in self.sizes[order].tolist():
            if column + size > self.length:
                row, column = row + 1, 0
            first.append(row * self.length + column)
            column += size
        sizes, shape = self.sizes[order], (row + 1, self.length)
        place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        source, target = (np.repeat(start, sizes) + place for start in (self.starts[order], first))

        def spread(values: Ids, empty: int) -> Tensor:
            filled = np.full(shape, empty)
            filled.reshape(-1)[target] = values
            return torch.from_numpy(filled)

        return Rows(
            spread(self.item[source], self.padding),
            spread(self.position[source], 0),
            spread(np.repeat(np.arange(len(sizes)), sizes), -1),
            spread(self.target[source], IGNORED),
        )


def epochs(
    model: SASRec, sequences: Sequence[Ids], *, seed: int, device: str = "cpu", places: int = 4096
) -> Iterator[int]:
    """Train without end: yields the number of epochs so far after each, with the model in place.

    `places` is the size of a batch in pairs (item, next item), the few empty places included.
    """
    settings, rng = model.settings, np.random.default_rng(seed)
    pairs, size = Pairs(sequences, model.items, settings), max(1, places // settings.length)
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    for done in itertools.count(1):
        model.train()
        rows = Rows(*(part.to(device) for part in pairs.rows(rng.permutation(len(pairs.sizes)))))
        # What is left over after the last whole batch waits for the next epoch, which has another order.
        for n in range(max(1, len(rows.item) // size)):
            optimiser.zero_grad()
            loss = model.loss(Rows(*(part[n * size : (n + 1) * size] for part in rows)))
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
        yield done


@torch.no_grad()
def score(model: SASRec, histories: Sequence[Ids], device: str = "cpu") -> NDArray[np.float32]:
    """The scores of all items after histories that are not empty, oldest item first; float32 [histories, items]."""
    model.eval()
    newest = [history[-model.settings.length :] for history in histories]
    shape = (len(newest), max(len(history) for history in newest))
    item, position = np.full(shape, model.items), np.zeros(shape, np.int64)
    for row, history in enumerate(newest):
        place = np.arange(len(history))
        item[row, : len(history)] = history
        position[row, : len(history)] = place[::-1] if model.settings.from_end else place
    inputs = (torch.from_numpy(part).to(device) for part in (item, position, np.zeros(shape, np.int64)))
    last = [len(history) - 1 for history in newest]  # what pads comes later, so no place looks at it
    state = model(*inputs)[torch.arange(len(last)), torch.tensor(last)]
    scores: NDArray[np.float32] = model.scores(state).cpu().numpy()
    return scores
