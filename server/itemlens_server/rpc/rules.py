"""Rules of a collection's settings as messages."""

from __future__ import annotations

from itemlens.v1 import catalog_pb2
from itemlens_server.rpc.messages import seconds, timestamp
from itemlens_server.services import Pin, Rule


def rule(message: catalog_pb2.Rule) -> Rule:
    """The rule of a message, unchecked. One without a kind has the kind ""."""
    kind = message.WhichOneof("kind")
    limited = message.cap if kind == "cap" else message.floor
    return Rule(
        message.name,
        kind.upper() if kind else "",
        seconds(message.start_time) if message.HasField("start_time") else None,
        seconds(message.end_time) if message.HasField("end_time") else None,
        tuple(message.surfaces),
        message.filter,
        tuple(Pin(pin.position, pin.item_id) for pin in message.pin.pins),
        tuple(message.block.item_ids),
        message.block.all_matching,
        message.cap.attribute,
        limited.places,
        limited.share,
    )


def rule_message(own: Rule) -> catalog_pb2.Rule:
    """A rule as a message."""
    message = catalog_pb2.Rule(
        name=own.name, surfaces=own.surfaces, filter=own.filter,
        start_time=timestamp(own.start), end_time=timestamp(own.end),
    )  # fmt: skip
    if own.kind == "PIN":
        message.pin.pins.extend(
            catalog_pb2.Pin(position=pin.position, item_id=pin.item_id) for pin in own.pins
        )
    elif own.kind == "BLOCK":
        message.block.item_ids.extend(own.item_ids)
        message.block.all_matching = own.all_matching
    else:
        limited = message.cap if own.kind == "CAP" else message.floor
        if own.share:
            limited.share = own.share
        else:
            limited.places = own.places
        if own.kind == "CAP":
            message.cap.attribute = own.attribute
    return message
