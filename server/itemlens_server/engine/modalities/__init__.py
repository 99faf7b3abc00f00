"""The modalities: a module and a line of the registry each."""

from __future__ import annotations

from itemlens_server.engine.encoder import Modality
from itemlens_server.engine.modalities.image import IMAGE
from itemlens_server.engine.modalities.text import TEXT
from itemlens_server.errors import FailedPrecondition

MODALITIES: dict[str, Modality] = {modality.kind: modality for modality in (TEXT, IMAGE)}


def modality_of_kind(kind: str) -> Modality:
    """The modality that the manifest calls `kind`.

    Raises:
        FailedPrecondition: this server has none.
    """
    if kind not in MODALITIES:
        raise FailedPrecondition(
            f"this server knows no channel of kind {kind!r}, only {', '.join(MODALITIES)}: "
            "serve the space with a version that does"
        )
    return MODALITIES[kind]


def modality_of_field(field: str) -> Modality | None:
    """The modality of the contents that are given in the contract's `field`; None for no field."""
    return next((modality for modality in MODALITIES.values() if modality.field == field), None)
