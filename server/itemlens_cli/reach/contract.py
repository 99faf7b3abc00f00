"""The calls and fields that both sides know, by reflection: no call tells the server's version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import itemlens
from itemlens._transport import Metadata
from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from itemlens_cli.reach.rows import Row, named

FILES = (common_pb2, itemlens_pb2, catalog_pb2)


def check(channel: grpc.Channel, key: Metadata, timeout: float) -> Row:
    """Compare what both sides know."""
    what, own = "version", f"this client is {itemlens.__version__}; the server's is not told"
    try:
        served = set(_known(_served(channel, key, timeout)))
    except grpc.RpcError:
        return what, own, ""
    here = set(_known(_files()))
    if lacking := sorted(here - served):
        state = f"{own}, and it does not know {named(lacking)}"
        return what, state, "update the server, or use the client of its version"
    if more := sorted(served - here):
        return what, f"{own}, but it is newer: it knows {named(more)}, too", ""
    return what, f"{own}, but it has the same calls and fields", ""


def _files() -> Iterator[FileDescriptorProto]:
    for module in FILES:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        yield file


def _served(channel: grpc.Channel, key: Metadata, timeout: float) -> list[FileDescriptorProto]:
    """The server's files, as far as it has them.

    Raises:
        grpc.RpcError: it has no reflection, or this key is not let in.
    """
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(file_by_filename=module.DESCRIPTOR.name) for module in FILES
    ]
    found: dict[str, FileDescriptorProto] = {}
    for reply in stub.ServerReflectionInfo(iter(asked), metadata=key, timeout=timeout):
        for data in reply.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            found[file.name] = file
    return [found[module.DESCRIPTOR.name] for module in FILES if module.DESCRIPTOR.name in found]


def _known(files: Iterable[FileDescriptorProto]) -> Iterator[str]:
    """Names of calls, fields and values."""
    for file in files:
        yield from (f"{service.name}.{call.name}" for service in file.service for call in service.method)
        yield from (f"{enum.name}.{value.name}" for enum in file.enum_type for value in enum.value)
        yield from _fields(file.message_type, "")


def _fields(messages: Iterable[DescriptorProto], prefix: str) -> Iterator[str]:
    for message in messages:
        name = prefix + message.name
        yield from (f"{name}.{field.name}" for field in message.field)
        yield from (f"{name}.{enum.name}.{value.name}" for enum in message.enum_type for value in enum.value)
        yield from _fields(message.nested_type, f"{name}.")
