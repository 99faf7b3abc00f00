"""The registry of modalities. Each has a module."""

from __future__ import annotations

from itemlens_server.engine.encoder import Modality
from itemlens_server.engine.modalities.external import EXTERNAL
from itemlens_server.engine.modalities.image import IMAGE
from itemlens_server.engine.modalities.text import TEXT
from itemlens_server.errors import FailedPrecondition

MODALITIES: dict[str, Modality] = {modality.kind: modality for modality in (TEXT, IMAGE, EXTERNAL)}


def modality_of_kind(kind: str) -> Modality:
    """Return the modality with the manifest's `kind`.

    Raises:
        FailedPrecondition: this server has no such modality.
    """
    if kind not in MODALITIES:
        raise FailedPrecondition(
            f"this server does not support channels of kind {kind!r}, only {', '.join(MODALITIES)}: "
            "serve the space with a version that does"
        )
    return MODALITIES[kind]


def modality_of_field(field: str) -> Modality | None:
    """Return the modality of the contract's `field` of Content; None if there is none."""
    return next((modality for modality in MODALITIES.values() if modality.field == field), None)
