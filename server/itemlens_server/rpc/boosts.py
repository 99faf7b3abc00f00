"""Conversion between the contract's boosts and the services'. Nothing is checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from itemlens.v1 import common_pb2
from itemlens_server.rpc.messages import Decoded, seconds, timestamp
from itemlens_server.services import (
    AnyShape,
    Boost,
    BoostChoice,
    ByItem,
    ByValue,
    HalfLife,
    Linear,
    Log,
    Steps,
)

_SHAPES: Mapping[str, Callable[[Any], AnyShape]] = {
    "linear": lambda m: Linear(m.slope, m.origin),
    "log": lambda m: Log(m.nats, m.scale or 1.0),
    "half_life": lambda m: HalfLife(m.nats, m.half_life, m.origin),
    "steps": lambda m: Steps(tuple((step.start, step.nats) for step in m.steps)),
    "values": lambda m: ByValue(dict(m.nats)),
    "items": lambda m: ByItem(dict(m.nats)),
}


class _Request(Protocol):
    """A request for a list, or for explanations of one."""

    @property
    def boosts(self) -> Sequence[common_pb2.Boost]: ...

    @property
    def without_boosts(self) -> Sequence[str]: ...


def choice(request: _Request) -> BoostChoice:
    """The boosts of a request."""
    return BoostChoice(boosts(request.boosts), tuple(request.without_boosts))


def boosts(messages: Sequence[common_pb2.Boost]) -> Sequence[Boost]:
    """Boosts as sent."""
    return Decoded(messages, _boost)


def message(boost: Boost) -> common_pb2.Boost:
    """A boost of the settings of a collection as a message."""
    default = Boost("")
    told = common_pb2.Boost(
        name=boost.name, attribute=boost.attribute, missing_nats=boost.missing_nats, by_default=boost.by_default,
        least_nats=None if boost.least_nats == default.least_nats else boost.least_nats,
        most_nats=None if boost.most_nats == default.most_nats else boost.most_nats,
        from_time=timestamp(boost.from_time),
    )  # fmt: skip
    match boost.shape:
        case Linear(slope, origin):
            told.linear.slope, told.linear.origin = slope, origin
        case Log(nats, scale):
            told.log.nats, told.log.scale = nats, scale
        case HalfLife(nats, half_life, origin):
            told.half_life.nats, told.half_life.half_life, told.half_life.origin = nats, half_life, origin
        case Steps(steps):
            told.steps.steps.extend(common_pb2.Step(start=at, nats=nats) for at, nats in steps)
        case ByValue(nats_by_value):
            told.values.nats.update(nats_by_value)
    return told


def _boost(message: common_pb2.Boost) -> Boost:
    kind = message.WhichOneof("shape")
    default = Boost("")
    return Boost(
        message.name,
        message.attribute,
        _SHAPES[kind](getattr(message, kind)) if kind else None,
        message.missing_nats,
        message.least_nats if message.HasField("least_nats") else default.least_nats,
        message.most_nats if message.HasField("most_nats") else default.most_nats,
        seconds(message.from_time) if message.HasField("from_time") else None,
        message.by_default,
    )
