"""Our own server as a target."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import numpy as np

from itemlens._transport import channel_options
from itemlens.v1 import common_pb2, itemlens_pb2, itemlens_pb2_grpc
from itemlens_bench.speed.grpc_call import BytesCaller
from itemlens_bench.speed.target import Array, Target
from itemlens_server.errors import FailedPrecondition
from itemlens_server.process import healthy, open_environment, tail

START_SECONDS = 180.0
ENCODE = "/itemlens.v1.ItemLens/Encode"
# Later rounds send the same texts again. The cache is off, so that encoding is measured.
NO_CACHE = {"embedding_cache_bytes": "0"}


class EncodeCaller(BytesCaller):
    """Encode, for the texts of one channel."""

    def __init__(self, channel: str, address: str) -> None:
        super().__init__(address, ENCODE)
        self._text_channel = channel

    def pack(self, content: Sequence[str]) -> bytes:
        """See Caller."""
        inputs = [common_pb2.Content(channel=self._text_channel, text=text) for text in content]
        return itemlens_pb2.EncodeRequest(inputs=inputs).SerializeToString()

    def unpack(self, reply: bytes) -> Array:
        """See Caller."""
        [matrix] = itemlens_pb2.EncodeResponse.FromString(reply).matrices
        return np.frombuffer(matrix.data, np.float32).reshape(matrix.rows, matrix.dimension)


@dataclass(frozen=True)
class Ours:
    """Our server, to be started.

    folder:   for its store and its log; in an empty folder it creates an empty store.
    settings: the server's settings, by name; they take precedence over the environment.
    serves:   whether a server at an address serves
    """

    models: Path
    space: str
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    serves: Callable[[str], bool] = healthy

    def start(self, port: int) -> subprocess.Popen[bytes]:
        """Start it; see Target.

        Raises:
            FailedPrecondition: the server ended, or does not serve in time; the message has the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "server.log"
        command = [
            *(sys.executable, "-m", "itemlens_cli", "serve", "--listen", f"127.0.0.1:{port}"),
            *("--models", str(self.models), "--data", str(self.folder), "--space", self.space),
        ]
        settings = {
            f"ITEMLENS_{name.upper()}": value for name, value in (NO_CACHE | {**self.settings}).items()
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env=open_environment() | settings,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self.serves(f"127.0.0.1:{port}"):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise FailedPrecondition(f"the server does not serve; the end of {log}:\n{tail(log)}")
            time.sleep(0.1)
        return process


def target(ours: Ours, channel: str, name: str) -> Target:
    """Our server as a target. `channel`: the space's text channel."""
    return Target(name, ours.start, partial(EncodeCaller, channel))


def statistics(address: str, channel: str) -> Mapping[str, float] | None:
    """The counters of the encoder of `channel` since the server's start, by the names of EncoderStatistics, with the
    cache's hits. None if the server has no counters (a peer, an older server)."""
    with grpc.insecure_channel(address, options=channel_options(address)) as connection:
        stub = itemlens_pb2_grpc.ItemLensStub(connection)
        try:
            reply = stub.GetStatistics(itemlens_pb2.GetStatisticsRequest(), timeout=5)
        except grpc.RpcError:
            return None
    counted: dict[str, float] = {"cache_hits": reply.cache_hits}
    for encoder in reply.encoders:
        if encoder.channel == channel:
            counted |= {f.name: v for f, v in encoder.ListFields() if not isinstance(v, str)}
    return counted
