"""The terms of the score. Scoring, candidates, explanations, sentences and fitting use this list only.

A new term is one module with one class, and an entry in `TERMS`.
"""

from __future__ import annotations

from itemlens_server.fusion.terms.behaviour import Behaviour
from itemlens_server.fusion.terms.channels import Channels
from itemlens_server.fusion.terms.term import Histories, Term

TERMS: tuple[type[Term], ...] = (Channels, Behaviour)

__all__ = ["TERMS", "Behaviour", "Channels", "Histories", "Term"]
