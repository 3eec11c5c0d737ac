"""Releases on GKE: Google's and Kubernetes' real clients, a cluster on loopback, pods that are real containers."""

from __future__ import annotations

import base64
import copy
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from google.oauth2.credentials import Credentials

import images
from clouds.kubernetes import KubernetesServer
from clouds.quick_image import quick_image
from pymacaron.config import PymConfig
from pymacaron.deploy import PlacementError, Release, find_target
from pymacaron.deploy.engine import run_docker
from pymacaron.deploy.gcp import read_settings
from pymacaron.deploy.gke import GkeTarget
from pymacaron.deploy.gke_cluster import Cluster, make_client
from pymacaron.deploy.gke_manifests import build_autoscaler, build_deployment, build_live, build_preview
from pymacaron.deploy.gke_rollout import say_what_is_hopeless, say_what_is_missing
from pymacaron.exceptions import TargetError
from target_suite import (
    CHECKS,
    Place,
    check_metrics_and_logs,
    check_second_release,
    write_marked_service,
)

SECRET = "s3cr3t=with,commas"
SERVING = (check_metrics_and_logs, check_second_release)
ANY_IMAGE = f"europe-docker.pkg.dev/acme/shop/shop@sha256:{'a' * 64}"
WHERE = "GKE cluster shop-live in europe-north1, namespace shop"


@pytest.fixture
def cluster() -> Iterator[KubernetesServer]:
    """A cluster without anything in it."""
    images.require_engine()
    server = KubernetesServer()
    yield server
    server.stop()


def configure(cluster: KubernetesServer | None, **keys: Any) -> PymConfig:
    endpoints = {"container": cluster.endpoint if cluster else "http://127.0.0.1:9"}
    given = {"gcp_endpoints": endpoints, "gcp_region": "europe-north1", "docker_repo": "acme", "gcp_port": 18417}
    return PymConfig(name="shop", **{**given, "stop_timeout": 1, **keys})


def release(version: str, image: str = ANY_IMAGE) -> Release:
    return Release(version, image, "abc1234", "f" * 64, datetime(2026, 11, 27, 18, 15, tzinfo=UTC))


def answers(url: str, expected: str) -> bool:
    """Ask until *expected* is answered: what a selector says reaches the load balancer a moment later."""
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        if requests.get(f"{url}/", timeout=10).text == expected:
            return True
        time.sleep(0.05)
    return False


def find_deployment(cluster: KubernetesServer, name: str) -> dict[str, Any]:
    return cluster.objects.get(("shop", "Deployment", name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_gke_does_what_every_target_must(
    check: Callable[[Place], None], cluster: KubernetesServer, registry: images.Registry, tmp_path: Path
) -> None:
    """See target_suite.py; releases are pymacaron services where requests are counted, else what starts at once."""

    def make_image(mark: str) -> str:
        if check in SERVING:
            return images.service_image(registry, write_marked_service(tmp_path / f"marked-{mark}", mark))
        return quick_image(registry, mark, crashes=mark == "crash")

    check(Place(lambda: find_target(configure(cluster), "gke"), make_image))


def test_a_release_that_crashes_tells_reason_exit_code_and_last_lines(
    cluster: KubernetesServer, registry: images.Registry
) -> None:
    """Nobody waits for the deadline: a pod that crashes again and again is told at once."""
    with pytest.raises(PlacementError) as caught:
        GkeTarget(configure(cluster)).stage(release("one", quick_image(registry, "one", crashes=True)))
    assert str(caught.value) == (
        f"{WHERE}: one does not come up: pod shop-blue-00001: CrashLoopBackOff (back-off 10s restarting failed "
        "container), its last exit code was 1. Look at its log."
    )
    assert sorted(caught.value.lines) == ["starting one", "told to crash"]


def test_a_pod_that_was_started_again_is_ill(cluster: KubernetesServer, registry: images.Registry) -> None:
    """It is ready and counts from zero; how often it ended is told, and the lines from before."""
    target = GkeTarget(configure(cluster))
    target.stage(release("one", quick_image(registry, "one")))
    target.check("one")
    (pod,) = cluster.pods
    assert pod.container is not None
    run_docker("kill", pod.container.container_id)
    end_s = time.monotonic() + 60
    while not (pod.restarts and pod.is_ready):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    with pytest.raises(PlacementError) as caught:
        target.check("one")
    assert str(caught.value) == (
        f"{WHERE}: one is ill: pod shop-blue-00001 was started again, 1 times, its last exit code was 137. "
        "Look at its log."
    )
    assert caught.value.lines == ("starting one",)
    assert target.metrics("one") == 'version_info{version="one"} 1\n'


def test_a_log_that_cannot_be_read_hides_no_reason(cluster: KubernetesServer) -> None:
    """Why a release does not come up is told, whatever else fails then."""
    target = GkeTarget(configure(cluster))
    cluster.stop()
    refusal = target._refuse("one", "told to crash")
    assert str(refusal) == f"{WHERE}: one does not come up: told to crash. Look at its log."
    assert refusal.lines[0].startswith("(no log: GKE cluster shop-live in europe-north1: ")


def test_values_of_secrets_are_in_no_request(cluster: KubernetesServer, registry: images.Registry) -> None:
    """The pod has the value, the cluster was told its place; a key that is missing is told as the reason."""
    config = configure(cluster, env_secrets=["DB_PASSWORD", "API_KEY"], gcp_secrets={"API_KEY": "keys/api"}, env="live")
    target = GkeTarget(config)
    image = quick_image(registry, "one")
    cluster.add("v1", "Namespace", ("", "shop"))
    cluster.add_secret("shop", "shop-secrets", {"DB_PASSWORD": SECRET})
    with pytest.raises(PlacementError) as caught:
        target.stage(release("one", image))
    assert str(caught.value) == (
        f'{WHERE}: one does not come up: pod shop-blue-00001: CreateContainerConfigError (secret "keys" not found). '
        "Look at its log."
    )
    cluster.add_secret("shop", "keys", {"api": "key of the other one"})
    target.retire("one")
    environment = requests.get(f"{target.stage(release('one', image)).url}/environment", timeout=10).json()
    assert [environment[name] for name in ("DB_PASSWORD", "API_KEY", "PYM_ENV")] == [
        SECRET,
        "key of the other one",
        "live",
    ]
    assert not [body for _, _, body in cluster.requests if SECRET.encode() in body]
    assert "Give it API_KEY by reference to key api of Secret keys" in target.plan(release("two"))


def test_autoscalers_keep_their_say(cluster: KubernetesServer, registry: images.Registry) -> None:
    """A new colour begins with as many pods as the live one has, and what an autoscaler set is never set back."""
    target = GkeTarget(configure(cluster, gcp_min_instances=1, gcp_max_instances=4))
    one = release("one", quick_image(registry, "one"))
    target.stage(one)
    target.shift("one", None, 100)
    cluster.change("Deployment", ("shop", "shop-blue"), {"spec": {"replicas": 3}}, "horizontal-pod-autoscaler")
    target.stage(one)
    assert find_deployment(cluster, "shop-blue")["spec"]["replicas"] == 3
    target.stage(release("two", quick_image(registry, "two")))
    assert find_deployment(cluster, "shop-green")["spec"]["replicas"] == 3
    assert target.metrics("two") == 'version_info{version="two"} 1.0\n'
    assert cluster.objects.get(("shop", "HorizontalPodAutoscaler", "shop-green"))["spec"]["maxReplicas"] == 4
    target.shift("two", "one", 100)
    target.retire("one")
    assert find_deployment(cluster, "shop-blue")["spec"]["replicas"] == 0
    assert [placed.release.version for placed in target.current()] == ["two"]
    target.stage(one)
    target.shift("one", "two", 100)
    assert answers(target.live_url, "one")


def test_what_others_own_or_changed_is_not_overwritten(cluster: KubernetesServer, registry: images.Registry) -> None:
    """A field of somebody else's is a conflict in the plan; a selector that somebody else changed stops the shift."""
    target = GkeTarget(configure(cluster))
    for version in ("one", "two"):
        target.stage(release(version, quick_image(registry, version)))
    target.shift("one", None, 100)
    container = [{"name": "shop", "image": "of somebody else"}]
    changes = {"spec": {"template": {"spec": {"containers": container}}}}
    cluster.change("Deployment", ("shop", "shop-green"), changes, "kubectl-set")
    with pytest.raises(TargetError) as caught:
        target.plan(release("two"))
    assert str(caught.value) == (
        "GKE cluster shop-live in europe-north1: PATCH /apis/apps/v1/namespaces/shop/deployments/shop-green is "
        'answered 409: Apply failed with 1 conflict: conflict with "kubectl-set": '
        ".spec.template.spec.containers.name=shop.image. Mend that, and try again."
    )
    with pytest.raises(TargetError) as other:
        target.shift("two", "three", 100)
    assert str(other.value) == f"{WHERE}: the live Service selects one and not three. See who else deploys."
    with pytest.raises(PlacementError) as share:
        target.shift("two", "one", 25)
    assert str(share.value) == (
        f"{WHERE}: a share of 25 % was asked for. Shift 100: a selector sends all traffic or none."
    )


def test_a_service_that_pymacaron_2_deployed_is_the_first_baseline(
    cluster: KubernetesServer, registry: images.Registry
) -> None:
    """Its Service, which an Ingress points at, only gets another selector, and back."""
    labels = {"app": "shop-live", "run": "shop-live"}
    container = {"name": "shop", "image": quick_image(registry, "old"), "env": [{"name": "PORT", "value": "8080"}]}
    template = {"metadata": {"labels": {**labels, "version": "200101"}}, "spec": {"containers": [container]}}
    cluster.add("v1", "Namespace", ("", "shop"))
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    cluster.add("apps/v1", "Deployment", ("shop", "shop-live"), spec=spec)
    ports = [{"port": 8080, "protocol": "TCP", "targetPort": 8080}]
    before = {"type": "LoadBalancer", "selector": labels, "ports": ports}
    cluster.add("v1", "Service", ("shop", "shop-live-service"), spec=before)
    target = GkeTarget(configure(cluster))
    assert [(placed.release.version, placed.share) for placed in target.current()] == [("shop-live", 100)]
    target.stage(release("new", quick_image(registry, "new")))
    url = target.live_url
    assert answers(url, "old")
    target.shift("new", "shop-live", 100)
    assert answers(url, "new")
    service = cluster.objects.get(("shop", "Service", "shop-live-service"))
    assert service["spec"] == {**before, "selector": {"app.kubernetes.io/name": "shop", "pymacaron/colour": "blue"}}
    target.shift("shop-live", "new", 100)
    assert answers(url, "old")
    target.shift("new", "shop-live", 100)
    target.retire("shop-live")
    assert [placed.release.version for placed in target.current()] == ["new"]


def test_a_plan_changes_nothing(cluster: KubernetesServer) -> None:
    """The cluster's own dry run is asked once there is a namespace; nothing is there afterwards."""
    target = GkeTarget(configure(cluster))
    first = target.plan(release("one"))
    assert first[0] == "Create the namespace shop"
    assert first[-1] == "Nothing could be validated: there is no namespace for the cluster's dry run yet"
    cluster.add("v1", "Namespace", ("", "shop"))
    assert target.plan(release("one")) == [
        "Apply Deployment shop-blue",
        "Apply Service shop-blue",
        f"Start 1 of {ANY_IMAGE} as shop-blue",
        "Then let the Service shop-live-service select blue",
        "Costs: 1 more pods until the release before is retired, a load balancer for each colour",
        "The cluster validated all of it and would take it",
    ]
    assert not cluster.objects.list("Deployment")
    assert not cluster.objects.list("Service")


def test_the_cluster_must_be_the_one_that_gke_knows(cluster: KubernetesServer) -> None:
    """A server with a certificate of another authority is not talked to, and a token is sent only to the right one."""
    with pytest.raises(TargetError, match="GKE cluster none in europe-north1: NotFound: Not found"):
        GkeTarget(configure(cluster, gcp_cluster="none"))
    other = KubernetesServer()
    try:
        address, _ = cluster.find_api()
        credentials = Credentials(token="token of a deployer")  # type: ignore[no-untyped-call]
        strange = Cluster(make_client(address, other.find_api()[1]), credentials, namespace="shop", where="it")
        with pytest.raises(TargetError, match="certificate verify failed"):
            strange.has_namespace()
        right = Cluster(make_client(*cluster.find_api()), credentials, namespace="shop", where="it")
        assert not right.has_namespace()
        assert (cluster.tokens, other.tokens) == (["Bearer token of a deployer"], [])
    finally:
        other.stop()


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({}, id="nothing more"),
        pytest.param(
            {"env": "live", "env_secrets": ["DB_PASSWORD"], "gcp_secrets": {"DB_PASSWORD": "db/pass"}}, id="secrets"
        ),
        pytest.param(
            {"cpu_count": 2, "gcp_memory": "512Mi", "gcp_min_instances": 2, "gcp_max_instances": 9}, id="sizes"
        ),
        pytest.param({"live_host": "shop.example.com"}, id="host"),
    ],
)
def test_manifests_are_of_kubernetes_schemas(keys: dict[str, Any]) -> None:
    """Every manifest passes the strict schemas of several releases of Kubernetes, and never tells a number of pods."""
    import kubernetes_validate  # noqa: PLC0415 - takes seconds, which whoever collects tests would wait

    config = configure(None, **keys)
    settings = read_settings(config)
    made = [
        build_deployment(config, settings, release("one"), "blue"),
        build_preview(config, settings, "blue"),
        build_live(config, settings, {"pymacaron/colour": "blue"}),
        build_autoscaler("shop", settings, "blue"),
    ]
    assert (made[3] is None) == ("gcp_max_instances" not in keys)
    for manifest in filter(None, made):
        for version in ("1.32", "1.34", "1.36"):
            kubernetes_validate.validate(manifest, version, strict=True)
    assert made[0] is not None
    assert "replicas" not in made[0]["spec"]
    container = made[0]["spec"]["template"]["spec"]["containers"][0]
    if "env_secrets" in keys:
        assert container["env"][1:] == [
            {"name": "PYM_ENV", "value": "live"},
            {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pass"}}},
        ]
    if "cpu_count" in keys:
        assert container["resources"] == {"limits": {"memory": "512Mi"}, "requests": {"cpu": "2", "memory": "512Mi"}}


COMPLETE = {
    "metadata": {"generation": 3},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
}


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        pytest.param({}, None, id="complete"),
        pytest.param({"observedGeneration": 2}, "the Deployment was not looked at yet", id="stale"),
        pytest.param({"updatedReplicas": 1}, "1 of 2 pods are made", id="not made"),
        pytest.param({"replicas": 3}, "1 pods of before are still there", id="old ones"),
        pytest.param({"availableReplicas": 0}, "0 of 2 pods are available", id="not ready"),
    ],
)
def test_a_rollout_is_judged_as_kubectl_does(changed: dict[str, int], missing: str | None) -> None:
    """Each thing that can be missing is told."""
    deployment = copy.deepcopy(COMPLETE)
    deployment["status"].update(changed)
    assert say_what_is_missing(deployment) == missing


def test_a_condition_of_the_rollout_before_is_not_believed() -> None:
    """The deadline counts only when the cluster has looked at this generation."""
    deployment: dict[str, Any] = copy.deepcopy(COMPLETE)
    condition = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    deployment["status"]["conditions"] = [{"type": "Available"}, condition]
    assert say_what_is_hopeless(deployment, []) == "ProgressDeadlineExceeded: timed out"
    deployment["metadata"]["generation"] = 4
    assert say_what_is_hopeless(deployment, []) is None


def test_the_journal_is_readable_with_kubectl(cluster: KubernetesServer) -> None:
    """A key is a ConfigMap with the key's name in an annotation, and its data as it was written."""
    shelf = GkeTarget(configure(cluster)).shelf()
    tag = shelf.put("journal/one", b'{"step": "staged"}\n', None)
    found = cluster.objects.list("ConfigMap", "shop", {"pymacaron/shelf": "shop"})
    assert [one["metadata"]["annotations"] for one in found] == [{"pymacaron/key": "journal/one"}]
    assert json.loads(base64.b64decode(found[0]["binaryData"]["data"])) == {"step": "staged"}
    assert tag == found[0]["metadata"]["resourceVersion"]
