"""`itemlens fit`: a new head for a collection, from its stored vectors, attributes and events, and a report.

`reading` reads the collection, `content` fits channels and searches, `behaviour` fits what users take, `fitting` puts
both together and decides whether they are better than what serves now, `report` says what came out.
"""

from __future__ import annotations

from itemlens_server.services.fitting.fitting import fit
from itemlens_server.services.fitting.report import Figure, FitReport, Step, Verdict, WeightLine

__all__ = ["Figure", "FitReport", "Step", "Verdict", "WeightLine", "fit"]
