"""The manifests: valid for Kubernetes, equal to the chart's, and safe."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import kubernetes_validate
import pytest

from deploy.rendering import DEPLOY, Manifest, manifests, of_kind, rendered, run, tool
from deploy.valid import KUBERNETES, check

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))


def pods(found: list[Manifest]) -> list[Manifest]:
    specs = [one.get("spec", {}) for one in found]
    return [spec.get("template", {}).get("spec", spec) for spec in specs if "containers" in str(spec)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_valid(file: Path) -> None:
    check(manifests(file.read_text(encoding="utf-8")))


def test_a_field_that_kubernetes_does_not_know_would_be_found() -> None:
    service = of_kind(manifests((FOLDER / "itemlens.yaml").read_text(encoding="utf-8")), "Service")
    service["spec"]["clusterIp"] = "None"
    with pytest.raises(kubernetes_validate.ValidationError, match="clusterIp"):
        kubernetes_validate.validate(service, KUBERNETES, strict=True)


def test_the_plain_manifest_is_the_chart_with_its_defaults() -> None:
    tool("helm")
    done = run(FOLDER / "generate.sh")
    assert done.returncode == 0, done.stderr
    assert (FOLDER / "itemlens.yaml").read_text(encoding="utf-8") == done.stdout, (
        "run deploy/kubernetes/generate.sh, as it says"
    )


def test_it_has_all_that_a_server_needs() -> None:
    found = manifests((FOLDER / "itemlens.yaml").read_text(encoding="utf-8"))
    kinds = {one["kind"] for one in found}
    assert kinds == {"ConfigMap", "Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"}
    server = of_kind(found, "StatefulSet")["spec"]
    [claim] = server["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data" and server["replicas"] == 1
    [container] = server["template"]["spec"]["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe", "resources"} <= container.keys()
    # /ready would restart a server that has only to load, or to drain.
    assert container["livenessProbe"]["httpGet"]["path"] == "/live"
    assert container["startupProbe"]["httpGet"]["path"] == "/ready"
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_pods_meet_the_restricted_pod_security_standard(file: Path) -> None:
    for pod in pods(manifests(file.read_text(encoding="utf-8"))):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"persistentVolumeClaim", "secret", "configMap", "emptyDir"}


def test_the_pods_for_models_and_for_backups_use_the_servers_disks_image_and_user() -> None:
    server = rendered()
    stateful = of_kind(server, "StatefulSet")["spec"]
    [server_pod] = pods(server)
    for name, claim in (("models", "itemlens-models"), ("data", "data-itemlens-0")):
        found = manifests((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        [helper] = pods(found)
        claims = [
            v["persistentVolumeClaim"]["claimName"] for v in helper["volumes"] if "persistentVolumeClaim" in v
        ]
        assert claims == [claim]
        [one], [other] = helper["containers"], server_pod["containers"]
        assert one["image"] == other["image"]
        for key in ("runAsUser", "runAsGroup", "fsGroup"):
            assert helper["securityContext"][key] == server_pod["securityContext"][key]
        mounts = chain(other["volumeMounts"], stateful["volumeClaimTemplates"])
        assert {"name": name, "mountPath": f"/{name}"} in list(mounts)
        assert {"name": name, "mountPath": f"/{name}"} in one["volumeMounts"]
        # A NetworkPolicy and a Service choose by label: these pods are no servers.
        labels = of_kind(found, "Pod")["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == f"itemlens-{name}"
