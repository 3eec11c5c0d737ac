"""Releases on Cloud Run: Google's real client, its interface on loopback, revisions that are real containers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from google.cloud import run_v2

import images
from clouds.cloud_run import CloudRunServer
from clouds.cloud_storage import run_cloud_storage
from clouds.quick_image import quick_image
from clouds.weighted_proxy import WeightedProxy
from pymacaron.config import PymConfig
from pymacaron.deploy import PlacementError, Release, find_target
from pymacaron.deploy.cloud_run import CloudRunTarget
from pymacaron.deploy.cloud_run_service import build_service, read_release, split_traffic
from pymacaron.deploy.gcp import GcpSettings
from pymacaron.exceptions import ConfigError, TargetError
from target_suite import (
    CHECKS,
    Place,
    check_metrics_and_logs,
    check_second_release,
    write_marked_service,
)

SECRET = "s3cr3t=with,commas"
SERVICE = "projects/acme/locations/europe-north1/services/shop"
SERVING = (check_metrics_and_logs, check_second_release)
ANY_IMAGE = f"europe-docker.pkg.dev/acme/shop/shop@sha256:{'a' * 64}"


@pytest.fixture
def cloud() -> Iterator[CloudRunServer]:
    """Cloud Run of one project, with one secret of two versions."""
    images.require_engine()
    server = CloudRunServer()
    server.secrets["DB_PASSWORD"] = ["the one before", SECRET]
    yield server
    server.stop()


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """Cloud Storage's URL."""
    with run_cloud_storage() as url:
        yield url


def configure(cloud: CloudRunServer | None, **keys: Any) -> PymConfig:
    endpoints = dict.fromkeys(["run", "secretmanager", "logging"], cloud.endpoint if cloud else "http://127.0.0.1:9")
    given = {"gcp_endpoints": endpoints, "gcp_region": "europe-north1", "docker_repo": "acme", "stop_timeout": 0}
    return PymConfig(name="shop", **{**given, **keys})


def release(version: str, image: str = ANY_IMAGE) -> Release:
    return Release(version, image, "abc1234", "f" * 64, datetime(2026, 11, 27, 18, 15, tzinfo=UTC))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_cloud_run_does_what_every_target_must(
    check: Callable[[Place], None], cloud: CloudRunServer, storage: str, registry: images.Registry, tmp_path: Path
) -> None:
    """See target_suite.py; releases are pymacaron services where requests are counted, else what starts at once."""
    endpoints = {**dict.fromkeys(["run", "secretmanager", "logging"], cloud.endpoint), "storage": storage}
    config = configure(None, gcp_endpoints=endpoints, gcp_bucket=f"acme-{uuid4().hex}")

    def make_image(mark: str) -> str:
        if check in SERVING:
            return images.service_image(registry, write_marked_service(tmp_path / f"marked-{mark}", mark))
        return quick_image(registry, mark, crashes=mark == "crash")

    check(Place(lambda: CloudRunTarget(config), make_image))


def count_answers(url: str, requests_sent: int) -> Counter[str]:
    with requests.Session() as session:
        return Counter(session.get(f"{url}/", timeout=10).text for _ in range(requests_sent))


def test_a_release_gets_its_share_and_the_way_back_is_the_same_call(
    cloud: CloudRunServer, registry: images.Registry
) -> None:
    """A second release answers at its own URL at 0 %, then gets 25 of 100 requests, then none again."""
    target = CloudRunTarget(configure(cloud, gcp_max_instances=1))
    one, two = quick_image(registry, "one"), quick_image(registry, "two")
    assert target.current() == []
    assert target.live_url == ""
    first = target.stage(release("one", one))
    assert first.share == 0
    target.shift("one", None, 100)
    second = target.stage(release("two", two))
    assert (second.share, second.release) == (0, release("two", two))
    assert requests.get(f"{second.url}/", timeout=10).text == "two"
    assert count_answers(target.live_url, 20) == {"one": 20}
    target.shift("two", "one", 25)
    assert count_answers(target.live_url, 100) == {"one": 75, "two": 25}
    assert {placed.release.version: placed.share for placed in target.current()} == {"one": 75, "two": 25}
    assert target.metrics("two") == 'version_info{version="two"} 1\n'
    target.shift("one", "two", 100)
    assert count_answers(target.live_url, 20) == {"one": 20}
    target.retire("two")
    target.retire("two")
    assert [placed.release.version for placed in target.current()] == ["one"]


def test_metrics_are_of_all_instances(cloud: CloudRunServer, registry: images.Registry) -> None:
    """Two pages differ by the requests in between, whichever instance answers, and though one of two goes away."""
    target = CloudRunTarget(configure(cloud, gcp_max_instances=3))
    target.stage(release("one", quick_image(registry, "one")))
    with serving_instances(time.time() - 60, time.time() - 50, time.time() + 60) as instances:
        front = WeightedProxy()
        cloud.put_before("shop-one", front.url)
        front.split(dict.fromkeys(instances[:2], 1))
        before = count_requests(target.metrics("one"))
        for url, number in ((instances[0], 3), (instances[1], 40)):
            count_answers(url, number)
        assert count_requests(target.metrics("one")) - before == 43
        front.split(dict.fromkeys(instances[1:], 1))
        count_answers(instances[2], 5)
        assert count_requests(target.metrics("one")) - before == 48
        front.stop()


def test_pages_that_do_not_tell_their_instances(cloud: CloudRunServer, registry: images.Registry) -> None:
    """With more than one instance the difference of two pages may be of two instances, so there is none."""
    target = CloudRunTarget(configure(cloud))
    target.stage(release("one", quick_image(registry, "one")))
    with pytest.raises(TargetError) as caught:
        target.metrics("one")
    assert str(caught.value) == (
        "one: /metrics: it has no process_start_time_seconds to tell its instances apart by. "
        "Set gcp_max_instances to 1."
    )


class Instance(BaseHTTPRequestHandler):
    """One instance: counts what it is asked for, but for its metrics."""

    start_s = 0.0
    count = 100

    def do_GET(self) -> None:
        """Answer."""
        if self.path != "/metrics":
            type(self).count += 1
        page = f"process_start_time_seconds {self.start_s!r}\nrequests_total {self.count}\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving_instances(*starts_s: float) -> Iterator[list[str]]:
    """Serve an instance for each start, which has counted a hundred requests, none if it starts in the future."""
    servers = []
    for start_s in starts_s:
        counted = 100 if start_s < time.time() else 0
        handler = type("One", (Instance,), {"start_s": start_s, "count": counted})
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


def count_requests(page: str) -> float:
    return float(page.split("requests_total ")[1].split(maxsplit=1)[0])


def test_a_release_that_crashes_tells_its_last_lines_and_keeps_nothing_from_moving(
    cloud: CloudRunServer, registry: images.Registry
) -> None:
    """The error holds Cloud Run's reason and the log; the releases before it can still be shifted."""
    target = CloudRunTarget(configure(cloud))
    for version in ("one", "two"):
        target.stage(release(version, quick_image(registry, version)))
        target.shift(version, None, 100)
    with pytest.raises(PlacementError) as caught:
        target.stage(release("three", quick_image(registry, "three", crashes=True)))
    assert str(caught.value) == (
        "Cloud Run service shop in europe-north1: three does not come up: FailedPrecondition: Revision 'shop-three' is "
        "not ready and cannot serve traffic. The user-provided container failed to start and listen on the port "
        "defined by PORT=8080. Look at its log."
    )
    assert sorted(caught.value.lines) == ["starting three", "told to crash"]
    target.shift("one", "two", 100)
    assert count_answers(target.live_url, 10) == {"one": 10}


def test_a_deploy_that_died_finds_its_revision_again(cloud: CloudRunServer, registry: images.Registry) -> None:
    """Whatever was done before the end, the same stage completes it; another image under that version is refused."""
    image = quick_image(registry, "one")
    target = CloudRunTarget(configure(cloud))
    target._create(release("one", image), None)
    asked = len(cloud.requests)
    placed = CloudRunTarget(configure(cloud)).stage(release("one", image))
    assert requests.get(f"{placed.url}/", timeout=10).text == "one"
    assert not [name for name, _ in cloud.requests[asked:] if name.endswith(("CreateService", "UpdateService"))]
    with pytest.raises(PlacementError, match="one is there with another image"):
        target.stage(release("one"))
    target.retire("one")
    assert target.current() == []


def test_another_attempt_is_another_revision(cloud: CloudRunServer, registry: images.Registry) -> None:
    """What failed for something outside of it, a secret that was lost, comes up under the same version once mended."""
    target = CloudRunTarget(configure(cloud, env_secrets=["DB_PASSWORD"]))
    images_of = {version: quick_image(registry, version) for version in ("one", "two")}
    lost = cloud.secrets["DB_PASSWORD"]

    def lose_secret(**_: Any) -> dict[str, tuple[str, str]]:
        return {"DB_PASSWORD": ("DB_PASSWORD", "9")}

    for version in ("one", "two"):
        target._pin = lose_secret  # type: ignore[method-assign]  # the version is gone between plan and start
        with pytest.raises(PlacementError, match="Secret DB_PASSWORD/versions/9 was not found"):
            target.stage(release(version, images_of[version]))
        del target._pin
        placed = target.stage(release(version, images_of[version]))
        assert placed.share == 0
        target.shift(version, None if version == "one" else "one", 100)
        assert count_answers(target.live_url, 4) == {version: 4}
    target.retire("one")
    assert [one.name.rpartition("/")[2] for one in target._list()] == ["shop-two-2", "shop-two"]
    assert cloud.secrets["DB_PASSWORD"] == lost


def test_values_of_secrets_are_in_no_request(cloud: CloudRunServer, registry: images.Registry) -> None:
    """The container has the value; Cloud Run was told the secret's name and the number of its newest version."""
    config = configure(cloud, env_secrets=["DB_PASSWORD"], cpu_count=2, gcp_memory="1Gi", env="live")
    target = CloudRunTarget(config)
    assert "Give it DB_PASSWORD from version 2 of the secret DB_PASSWORD" in target.plan(release("one"))
    placed = target.stage(release("one", quick_image(registry, "one")))
    environment = requests.get(f"{placed.url}/environment", timeout=10).json()
    assert (environment["DB_PASSWORD"], environment["PYM_ENV"]) == (SECRET, "live")
    assert not [name for name, data in cloud.requests if SECRET.encode() in data]
    cloud.secrets["DB_PASSWORD"].append("rotated")
    target.stage(release("two", quick_image(registry, "two")))
    template = target._read().template.containers[0]
    assert {one.name: one.value_source.secret_key_ref.version for one in template.env} == {
        "DB_PASSWORD": "3",
        "PYM_ENV": "",
    }
    assert dict(template.resources.limits) == {"cpu": "2", "memory": "1Gi"}


def test_a_plan_changes_nothing_and_tells_what_cloud_run_refuses(cloud: CloudRunServer) -> None:
    """The plan is the provider's own dry run: a fault shows before anything is there."""
    assert CloudRunTarget(configure(cloud)).plan(release("one")) == [
        (
            f"Create the revision shop-one of {ANY_IMAGE} and the service shop, which anybody may call: its URL "
            "answers from the start, as Cloud Run has no service without traffic"
        ),
        "Give it the URL of the tag r74a96027 for tests",
        "Costs: instances are billed while they handle requests; 0 of each tagged revision when idle too",
        "Cloud Run validated the request and would take it",
    ]
    unbuilt = release("one", f"shop@sha256:{'0' * 64}")
    assert CloudRunTarget(configure(cloud)).plan(unbuilt)[-1] == (
        "Cloud Run validated the request, with us-docker.pkg.dev/cloudrun/container/hello in place of the image, and "
        "would take it"
    )
    with pytest.raises(TargetError) as caught:
        CloudRunTarget(configure(cloud, cpu_count=3)).plan(release("one"))
    assert str(caught.value) == (
        "Cloud Run service shop in europe-north1: InvalidArgument: template.containers[0].resources.limits.cpu: 3. "
        "Mend what Cloud Run refuses."
    )
    with pytest.raises(ConfigError) as missing:
        CloudRunTarget(configure(cloud, env_secrets=["API_KEY", "DB_PASSWORD", "TOKEN"])).plan(release("one"))
    assert [finding.where for finding in missing.value.findings] == ["env_secrets: API_KEY", "env_secrets: TOKEN"]
    assert CloudRunTarget(configure(cloud)).current() == []


def test_what_another_one_changed_meanwhile_is_not_overwritten(
    cloud: CloudRunServer, registry: images.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of something else between reading and writing is read again; one of the traffic stops the shift."""
    target, other = CloudRunTarget(configure(cloud)), CloudRunTarget(configure(cloud))
    for version in ("one", "two"):
        target.stage(release(version, quick_image(registry, version)))
    target.shift("one", None, 100)
    send = target._update

    def meddle(change: Any) -> None:
        waiting = [change]

        def send_late(*arguments: Any, **options: Any) -> Any:
            if waiting:
                waiting.pop()()
            return send(*arguments, **options)

        monkeypatch.setattr(target, "_update", send_late)

    meddle(lambda: cloud.touch(SERVICE))
    target.shift("two", "one", 25)
    assert {placed.release.version: placed.share for placed in target.current()} == {"one": 75, "two": 25}
    meddle(lambda: other.shift("two", "one", 50))
    with pytest.raises(TargetError) as caught:
        target.shift("two", "one", 100)
    assert str(caught.value) == (
        "Cloud Run service shop in europe-north1: another one changed the traffic meanwhile, from "
        "{'shop-one': 75, 'shop-two': 25} to {'shop-one': 50, 'shop-two': 50}. See who else deploys."
    )


def test_a_service_that_pymacaron_2_deployed_is_the_first_baseline(
    cloud: CloudRunServer, registry: images.Registry
) -> None:
    """Traffic that follows the latest revision is pinned to it, and a plain value gives way to a reference."""
    target = CloudRunTarget(configure(cloud, env_secrets=["DB_PASSWORD"]))
    old = run_v2.Container(
        image=quick_image(registry, "old"),
        env=[run_v2.EnvVar(name="DB_PASSWORD", value="plain"), run_v2.EnvVar(name="REGION", value="eu")],
    )
    service = run_v2.Service(template=run_v2.RevisionTemplate(containers=[old]))
    target._services.create_service(
        parent=SERVICE.rpartition("/services/")[0], service=service, service_id="shop"
    ).result()
    baseline = target.current()[0]
    assert (baseline.share, baseline.release.revision) == (100, "")
    target.stage(release("new", quick_image(registry, "new")))
    assert count_answers(target.live_url, 10) == {"old": 10}
    target.shift("new", baseline.release.version, 25)
    assert count_answers(target.live_url, 8) == {"old": 6, "new": 2}
    environment = {
        one.name: (one.value, one.value_source.secret_key_ref.secret)
        for one in target._read().template.containers[0].env
    }
    assert environment == {"REGION": ("eu", ""), "DB_PASSWORD": ("", "DB_PASSWORD")}


def test_lock_and_journal_lie_in_a_bucket(storage: str) -> None:
    """Each write has a condition: the generation that was read, or that there is none; the bucket makes itself."""
    config = configure(None, gcp_endpoints={"run": "http://127.0.0.1:9", "storage": storage})
    target = find_target(config, "gcp-cloud-run")
    shelf, other = target.shelf(), target.shelf()
    assert shelf.get("lock") is None
    assert shelf.keys("") == []
    tag = shelf.put("lock", b"me", None)
    assert other.get("lock") == (b"me", tag)
    with pytest.raises(TargetError, match="Cloud Storage bucket acme-pymacaron: lock: another one wrote it meanwhile"):
        other.put("lock", b"other", None)
    newer = other.put("lock", b"me still", tag)
    with pytest.raises(TargetError, match="another one wrote it meanwhile"):
        shelf.put("lock", b"late", tag)
    with pytest.raises(TargetError, match="another one wrote it meanwhile"):
        shelf.delete("lock", tag)
    with pytest.raises(TargetError, match="another one wrote it meanwhile"):
        shelf.put("journal/one", b"", newer)
    shelf.put("journal/two", b"{}", None)
    assert shelf.keys("journal/") == ["journal/two"]
    shelf.delete("lock", newer)
    shelf.delete("lock", newer)
    assert shelf.keys("") == ["journal/two"]


def test_an_operator_s_own_settings_stay() -> None:
    """Of an existing service only the release's own parts change: network, tags and variables of others are kept."""
    template = run_v2.RevisionTemplate(
        revision="shop-one",
        vpc_access=run_v2.VpcAccess(connector="lan"),
        containers=[run_v2.Container(image="old", env=[run_v2.EnvVar(name="REGION", value="eu")])],
        annotations={"team": "pets", "pymacaron/environment": "GONE"},
    )
    template.containers[0].env.append(run_v2.EnvVar(name="GONE", value="set by the release before"))
    existing = run_v2.Service(
        name=SERVICE, etag='"7"', template=template, traffic=split_traffic({"shop-one": 100}, [("shop-one", "debug")])
    )
    existing.traffic_statuses = [
        run_v2.TrafficTargetStatus(revision="shop-one", percent=100, tag="debug", uri="https://debug")
    ]
    settings = GcpSettings(
        gcp_region="europe-north1", gcp_min_instances=1, gcp_max_instances=5, gcp_request_concurrency=40
    )
    revisions = [run_v2.Revision(name=f"{SERVICE}/revisions/shop-one")]
    built = build_service(configure(None), settings, release("two"), secrets={}, existing=existing, revisions=revisions)
    assert (built.etag, built.template.vpc_access.connector, built.template.annotations["team"]) == (
        '"7"',
        "lan",
        "pets",
    )
    assert [one.name for one in built.template.containers[0].env] == ["REGION"]
    assert [(one.revision, one.percent, one.tag) for one in built.traffic] == [
        ("shop-one", 100, "debug"),
        ("shop-one", 0, "r74a96027"),
        ("shop-two", 0, "rf5f6f63b"),
    ]
    assert built.template.max_instance_request_concurrency == 40
    assert (built.template.scaling.min_instance_count, built.template.scaling.max_instance_count) == (1, 5)
    assert (existing.template.revision, existing.template.containers[0].image) == ("shop-one", "old")


def test_a_revision_of_others_is_a_release_too() -> None:
    """What is known of it is told, and its name is its version."""
    revision = run_v2.Revision(
        name=f"{SERVICE}/revisions/shop-00012-abc",
        containers=[run_v2.Container(image="gcr.io:443/acme/shop:200101")],
        create_time=datetime(2020, 1, 1, tzinfo=UTC),
    )
    found = read_release(revision)
    assert found == Release(
        "shop-00012-abc", f"gcr.io:443/acme/shop@sha256:{'0' * 64}", "", "", datetime(2020, 1, 1, tzinfo=UTC)
    )
