"""Alerts and the dashboard ask for what the server tells."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.rendering import DEPLOY, run, tool
from itemlens.v1 import catalog_pb2, itemlens_pb2
from support.serving import Server, sample_items
from support.spaces import Tiny

PROMETHEUS = DEPLOY / "prometheus"
GRAFANA = DEPLOY / "grafana"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((GRAFANA / "dashboards" / "itemlens.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"{panel['title']}, {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}

# What Prometheus itself tells of a server, and the labels that it gives to all that a server tells.
UP = "up"
TARGET = {"job", "instance"}

_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_WORDS = {"and", "or", "unless", "bool", "offset", "group_left", "group_right"}

Samples = dict[str, list[dict[str, str]]]
"""The labels of a server's samples, by their names."""


@pytest.fixture(scope="module")
def samples(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samples]:
    """What a server tells after a few calls."""
    folder = tmp_path_factory.mktemp("told")
    # Lists that are not exact are compared: these are of graphs that are searched for few candidates.
    watched: dict[str, Any] = {
        "monitoring": "127.0.0.1:0",
        "live_recall_share": 1.0,
        "candidates_per_channel": 4,
    }
    with Server(tiny.models, folder, **watched) as server:
        with server.client(collection="shop") as client:
            client.create_collection("shop")
            client.upsert(sample_items(200)).raise_for_errors()
            client.recommend(text="red shoe")
        [port] = re.findall(r"monitoring on port (\d+)", "".join(server.log))
        # The machines that run tests have no GPU.
        told: Samples = {
            "itemlens_gpu_memory_bytes": [{"gpu": "0", "state": state} for state in ("used", "free")]
        }
        until = time.monotonic() + 10
        text = ""
        while "itemlens_live_recall_questions_total{" not in text and time.monotonic() < until:
            with server.client(collection="shop") as client:
                client.recommend(text="blue shoe", k=1)
            time.sleep(0.1)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
                text = reply.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                told.setdefault(sample.name, []).append(sample.labels)
        yield told


def selectors(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The metrics of an expression of PromQL, each with its matchers of labels."""
    plain = _GROUPING.sub(" ", re.sub(r"\[[^\]]*\]", "", expression))
    return [
        (name, _MATCHER.findall(labels)) for name, labels in _SELECTOR.findall(plain) if name not in _WORDS
    ]


def groupings(expression: str) -> set[str]:
    """The labels by which an expression groups."""
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")} - {""}


def known_values(label: str, samples: list[dict[str, str]]) -> set[str]:
    """The values that a label can have."""
    if label == "code":
        return {code.name for code in grpc.StatusCode}
    if label == "method":
        files = (itemlens_pb2.DESCRIPTOR, catalog_pb2.DESCRIPTOR)
        services = (service for file in files for service in file.services_by_name.values())
        return {method.name for service in services for method in service.methods}
    return {labels[label] for labels in samples}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_an_expression_asks_for_metrics_and_labels_that_the_server_tells(
    expression: str, samples: Samples
) -> None:
    found = selectors(expression)
    assert found
    known = set(TARGET)
    for name, matchers in found:
        assert name in samples or name == UP, f"the server does not tell {name}"
        own = {label for sample in samples.get(name, []) for label in sample}
        known |= own
        for label, operator, value in matchers:
            assert label in own | TARGET, f"{name} has no label {label}"
            if label not in TARGET:
                wanted = set(value.split("|")) if operator.endswith("~") else {value}
                assert wanted <= known_values(label, samples[name]), f"{name} has no such {label}: {value}"
    assert groupings(expression) <= known


def test_what_an_expression_asks_for_is_found() -> None:
    """So that the test above cannot pass by finding nothing."""
    asked = 'sum by (le, method) (rate(a_total{code!="OK", x=~"y|z"}[5m])) / ignoring(stage) group_left b > 2 * c_bytes'
    assert selectors(asked) == [
        ("a_total", [("code", "!=", "OK"), ("x", "=~", "y|z")]),
        ("b", []),
        ("c_bytes", []),
    ]
    assert groupings(asked) == {"le", "method", "stage"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_waits_says_how_bad_it_is_and_what_it_means(rule: dict[str, Any], samples: Samples) -> None:
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+m", rule["for"]) and rule["labels"]["severity"] in ("critical", "warning")
    # Labels that the text uses are there after the expression.
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    by = groupings(rule["expr"])
    [name, *_] = [name for name, _ in selectors(rule["expr"])]
    assert used <= (by or TARGET | {label for sample in samples.get(name, []) for label in sample})


def test_prometheus_finds_the_rules_and_the_server() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert config["rule_files"] == ["alerts.yml"]
    [scraping] = config["scrape_configs"]
    jobs = {
        value
        for e in EXPRESSIONS.values()
        for _, ms in selectors(e)
        for label, _, value in ms
        if label == "job"
    }
    assert jobs == {scraping["job_name"]}


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    sources = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    )
    [source] = sources["datasources"]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in compose
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/itemlens.yml").read_text(encoding="utf-8"))
    [provider] = providers["providers"]
    mounts = dict(mount.split(":")[:2] for mount in compose["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"


def test_panels_have_their_own_places_and_names() -> None:
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(places)) == len(places) and max(x for x, _ in places) < 24


class TestByPromtool:
    def test_prometheus_reads_its_files(self) -> None:
        done = run(tool("promtool", "of Prometheus"), "check", "config", PROMETHEUS / "prometheus.yml")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_dashboards_expressions_are_promql(self, tmp_path: Path) -> None:
        rules = [
            {"record": f"panel_{number}", "expr": expression.replace("$__rate_interval", "5m")}
            for number, expression in enumerate(EXPRESSIONS.values())
        ]
        file = tmp_path / "rules.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8")
        done = run(tool("promtool", "of Prometheus"), "check", "rules", file)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_alerts_come_when_they_should_and_only_then(self) -> None:
        done = run(
            tool("promtool", "of Prometheus"), "test", "rules", Path(__file__).parent / "alerts_test.yml"
        )
        assert done.returncode == 0, done.stdout + done.stderr
