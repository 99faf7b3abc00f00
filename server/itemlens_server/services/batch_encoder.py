"""Encode a batch of contents to raw vectors, as one matrix per channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.manifest import Purpose
from itemlens_server.engine.modalities import modality_of_field
from itemlens_server.engine.repository import Space
from itemlens_server.errors import ItemlensError, Warning
from itemlens_server.fusion.head import Array, unit
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, Encoding
from itemlens_server.services.limits import check_length

# The most characters of a call's texts that are tokenised on the event loop, which takes about 0.3 ms.
LIGHT_CHARACTERS = 2000


@dataclass(frozen=True)
class BatchRow:
    """The result of one content: its row in the matrix of its channel, or an error."""

    row: int = 0
    error: ItemlensError | None = None
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True)
class EncodingBatch:
    """A batch that is being encoded."""

    space: Space
    channels: tuple[str, ...]
    encoding: Encoding

    def results(self, unit_length: bool) -> tuple[list[BatchRow], dict[str, Array]]:
        """Wait for the result of each content and for v by channel, float32 [rows, dim]."""
        rows: list[BatchRow] = []
        vectors: dict[str, list[Array]] = {}
        for channel, outcome in zip(self.channels, self.encoding.results(), strict=True):
            if isinstance(outcome, EncodedContent):
                own = vectors.setdefault(channel, [])
                rows.append(BatchRow(len(own), None, outcome.warnings))
                own.append(outcome.v)
            else:
                rows.append(BatchRow(error=outcome))
        matrices = {channel: np.stack(own) for channel, own in vectors.items()}
        return rows, {channel: unit(v) if unit_length else v for channel, v in matrices.items()}


@dataclass(frozen=True)
class BatchEncoder:
    """Encodes batches with the encoders of a space."""

    catalogue: Catalogue
    encoder: ContentEncoder
    settings: Settings

    def is_light(self, space: str, contents: Sequence[Content]) -> bool:
        """Whether `begin` takes less time than a switch to a thread: a few short texts for a loaded space."""
        if space or len(contents) > LIGHT_CHARACTERS:
            return False
        characters = 0
        for content in contents:
            modality = modality_of_field(content.field)
            characters += len(content.value)
            if characters > LIGHT_CHARACTERS or (modality is not None and not modality.quick):
                return False
        return True

    def begin(
        self, space_name: str, contents: Sequence[Content], purpose: Purpose, call: CallContext
    ) -> EncodingBatch:
        """Start to encode. Returns when all contents are queued.

        Raises:
            InvalidArgument: there are no or too many contents.
            Overloaded: the queue has no room.
        """
        check_length(contents, self.settings.max_inputs, "inputs")
        space = self.catalogue.space(space_name)
        channels = tuple(content.channel for content in contents)
        return EncodingBatch(space, channels, self.encoder.begin(space, contents, purpose, call))
