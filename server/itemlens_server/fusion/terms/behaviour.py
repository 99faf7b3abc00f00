"""BEHAVIOUR, "who took these also took that", and SEQUENCE, "that was taken soon after these"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from itemlens_server.fusion.terms.past_term import TableTerm

BEHAVIOUR = "BEHAVIOUR"
SEQUENCE = "SEQUENCE"


class Behaviour(TableTerm):
    """phi_ji = B_ji of EASE (see `ease`)."""

    kind = BEHAVIOUR
    kinds: ClassVar[tuple[str, ...]] = (BEHAVIOUR,)
    table_name = "behaviour"
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        BEHAVIOUR: {"en": "{} also took this", "zh": "{}也选了它"}
    }
    counted: ClassVar[Mapping[str, Mapping[str, str]]] = {
        BEHAVIOUR: {"en": "{n} {people} who took {}", "zh": "选过{}的人中有{n}人"}
    }


class Succession(TableTerm):
    """phi_ji = T_ji, the directed table (see `sequence`)."""

    kind = SEQUENCE
    kinds: ClassVar[tuple[str, ...]] = (SEQUENCE,)
    table_name = "sequence"
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        SEQUENCE: {"en": "people often take this soon after {}", "zh": "选了{}的人不久后常选它"}
    }
    counted: ClassVar[Mapping[str, Mapping[str, str]]] = {
        SEQUENCE: {"en": "{} ({n} took both)", "zh": "{}（{n}人选过两者）"}
    }
