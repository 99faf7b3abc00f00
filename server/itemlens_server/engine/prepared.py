"""Contents prepared for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from itemlens_server.errors import Warning
from itemlens_server.fusion.parts import Places

ModelInput = TypeVar("ModelInput")


class Layout(ABC):
    """The places in a content that the rows of its z belong to."""

    @abstractmethod
    def places(self) -> Places:
        """Return the places, and the place of each row of z. Computed on demand, since only explanations need it."""


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ModelInput]):
    """A content prepared for the model. `stored`: the form that is stored, empty if not requested."""

    model_input: ModelInput
    layout: Layout
    stored: bytes = b""
    warnings: tuple[Warning, ...] = ()
