"""Metrics, the call log, request ids, probes and the lame duck of a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import itemlens
from itemlens.v1 import catalog_pb2, itemlens_pb2
from support.serving import Server, sample_items
from support.spaces import Tiny

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


class Watched:
    """A server with its HTTP port and a file of its call log."""

    def __init__(self, tiny: Tiny, folder: Path, **settings: Any) -> None:
        self.calls = folder / "calls.log"
        about = {"monitoring": "127.0.0.1:0", "call_log": self.calls, "call_log_share": 1.0, **settings}
        self.server = Server(tiny.models, folder / "data", **about)
        line = next(line for line in self.server.log if "monitoring on port" in line)
        [port] = re.findall(r"monitoring on port (\d+)", line)
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[tuple[str, str], float]:
        """The samples, by name and labels."""
        samples = [SAMPLE.match(line) for line in self.get("/metrics")[1].splitlines() if line[0] != "#"]
        return {(m[1], m[2] or ""): float(m[3]) for m in samples if m}

    def lines(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines of the call log with these values, once there is one."""
        for _ in range(100):
            found = [json.loads(line) for line in self.calls.read_text().splitlines()]
            if matching := [f for f in found if all(f.get(k) == v for k, v in wanted.items())]:
                return matching
            time.sleep(0.05)
        raise AssertionError(f"no line with {wanted}: {self.calls.read_text()}")


@pytest.fixture(scope="module")
def watched(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    # Lists that are not exact are compared: these are of graphs that are searched for few candidates.
    watched = Watched(
        tiny, tmp_path_factory.mktemp("watched"), live_recall_share=1.0, candidates_per_channel=4
    )
    with watched.server:
        with watched.server.client(collection="shop") as client:
            client.create_collection("shop")
            client.upsert(sample_items(200)).raise_for_errors()
            client.recommend(text="red shoe")
        yield watched


def test_calls_batches_and_state_are_counted(watched: Watched) -> None:
    found = watched.metrics()
    assert found["itemlens_calls_total", 'code="OK",method="Recommend"'] == 1
    assert found["itemlens_call_entries_total", 'method="UpsertItems"'] == 200
    assert found["itemlens_items", 'collection="shop"'] == 200
    assert found["itemlens_store_bytes", 'file="itemlens.db-wal"'] > 0
    assert found["itemlens_disk_free_bytes", ""] > 0 and found["process_resident_memory_bytes", ""] > 1e7
    names = {name for name, _ in found}
    for name in (
        "batch_inputs_count",
        "queue_tokens",
        "encoder",
        "cache_lookups_total",
        "fresh_rows",
        "graph_segments",
    ):
        assert f"itemlens_{name}" in names, name
    stages = {labels for name, labels in found if name == "itemlens_stage_seconds_total"}
    assert {
        f'method="Recommend",stage="{s}"' for s in ("prepare", "queue", "run", "search", "score")
    } <= stages
    assert 'method="UpsertItems",stage="store"' in stages


def test_ten_thousand_names_that_callers_choose_make_no_metrics(watched: Watched) -> None:
    before = len(watched.metrics())

    def ask(first: int) -> None:
        unknown: Any = watched.server.channel.unary_unary(f"/itemlens.v1.Catalog/Method{first}")
        for n in range(first, first + 500):
            with pytest.raises(grpc.RpcError):
                watched.server.catalog.GetCollection(
                    catalog_pb2.GetCollectionRequest(name=f"none-{n}"), timeout=30,
                    metadata=(
                        ("itemlens-caller", f"caller-{n}"),
                        ("x-request-id", f"id-{n}"),
                        ("user-agent", f"agent-{n}"),
                        ("traceparent", f"00-{n + 1:032x}-{n + 1:016x}-01"),
                    ),
                )  # fmt: skip
            if n % 50 == 0:
                with pytest.raises(grpc.RpcError):
                    unknown(b"", timeout=30)

    threads = [threading.Thread(target=ask, args=(500 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watched.metrics()["itemlens_calls_total", 'code="NOT_FOUND",method="GetCollection"'] >= 2000
    assert len(watched.metrics()) <= before + 30


def test_recall_of_what_callers_asked_is_told(watched: Watched) -> None:
    with watched.server.client(collection="shop") as client:
        for _ in range(50):
            client.recommend(text="green shoe", k=1)
            found = watched.metrics()
            if ("itemlens_live_recall_questions_total", 'kind="query"') in found:
                break
            time.sleep(0.1)
    found = watched.metrics()
    questions = found["itemlens_live_recall_questions_total", 'kind="query"']
    items = [
        found["itemlens_live_recall_items_total", f'found="{told}",kind="query"'] for told in ("yes", "no")
    ]
    assert sum(items) == questions > 0


def test_limits_and_the_log_level_follow_the_file_of_settings(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("max_items: 3\n")
    with Server(tiny.models, tmp_path / "data", "--config", str(file)) as server, server.client() as client:
        client.upsert(sample_items(3)).raise_for_errors()
        changed = tmp_path / "changed.yaml"
        changed.write_text("max_items: 2\nlog_level: warning\nrpc_threads: 3\n")
        changed.replace(file)
        server.wait_for_log("rpc_threads has changed in the file; it counts after a restart")
        with pytest.raises(itemlens.InvalidArgument, match="2"):
            client.upsert(sample_items(3))


def test_a_line_tells_the_stages_of_a_call(watched: Watched) -> None:
    with watched.server.client(collection="shop", caller="web") as client:
        client.recommend(text="blue shoe")
    line = watched.lines(method="Recommend", caller="web")[-1]
    assert line["code"] == "OK" and line["collection"] == "shop"
    assert {"prepare", "queue", "run", "search", "score"} <= set(line["stages"])
    assert sum(line["stages"].values()) <= line["ms"] + 1 and line["request_bytes"] > 0


def test_a_refusal_leaves_a_line_with_its_reason(watched: Watched) -> None:
    with watched.server.client() as client, pytest.raises(itemlens.NotFound):
        client.get_collection("nowhere")
    line = watched.lines(method="GetCollection", collection="nowhere")[-1]
    assert line["code"] == "NOT_FOUND" and "no collection 'nowhere'" in line["message"]


@pytest.mark.parametrize("given", ["trace-1/abc", "0af7651916cd43dd8448eb211c80319c"])
def test_a_request_id_comes_back_and_is_in_the_log(watched: Watched, given: str) -> None:
    metadata = (("x-request-id", given),)
    request = catalog_pb2.ListCollectionsRequest()
    _, call = watched.server.catalog.ListCollections.with_call(request, metadata=metadata, timeout=10)
    assert dict(call.trailing_metadata())["x-request-id"] == given
    with pytest.raises(grpc.RpcError) as error:
        watched.server.catalog.GetCollection(
            catalog_pb2.GetCollectionRequest(name="none"), metadata=metadata, timeout=10
        )
    trailing: dict[str, Any] = {m.key: m.value for m in error.value.trailing_metadata()}
    assert trailing["x-request-id"] == given and "grpc-status-details-bin" in trailing
    assert {line["code"] for line in watched.lines(id=given)} >= {"OK"}


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, '"}\\n{"'])
def test_other_ids_are_replaced(watched: Watched, given: str) -> None:
    request = catalog_pb2.ListCollectionsRequest()
    metadata = (("x-request-id", given),)
    _, call = watched.server.catalog.ListCollections.with_call(request, metadata=metadata, timeout=10)
    assert re.fullmatch(r"[0-9a-f]{16}", str(dict(call.trailing_metadata())["x-request-id"]))


def test_probes_follow_the_server_to_its_end(tiny: Tiny, tmp_path: Path) -> None:
    watched = Watched(tiny, tmp_path, lame_duck_seconds=2.0)
    with watched.server as server:
        assert (watched.get("/live")[0], watched.get("/ready")[0]) == (200, 200)
        health = health_pb2_grpc.HealthStub(server.channel)
        server.terminate()
        server.wait_for_log("draining")
        end = time.monotonic() + 5
        while watched.get("/ready")[0] == 200:
            assert time.monotonic() < end
        # The lame duck: no new callers should come, and those that do are served.
        reply = health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert watched.get("/live")[0] == 200
        assert server.item_lens.GetSpace(itemlens_pb2.GetSpaceRequest(), timeout=5).space_id
        assert server.wait() == 0


def test_health_asks_the_http_port(watched: Watched) -> None:
    port = watched.url.rpartition(":")[2]
    command = [sys.executable, "-m", "itemlens_cli", "health"]
    for address, status in ((f"0.0.0.0:{port}", 0), ("127.0.0.1:1", 1)):
        environment = os.environ | {"ITEMLENS_MONITORING": address}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == status and ("ready" in done.stdout) == (status == 0)


def test_an_address_in_use_stops_the_start(tiny: Tiny, tmp_path: Path, watched: Watched) -> None:
    from support.serving import NotServing

    with pytest.raises(NotServing, match="change the setting `monitoring`"):
        Server(tiny.models, tmp_path / "data", monitoring=watched.url.removeprefix("http://"))
