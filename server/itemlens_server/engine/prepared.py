"""A content that is ready for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from itemlens_server.errors import Warning
from itemlens_server.fusion.parts import Places

ModelInput = TypeVar("ModelInput")


class Layout(ABC):
    """Where in a content the rows of its z stand."""

    @abstractmethod
    def places(self) -> Places:
        """Its places, and which of them each row of z belongs to. Only explanations ask, so it is worked out then."""


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ModelInput]):
    """A content that is ready for the model. `stored`: what the store keeps of it, empty if not asked for."""

    model_input: ModelInput
    layout: Layout
    stored: bytes = b""
    warnings: tuple[Warning, ...] = ()
