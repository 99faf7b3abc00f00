"""The use cases, on dataclasses and numpy arrays, callable in process, without gRPC and protobuf.

`rpc` imports only from here.
"""

from __future__ import annotations

from itemlens_server.attributes.boosts import Boost
from itemlens_server.attributes.facets import Facet, WantedFacet
from itemlens_server.attributes.filters import (
    All,
    AnyOf,
    Compare,
    Filter,
    Has,
    Literal,
    Name,
    Near,
    Not,
    Now,
    OneOf,
)
from itemlens_server.attributes.filters import check_depth as check_filter_depth
from itemlens_server.attributes.filters import check_size as check_filter_size
from itemlens_server.attributes.parser import parse as parse_filter
from itemlens_server.attributes.shapes import (
    AnyShape,
    ByItem,
    ByValue,
    HalfLife,
    Linear,
    Log,
    Steps,
)
from itemlens_server.engine.call_context import CallContext, Priority
from itemlens_server.engine.encoder import Encoder
from itemlens_server.engine.modalities.external import VersionedVector
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.caps import Cap
from itemlens_server.fusion.history import Interaction
from itemlens_server.fusion.parts import ChannelSum, Part
from itemlens_server.fusion.query import ChannelChange
from itemlens_server.observer import FinishedCall, GuardedObserver, Observer
from itemlens_server.services.batch_encoder import BatchEncoder, BatchRow, EncodingBatch
from itemlens_server.services.boosts import BoostChoice
from itemlens_server.services.catalogue import DEFAULT as DEFAULT_COLLECTION
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import (
    Content,
    ContentEncoder,
    EncodedContent,
    Encoding,
    Outcome,
    stored_content,
)
from itemlens_server.services.explainer import Explainer, ExplainOptions, ExplainResult, Explanation
from itemlens_server.services.fuser import FusedInput, FuseInput, Fuser
from itemlens_server.services.heat_maps import HeatMap, HeatMapFormat
from itemlens_server.services.items import ItemInput, WriteOutcome
from itemlens_server.services.query import EncodingQuery, QueryReader, QueryRequest
from itemlens_server.services.recommend_options import RecommendOptions
from itemlens_server.services.recommender import Recommender
from itemlens_server.services.results import ListChange, RecommendedItem, RecommendResult
from itemlens_server.services.rule_checks import check_rules
from itemlens_server.services.updates import ItemUpdate, Updating
from itemlens_server.services.use_cases import UseCases
from itemlens_server.services.vectors import VectorInput
from itemlens_server.storage.collection_settings import (
    SETTINGS,
    Attribute,
    CollectionSettings,
    Exploration,
    Lexical,
    OwnType,
)
from itemlens_server.storage.records import EventRecord, StoredItem
from itemlens_server.storage.rules import Pin, Rule
from itemlens_server.storage.streams import StreamStep

__all__ = [
    "DEFAULT_COLLECTION",
    "SETTINGS",
    "All",
    "AnyOf",
    "AnyShape",
    "Attribute",
    "BatchEncoder",
    "BatchRow",
    "Boost",
    "BoostChoice",
    "ByItem",
    "ByValue",
    "CallContext",
    "Cap",
    "Catalogue",
    "ChannelChange",
    "ChannelSum",
    "Collection",
    "CollectionSettings",
    "Compare",
    "Content",
    "ContentEncoder",
    "EncodedContent",
    "Encoder",
    "Encoding",
    "EncodingBatch",
    "EncodingQuery",
    "EventRecord",
    "ExplainOptions",
    "ExplainResult",
    "Explainer",
    "Explanation",
    "Exploration",
    "Facet",
    "Filter",
    "FinishedCall",
    "FuseInput",
    "FusedInput",
    "Fuser",
    "GuardedObserver",
    "HalfLife",
    "Has",
    "HeatMap",
    "HeatMapFormat",
    "Interaction",
    "ItemInput",
    "ItemUpdate",
    "Lexical",
    "Linear",
    "ListChange",
    "Literal",
    "Log",
    "Name",
    "Near",
    "Not",
    "Now",
    "Observer",
    "OneOf",
    "Outcome",
    "OwnType",
    "Part",
    "Pin",
    "Priority",
    "QueryReader",
    "QueryRequest",
    "RecommendOptions",
    "RecommendResult",
    "RecommendedItem",
    "Recommender",
    "Rule",
    "Space",
    "Steps",
    "StoredItem",
    "StreamStep",
    "Updating",
    "UseCases",
    "VectorInput",
    "VersionedVector",
    "WantedFacet",
    "WriteOutcome",
    "check_filter_depth",
    "check_filter_size",
    "check_rules",
    "parse_filter",
    "stored_content",
]
