"""The chart: values render to valid manifests, or are refused with a message that names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import itemlens
from deploy import settings_schema
from deploy.rendering import (
    CHART,
    container,
    live_settings,
    of_kind,
    pod,
    refusal,
    rendered,
    run,
    settings,
    tool,
    variables,
)
from deploy.settings_schema import OF_THE_CHART
from deploy.valid import check
from itemlens_server.config import LIVE, PREFIX, Settings

VALID = {
    "defaults": "",
    "no TLS": "tls: {secretName: ''}",
    "client certificates": "tls: {clientCertificates: true}",
    "no keys, on purpose": "keys: {secretName: '', allowUnauthenticated: true}",
    "a GPU": "gpu: 1",
    "a GPU and no limits": "{gpu: 1, resources: {limits: null}}",
    "no resources at all": "resources: {requests: null, limits: null}",
    "some resources": "resources: {requests: {memory: 1Gi}}",
    "a whole number of processors": "resources: {requests: {cpu: 4}, limits: {cpu: 8}}",
    "an own storage class": "data: {storageClassName: fast, size: 1.5Ti}",
    "no storage class": "data: {storageClassName: null}",
    "names that YAML reads as numbers": "{data: {storageClassName: '1e3'}, models: {claimName: '007'}}",
    "no network policy": "networkPolicy: {enabled: false}",
    "nobody calls": "networkPolicy: {callers: [], monitoring: []}",
    "nobody calls, by null": "networkPolicy: {callers: null, monitoring: null, egress: null}",
    "no settings": "settings: null",
    "empty groups": "{keys: {}, tls: {}, data: {}, image: {}, resources: {}, settings: {}, networkPolicy: {}}",
    "settings of each kind": "settings: {threads: 3, log_level: debug, weight_view: 0.25, low_latency_sessions: false}",
    "a private registry": "image: {repository: r.example/itemlens, tag: '1.0', pullSecrets: [{name: registry}]}",
    "places": "{nodeSelector: {disk: ssd}, tolerations: [{key: gpu, operator: Exists}], affinity: {nodeAffinity: {}}}",
    "a chart of another": "global: {anything: 1}",
    "traces": "{settings: {otlp_endpoint: 'http://traces:4317'}, networkPolicy: {egress: [{ports: [{port: 4317}]}]}}",
    "traces without a policy": "{settings: {otlp_endpoint: 'http://traces:4317'}, networkPolicy: {enabled: false}}",
}  # fmt: skip

# Values, and what the message has to name.
WRONG = [
    ("keys: {secretName: ''}", "give keys.secretName, or set keys.allowUnauthenticated"),
    ("keys: {secretName: null}", "give keys.secretName, or set keys.allowUnauthenticated"),
    ("keys: {allowUnauthenticated: true}", "set keys.secretName to"),
    ("tls: {secretName: '', clientCertificates: true}", "tls.clientCertificates needs tls.secretName"),
    ("settings: {otlp_endpoint: 'http://traces:4317'}", "networkPolicy.egress"),
    ("keys: null", "keys"),
    ("tls: null", "tls"),
    ("models: null", "models"),
    ("models: {claimName: null}", "claimName"),
    ("models: {claimName: ''}", "models"),
    ("data: {size: null}", "size"),
    ("data: {size: 20}", "size"),
    ("data: {size: much}", "size"),
    ("image: null", "image"),
    ("image: {tag: 1.0}", "tag"),
    ("image: {pullPolicy: Sometimes}", "pullPolicy"),
    ("resources: {requests: {memory: 1 GB}}", "memory"),
    ("resources: {request: {memory: 1Gi}}", "request"),
    ("gpu: '1'", "gpu"),
    ("gpu: -1", "gpu"),
    ("gpu: null", "gpu"),
    ("startSeconds: 0", "startSeconds"),
    ("keys: {allowUnauthenticated: 'yes'}", "allowUnauthenticated"),
    ("keys: {secret: shop}", "secret"),
    ("replicas: 2", "replicas"),
    ("terminationGracePeriodSeconds: 10", "terminationGracePeriodSeconds"),
    ("networkPolicy: {callers: {app: shop}}", "callers"),
    ("networkPolicy: {callers: [{}]}", "callers"),
    ("networkPolicy: null", "networkPolicy"),
    ("nodeSelector: {gpu: true}", "nodeSelector"),
    ("settings: [threads]", "settings"),
    ("settings: {max_itmes: 5}", "max_itmes"),
    ("settings: {threads: '2'}", "threads"),
    ("settings: {threads: 1.5}", "threads"),
    ("settings: {max_k: 0}", "max_k"),
    ("settings: {provider: gpu}", "provider"),
    ("settings: {weight_view: 1001}", "weight_view"),
    ("settings: {threads: null}", "threads"),
]


@pytest.mark.parametrize("values", VALID.values(), ids=VALID.keys())
def test_these_values_give_valid_manifests(values: str) -> None:
    check(rendered(values))


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[values for values, _ in WRONG])
def test_these_values_are_refused_by_name(values: str, named: str) -> None:
    assert named in refusal(values)


def test_a_misspelt_value_of_each_group_is_refused() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
    for group, about in schema.items():
        if "properties" in about:
            assert about["additionalProperties"] is False, group


@pytest.mark.parametrize("release", ["1st", "my.shop", "a" * 53])
def test_a_release_whose_name_no_service_or_pod_can_have_is_refused(release: str) -> None:
    assert release in refusal(release=release)


def test_two_releases_share_nothing() -> None:
    one, other = rendered(release="shoes"), rendered(release="books")
    check(one)
    assert {m["metadata"]["name"] for m in one} == {"shoes", "shoes-settings"}
    assert not {m["metadata"]["name"] for m in one} & {m["metadata"]["name"] for m in other}
    selectors = [of_kind(found, "Service")["spec"]["selector"] for found in (one, other)]
    assert selectors[0] != selectors[1]


def test_lint_finds_nothing() -> None:
    done = run(tool("helm"), "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


def test_the_chart_has_the_servers_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == itemlens.__version__


def test_it_is_valid_for_the_oldest_kubernetes_that_it_allows() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    oldest = chart["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
    check(rendered(), version=oldest)


class TestKeysAndTls:
    def test_by_default_callers_need_a_key_and_tls(self) -> None:
        found = rendered()
        given = settings(variables(found))
        folders = {mount["mountPath"] for mount in container(found)["volumeMounts"]}
        for name in ("key_file", "tls_certificate", "tls_private_key"):
            assert given[name].rpartition("/")[0] in folders, name
        assert not {"tls_client_ca", "allow_unauthenticated"} & given.keys()

    def test_secrets_are_for_the_servers_user_alone_and_cannot_be_written(self) -> None:
        found = rendered()
        secrets = {v["name"]: v["secret"] for v in pod(found)["volumes"] if "secret" in v}
        assert {secret["secretName"] for secret in secrets.values()} == {"itemlens-keys", "itemlens-tls"}
        assert all(secret["defaultMode"] == 0o440 for secret in secrets.values())
        assert {m["name"] for m in container(found)["volumeMounts"] if m.get("readOnly")} == {
            *secrets,
            "settings",
        }

    def test_without_tls_no_certificate_is_looked_for(self) -> None:
        found = rendered("tls: {secretName: ''}")
        assert not [name for name in variables(found) if "TLS" in name]
        assert "tls" not in {volume["name"] for volume in pod(found)["volumes"]}

    def test_client_certificates_are_of_an_authority_in_the_same_secret(self) -> None:
        given = settings(variables(rendered("tls: {clientCertificates: true}")))
        assert given["tls_client_ca"] == "/secrets/tls/ca.crt"

    def test_without_keys_the_server_is_told_that_this_is_meant(self) -> None:
        found = rendered(VALID["no keys, on purpose"])
        given = settings(variables(found))
        assert given["allow_unauthenticated"] == "true" and "key_file" not in given
        assert "keys" not in {volume["name"] for volume in pod(found)["volumes"]}


class TestSettings:
    def test_the_schema_has_the_servers_settings_but_those_that_the_chart_gives(self) -> None:
        schema = json.loads(settings_schema.FILE.read_text(encoding="utf-8"))
        assert schema["properties"]["settings"]["properties"] == settings_schema.properties(), (
            "run python tests/deploy/settings_schema.py"
        )
        assert Settings.model_fields.keys() > OF_THE_CHART

    def test_those_are_refused(self) -> None:
        said = refusal(yaml.safe_dump({"settings": dict.fromkeys(OF_THE_CHART, "x")}))
        assert not [name for name in OF_THE_CHART if f"{name} is not allowed" not in said]

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ("{gpu_memory_bytes: 8589934592}", "8589934592"),
            ("{weight_view: 0.25}", "0.25"),
            ("{weight_view: 1}", "1"),
            ("{trace_share: 0.00001}", "1e-05"),
            ("{low_latency_sessions: false}", "false"),
            ("{rpc_threads: 5}", "5"),
            ("{space: 'a \"b\": #c'}", 'a "b": #c'),
        ],
    )
    def test_a_value_reaches_the_server_as_it_was_meant(
        self, values: str, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [(name, meant)] = yaml.safe_load(values).items()
        variable = f"{PREFIX}{name.upper()}"
        found = variables(rendered(f"settings: {values}"))
        assert found[variable] == text
        monkeypatch.setenv(variable, found[variable])
        assert getattr(Settings.read(), name) == meant

    def test_live_settings_are_in_a_file_that_the_server_follows(self, tmp_path: Path) -> None:
        values = {
            "drain_seconds": 0,
            "max_picture_pixels": 100_000_000,
            "log_level": "debug",
            "call_log_share": 0.00001,
        }
        found = rendered(yaml.safe_dump({"settings": values}))
        assert not {f"{PREFIX}{name.upper()}" for name in values} & variables(found).keys()
        file = tmp_path / "settings.yaml"
        file.write_text(live_settings(found))
        read = Settings.read(file)
        assert {name: getattr(read, name) for name in values} == values
        # A folder, because Kubernetes changes what is in it by a link, which a mount of the file would not follow.
        [mount] = [m for m in container(found)["volumeMounts"] if m["name"] == "settings"]
        assert container(found)["args"] == ["serve", "--config", f"{mount['mountPath']}/settings.yaml"]
        assert "subPath" not in mount

    def test_the_chart_knows_which_settings_are_live(self) -> None:
        listed = json.loads(settings_schema.LIVE_FILE.read_text(encoding="utf-8"))
        assert listed == list(LIVE), "run python tests/deploy/settings_schema.py"

    def test_a_change_of_a_live_setting_leaves_the_pod_as_it_is(self) -> None:
        assert pod(rendered("settings: {max_items: 5}")) == pod(rendered("settings: {max_items: 6}"))
        assert pod(rendered("settings: {threads: 5}")) != pod(rendered("settings: {threads: 6}"))


class TestResources:
    def test_a_gpu_is_asked_for_with_the_image_for_it(self) -> None:
        server = container(rendered("gpu: 1"))
        assert server["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
        assert server["image"].endswith("-cuda")
        assert container(rendered())["image"] == f"itemlens:{itemlens.__version__}-cpu"

    def test_a_tag_is_taken_as_it_is(self) -> None:
        assert container(rendered("{gpu: 1, image: {tag: mine}}"))["image"] == "itemlens:mine"

    def test_what_is_not_given_stays_as_it_was(self) -> None:
        server = container(rendered(VALID["some resources"]))
        assert server["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}

    def test_the_disk_of_the_store_has_the_class_and_size(self) -> None:
        [claim] = of_kind(rendered(VALID["an own storage class"]), "StatefulSet")["spec"][
            "volumeClaimTemplates"
        ]
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["spec"]["resources"]["requests"] == {"storage": "1.5Ti"}
        [claim] = of_kind(rendered(), "StatefulSet")["spec"]["volumeClaimTemplates"]
        assert "storageClassName" not in claim["spec"]


class TestStartAndStop:
    @pytest.mark.parametrize(
        "values",
        [
            "",
            "settings: null",
            "settings: {lame_duck_seconds: 0, drain_seconds: 0}",
            "settings: {lame_duck_seconds: 2.5}",
            "settings: {lame_duck_seconds: 30, drain_seconds: 300}",
            "settings: {drain_seconds: null}",
        ],
    )
    def test_the_pod_has_the_time_that_the_lame_duck_and_the_drain_need(
        self, values: str, tmp_path: Path
    ) -> None:
        found = rendered(values)
        file = tmp_path / "settings.yaml"
        file.write_text(live_settings(found))
        server = Settings.read(file)
        needed = server.lame_duck_seconds + server.drain_seconds
        assert needed + 20 <= pod(found)["terminationGracePeriodSeconds"] < needed + 21

    def test_the_lame_duck_lets_callers_learn_of_the_stop(self) -> None:
        assert float(yaml.safe_load(live_settings(rendered()))["lame_duck_seconds"]) >= 5

    def test_a_start_may_take_as_long_as_is_said(self) -> None:
        probe = container(rendered("startSeconds: 1801"))["startupProbe"]
        assert 1801 <= probe["periodSeconds"] * probe["failureThreshold"] < 1801 + probe["periodSeconds"]

    def test_an_update_stops_the_old_server_first_and_can_be_taken_back(self) -> None:
        server = of_kind(rendered(), "StatefulSet")["spec"]
        assert (server["replicas"], server["updateStrategy"]["type"]) == (1, "RollingUpdate")
        assert server["podManagementPolicy"] == "Parallel"

    def test_a_node_can_be_drained(self) -> None:
        assert of_kind(rendered(), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


class TestNetwork:
    def test_only_callers_reach_the_server_and_only_prometheus_its_metrics(self) -> None:
        policy = of_kind(rendered(), "NetworkPolicy")["spec"]
        calls, metrics = policy["ingress"]
        assert calls["from"] == [{"podSelector": {"matchLabels": {"itemlens/client": "true"}}}]
        assert [port["port"] for port in calls["ports"]] == [50051]
        [source] = metrics["from"]
        assert source.keys() == {"namespaceSelector"} and [port["port"] for port in metrics["ports"]] == [
            9464
        ]

    def test_the_server_calls_nobody(self) -> None:
        policy = of_kind(rendered(), "NetworkPolicy")["spec"]
        assert policy["egress"] == [] and policy["policyTypes"] == ["Ingress", "Egress"]

    @pytest.mark.parametrize("none", ["[]", "null"])
    def test_an_empty_list_is_nobody_and_not_everybody(self, none: str) -> None:
        policy = of_kind(rendered(f"networkPolicy: {{callers: {none}}}"), "NetworkPolicy")["spec"]
        assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [9464]
        assert all(rule["from"] for rule in policy["ingress"])

    def test_own_callers_replace_those_of_the_chart(self) -> None:
        values = "networkPolicy: {callers: [{podSelector: {matchLabels: {app: shop}}}]}"
        calls = of_kind(rendered(values), "NetworkPolicy")["spec"]["ingress"][0]
        assert calls["from"] == [{"podSelector": {"matchLabels": {"app": "shop"}}}]

    def test_it_can_be_left_out(self) -> None:
        kinds = [manifest["kind"] for manifest in rendered("networkPolicy: {enabled: false}")]
        assert "NetworkPolicy" not in kinds and "PodDisruptionBudget" in kinds
