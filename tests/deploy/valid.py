"""Whether manifests are valid, by the schemas of Kubernetes and by what no schema says."""

from __future__ import annotations

from collections.abc import Sequence

import kubernetes_validate

from deploy.rendering import Manifest

KUBERNETES = "1.31"


def check(found: Sequence[Manifest], version: str = KUBERNETES) -> None:
    """Raise unless all manifests are valid, and fit together."""
    assert found
    for manifest in found:
        kubernetes_validate.validate(manifest, version, strict=True)
        for label, chosen in _selectors(manifest).items():
            assert chosen, f"{label} of {manifest['kind']} chooses every pod"
    for server in (one for one in found if one["kind"] == "StatefulSet"):
        _check_server(server, found)


def _check_server(server: Manifest, found: Sequence[Manifest]) -> None:
    template = server["spec"]["template"]
    [container] = template["spec"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names)), f"a variable is given twice: {names}"
    claims = {claim["metadata"]["name"] for claim in server["spec"]["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in template["spec"]["volumes"]} | claims
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for manifest in found:
        for chosen in _selectors(manifest).values():
            assert chosen.items() <= template["metadata"]["labels"].items()
        if manifest["kind"] == "Service":
            assert manifest["metadata"]["name"] == server["spec"]["serviceName"]
            assert {port["targetPort"]: port["port"] for port in manifest["spec"]["ports"]} == ports
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


def _selectors(manifest: Manifest) -> dict[str, dict[str, str]]:
    """Labels by which a manifest chooses the server's pods."""
    specification = manifest.get("spec", {})  # a ConfigMap has none
    found = {}
    for field in ("selector", "podSelector"):
        if field in specification and manifest["kind"] != "PersistentVolumeClaim":
            chosen = specification[field]
            found[field] = chosen if manifest["kind"] == "Service" else chosen["matchLabels"]
    return found
