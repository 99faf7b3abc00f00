"""All use cases over one catalogue, for the server and for programs that call them in process."""

from __future__ import annotations

from dataclasses import dataclass

from itemlens_server.config import Settings
from itemlens_server.services.batch_encoder import BatchEncoder
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.encoding import ContentEncoder
from itemlens_server.services.explainer import Explainer
from itemlens_server.services.fuser import Fuser
from itemlens_server.services.live_recall import LiveRecall
from itemlens_server.services.query import QueryReader
from itemlens_server.services.recommender import Recommender


@dataclass(frozen=True)
class UseCases:
    """The use cases; see the class of each."""

    catalogue: Catalogue
    content_encoder: ContentEncoder
    batch_encoder: BatchEncoder
    fuser: Fuser
    recommender: Recommender
    explainer: Explainer

    @staticmethod
    def over(catalogue: Catalogue, encoder: ContentEncoder, settings: Settings) -> UseCases:
        """The use cases of a catalogue."""
        query_reader = QueryReader(catalogue, encoder, settings)
        return UseCases(
            catalogue,
            encoder,
            BatchEncoder(catalogue, encoder, settings),
            Fuser(catalogue, encoder, settings),
            Recommender(catalogue, query_reader, settings, LiveRecall(settings)),
            Explainer(catalogue, encoder, query_reader, settings),
        )
