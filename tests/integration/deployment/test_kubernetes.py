"""deploy/kubernetes: what the API server would say, and what the programs would make of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # It ships no types.
import pytest
import yaml
from ai_chat_assistant.settings import AssistantSettings
from aichat_runtime.settings import ProgramSettings
from session_svc.settings import SessionServiceSettings
from stream_gateway.settings import GatewaySettings
from support.product import ROOT

MANIFESTS = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in MANIFESTS.glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest that the manifests are for, and the newest that is known."""

Resource = dict[str, Any]

SETTINGS: Mapping[str, type[ProgramSettings]] = {
    "session-svc": SessionServiceSettings,
    "stream-gateway": GatewaySettings,
    "assistant": AssistantSettings,
}


def resources(*files: Path) -> Iterator[Resource]:
    for path in files or FILES:
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def workloads() -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in resources() if each["kind"] in ("Deployment", "StatefulSet")}


def pod(workload: Resource) -> Resource:
    spec: Resource = workload["spec"]["template"]["spec"]
    return spec


def container(workload: Resource) -> Resource:
    (only,) = pod(workload)["containers"]
    found: Resource = only
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_api_knows_every_field(path: Path, version: str) -> None:
    for resource in resources(path):
        kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_would_be_noticed() -> None:
    resource = workloads()["session-svc"]
    pod(resource)["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)


def test_all_manifests_but_the_example_of_secrets_are_applied() -> None:
    (kustomization,) = resources(MANIFESTS / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == [path.name for path in FILES if path.name != "secrets.example.yaml"]


@pytest.mark.parametrize("name", ["redis", "session-svc", "stream-gateway", "assistant"])
def test_a_pod_is_confined(name: str) -> None:
    workload = workloads()[name]
    assert pod(workload)["automountServiceAccountToken"] is False
    assert pod(workload)["securityContext"]["runAsNonRoot"] is True
    assert pod(workload)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container(workload)["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container(workload)["resources"]["limits"]


@pytest.mark.parametrize("name", ["redis", "session-svc", "stream-gateway", "assistant"])
def test_a_services_address_is_not_taken_for_a_setting(name: str) -> None:
    # Kubernetes sets REDIS_PORT=tcp://... for a Service named redis, unless it is told not to.
    assert pod(workloads()[name])["enableServiceLinks"] is False


@pytest.mark.parametrize("name", ["session-svc", "stream-gateway"])
def test_a_service_has_the_time_to_drain_and_never_leaves_alone(name: str) -> None:
    workload = workloads()[name]
    (config,) = (each["data"] for each in resources() if each["kind"] == "ConfigMap")
    before = int(container(workload)["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert pod(workload)["terminationGracePeriodSeconds"] >= before + int(config["DRAIN_SECONDS"]) + 5
    assert workload["spec"]["replicas"] >= 2
    assert workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert any(each["kind"] == "PodDisruptionBudget" and each["metadata"]["name"] == name for each in resources())


def test_probes_ask_for_life_and_readiness_apart() -> None:
    svc, web = container(workloads()["session-svc"]), container(workloads()["stream-gateway"])
    assert svc["livenessProbe"]["grpc"] == {"port": 50051, "service": "live"}
    assert svc["readinessProbe"]["grpc"] == {"port": 50051}
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_every_selector_finds_pods_and_every_port_is_open() -> None:
    pods = {name: workload["spec"]["template"]["metadata"]["labels"] for name, workload in workloads().items()}
    for resource in resources():
        if resource["kind"] == "Service":
            name = resource["spec"]["selector"]["app"]
            assert name in pods
            ports = {port["containerPort"] for port in container(workloads()[name])["ports"]}
            assert {port["port"] for port in resource["spec"]["ports"]} <= ports
        elif resource["kind"] in ("PodDisruptionBudget", "NetworkPolicy"):
            selector = resource["spec"].get("selector") or resource["spec"]["podSelector"]
            assert selector["matchLabels"] in pods.values()


def test_every_secret_that_is_mounted_is_described() -> None:
    described = {
        each["metadata"]["name"]: set(each["stringData"]) for each in resources(MANIFESTS / "secrets.example.yaml")
    }
    for workload in workloads().values():
        for volume in pod(workload).get("volumes", []):
            if secret := volume.get("secret"):
                wanted = {item["key"] for item in secret.get("items", [])} or {"users.acl"}
                assert wanted <= described[secret["secretName"]]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_program_takes_the_settings_it_is_given(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = (each["data"] for each in resources() if each["kind"] == "ConfigMap")
    own = container(workloads()[name])
    given = {entry["name"]: entry["value"] for entry in own["env"]}
    if "envFrom" in own:
        shared = {variable for settings in SETTINGS.values() for variable in settings.model_fields}
        assert {variable.lower() for variable in config} <= shared
        given = {**config, **given}
    for variable in own["env"]:
        field = variable["name"].lower()
        assert {field, field.removesuffix("_file")} & set(SETTINGS[name].model_fields), variable["name"]
    secret = tmp_path / "secret"
    secret.write_text("a-secret\n", encoding="utf-8")
    for variable, value in given.items():
        monkeypatch.setenv(variable, str(secret) if value.startswith("/run/secrets/") else value)
    SETTINGS[name]()
