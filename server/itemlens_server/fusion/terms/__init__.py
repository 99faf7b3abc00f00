"""The terms of the score. Scoring, candidates, explanations, sentences and fitting use this list only.

A new term is one module with one class, and an entry in `TERMS`.
"""

from __future__ import annotations

from itemlens_server.fusion.terms.attribute import Attribute
from itemlens_server.fusion.terms.behaviour import Behaviour, Succession
from itemlens_server.fusion.terms.boost import Boosted
from itemlens_server.fusion.terms.channels import Channels
from itemlens_server.fusion.terms.lexical import Lexical
from itemlens_server.fusion.terms.past_term import PastTerm
from itemlens_server.fusion.terms.popularity import Popularity
from itemlens_server.fusion.terms.rejection import Rejection
from itemlens_server.fusion.terms.repeat import Repeat
from itemlens_server.fusion.terms.term import Term

TERMS: tuple[type[Term], ...] = (
    Channels,
    Lexical,
    Attribute,
    Behaviour,
    Succession,
    Rejection,
    Repeat,
    Popularity,
    Boosted,
)

PAST_KINDS = tuple(term.kind for term in TERMS if issubclass(term, PastTerm))

__all__ = [
    "PAST_KINDS",
    "TERMS",
    "Attribute",
    "Behaviour",
    "Boosted",
    "Channels",
    "Lexical",
    "PastTerm",
    "Popularity",
    "Rejection",
    "Repeat",
    "Succession",
    "Term",
]
