"""Releases on Elastic Beanstalk: real boto3, a server made from AWS's own description, real containers."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
import requests

from clouds import engine
from clouds.aws import KEY, Cloud, run_aws
from images import Registry, require_engine, script_image, service_image
from pymacaron.config import load_config
from pymacaron.deploy.actions import ACTIONS
from pymacaron.deploy.beanstalk import BeanstalkTarget
from pymacaron.deploy.pipeline import Pipeline
from pymacaron.deploy.release import Actions, Deploy
from pymacaron.deploy.target import PlacementError, Release
from pymacaron.deploy.wishes import Wishes
from pymacaron.exceptions import ConfigError
from target_suite import CHECKS, Place, write_marked_service

# Answers at once. BREAK at the top says how it is broken.
SCRIPT = """
import hashlib, http.server, os, signal, sys, time
BREAK = ""
if BREAK == "start":
    print("no database at db.internal:5432")
    sys.exit(3)
STARTED, count = time.time(), 0

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global count
        count += 1
        secret = hashlib.sha256(os.environ.get("JWT_SECRET", "").encode()).hexdigest()
        pages = {"/ping": "{}", "/secret": secret, "/env": os.environ.get("PYM_ENV", ""),
                 "/metrics": f"process_start_time_seconds {STARTED!r}\\nrequests_total {count}\\n"}
        body = pages.get(self.path, "").encode()
        self.send_response(200 if self.path in pages else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("listening")
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
SETTINGS = """\
deploy_target: aws-beanstalk
aws_poll_interval: 0.1
aws_settle_time: 0.5
aws_start_timeout: 150
aws_dns_ttl: 0.8
aws_drain_time: 0.2
aws_hosts_max: 1
"""


MakeTarget = Callable[..., BeanstalkTarget]


@pytest.fixture(scope="module")
def aws() -> Iterator[Cloud]:
    """Run an AWS for the tests of this module, which boto3 finds; it must have no faults of its own in the end."""
    require_engine()
    with run_aws() as cloud, pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in cloud.environment.items():
            patch.setenv(name, value)
        yield cloud
        assert cloud.faults == []
    assert engine.list_containers() == []


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    """Return an image that works."""
    return script_image(registry, "script", SCRIPT)


@pytest.fixture
def application(request: pytest.FixtureRequest) -> str:
    """Return the name of an application that no other test has."""
    return "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]


@pytest.fixture
def make_target(tmp_path: Path, application: str) -> MakeTarget:
    """Return a function that makes the target of the test's application from more lines of configuration."""

    def make(lines: str = "", settings: str = SETTINGS, name: str = application) -> BeanstalkTarget:
        (tmp_path / "pym-config.yaml").write_text(f"name: {name}\n{settings}{lines}")
        return BeanstalkTarget(load_config(tmp_path))

    return make


@dataclass
class Seen:
    """What a client saw."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def calling(url: str) -> Iterator[Seen]:
    """Ask *url* all the time, each time by a new connection, as clients that look the name up."""
    seen, ended = Seen(), threading.Event()

    def ask() -> None:
        while not ended.wait(0.02):
            try:
                requests.get(url, timeout=5).raise_for_status()
                seen.answered += 1
            except requests.RequestException as error:
                seen.failed.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield seen
    finally:
        ended.set()
        asking.join()


@contextmanager
def cut_after(aws: Cloud, last: str) -> Iterator[None]:
    """Let AWS do nothing more after the call *last*, and expect that the block sees it."""
    aws.cut_after = last
    with pytest.raises(PlacementError, match="AccessDenied"):
        yield
    aws.restore()


def keep_secret(aws: Cloud, name: str, value: str) -> None:
    """Put a secret into Secrets Manager, as an operator does."""
    boto3.client("secretsmanager", endpoint_url=f"http://127.0.0.1:{aws.moto_port}").create_secret(
        Name=name, SecretString=value
    )


def keep_password(aws: Cloud, bucket: str, image: str) -> None:
    """Put the registry's password where pymacaron 2 wanted it."""
    password = json.dumps({image.partition("/")[0]: {"auth": "dXNlcjpwYXNzd29yZA=="}}).encode()
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{aws.moto_port}").put_object(
        Bucket=bucket, Key="docker/dockercfg", Body=password
    )


def read_total(page: str) -> float:
    return float(page.split("requests_total ")[1].split(maxsplit=1)[0])


def make_release(version: str, image: str = f"shop@sha256:{'0' * 64}") -> Release:
    return Release(version, image, "abc1234", "", datetime(2026, 11, 27, 18, tzinfo=UTC))


def list_shares(target: BeanstalkTarget) -> dict[str, int]:
    return {placed.release.version: placed.share for placed in target.current()}


def test_a_swap_whose_answer_is_lost_is_not_done_twice(aws: Cloud, image: str, make_target: MakeTarget) -> None:
    """AWS swaps back when asked again; clients of the live name miss no answer, nor when the old one is terminated."""
    target = make_target()
    for version in ("r1", "r2"):
        target.stage(make_release(version, image))
        if version == "r1":
            target.shift("r1", None, 100)
    before = aws.beanstalk.swaps
    aws.lost = {"SwapEnvironmentCNAMEs"}
    with calling(f"{target.live_url}/ping") as seen:
        target.shift("r2", "r1", 100)
        target.shift("r2", "r1", 100)
        assert list_shares(target) == {"r1": 0, "r2": 100}
        assert aws.beanstalk.swaps == before + 1
        started_s = time.monotonic()
        target.retire("r1")
        assert time.monotonic() - started_s > 0.5, "callers with an old DNS answer still come"
        time.sleep(0.3)
    assert list_shares(target) == {"r2": 100}
    assert seen.failed == []
    assert seen.answered > 20
    with pytest.raises(PlacementError, match=r"^aws-beanstalk: r2 has the name 127.0.0.1:\d+. Give the traffic to an"):
        target.retire("r2")


def test_calls_whose_answers_are_lost(aws: Cloud, image: str, make_target: MakeTarget) -> None:
    """Whatever was done without us knowing is found; lists come in pages; AWS may be short of time."""
    target = make_target()
    aws.lost = {"CreateApplicationVersion", "CreateEnvironment", "TerminateEnvironment", "DeleteApplicationVersion"}
    aws.throttled = 2
    aws.beanstalk.page_size = 1
    for version in ("r1", "r2"):
        assert target.stage(make_release(version, image)).share == 0
    assert list_shares(target) == {"r1": 0, "r2": 0}
    aws.beanstalk.page_size = 100
    with pytest.raises(PlacementError) as caught:
        target.stage(make_release("r1", f"shop@sha256:{'1' * 64}"))
    assert str(caught.value) == (
        f"aws-beanstalk: version r1 is there already, with the image {image}. Give each release a version of its own."
    )
    for version in ("r1", "r2", "r1"):
        target.retire(version)
    assert target.current() == []
    assert aws.lost == set()


def test_a_deploy_that_is_killed_between_two_calls_goes_on(
    aws: Cloud, image: str, make_target: MakeTarget, application: str
) -> None:
    """Whichever call was the last one, the next process completes the step; names are swapped once."""
    live_url = make_target().live_url
    release = make_release("r1", image)
    for last in ("bundles/r1.zip", "CreateApplicationVersion", "CreateEnvironment"):
        with cut_after(aws, last):
            make_target().stage(release)
    make_target().stage(release)
    with cut_after(aws, "PUT /elasticbeanstalk-eu-west-1-123456789012/pymacaron"):
        make_target().shift("r1", None, 100)
    make_target().shift("r1", None, 100)
    assert [one.name for one in aws.beanstalk.environments if application in one.name] == [f"{application}-r1"]
    make_target().stage(make_release("r2", image))
    before = aws.beanstalk.swaps
    with calling(f"{live_url}/ping") as seen:
        for last in ("traffic.json", "SwapEnvironmentCNAMEs"):
            with cut_after(aws, last):
                make_target().shift("r2", "r1", 100)
        make_target().shift("r2", "r1", 100)
        assert list_shares(make_target()) == {"r1": 0, "r2": 100}
        assert aws.beanstalk.swaps == before + 1
        for last in ("TerminateEnvironment", "DeleteApplicationVersion"):
            with cut_after(aws, last):
                make_target().retire("r1")
        make_target().retire("r1")
        time.sleep(0.2)
    assert list_shares(make_target()) == {"r2": 100}
    assert seen.failed == []


@pytest.mark.usefixtures("aws")
def test_a_release_that_does_not_start(registry: Registry, make_target: MakeTarget, application: str) -> None:
    """Red is told with Beanstalk's causes and events, and with the last lines of the log."""
    broken = script_image(registry, "broken", SCRIPT.replace('BREAK = ""', 'BREAK = "start"'))
    target = make_target()
    with pytest.raises(PlacementError) as caught:
        target.stage(make_release("r1", broken))
    assert str(caught.value) == (
        f"aws-beanstalk: environment {application}-r1: its health is Red, Severe; "
        "cause: it ended with exit code 3; "
        "ERROR event: Instance deployment failed: it ended with exit code 3; "
        "ERROR event: Create environment operation is complete, but with errors. Mend what its log says."
    )
    assert caught.value.lines == ("no database at db.internal:5432",)
    assert list_shares(target) == {"r1": 0}
    target.retire("r1")
    assert target.current() == []


def test_secrets_go_by_reference(
    aws: Cloud, image: str, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch, application: str
) -> None:
    """The container has the value; no request that AWS saw has it, nor has the plan."""
    value = "s3cr3t-value-of-jwt"
    monkeypatch.setenv("JWT_SECRET", value)
    monkeypatch.setenv("PYM_ENV", "live")
    keep_secret(aws, f"{application}/JWT_SECRET", value)
    aws.requests.clear()
    target = make_target("env_secrets: [JWT_SECRET]\njwt_secret: JWT_SECRET\n")
    plan = target.plan(make_release("r1", image))
    url = target.stage(make_release("r1", image)).url
    assert requests.get(f"{url}/secret", timeout=10).text == hashlib.sha256(value.encode()).hexdigest()
    assert requests.get(f"{url}/env", timeout=10).text == "live"
    assert "Its instances read JWT_SECRET by ARN, which aws-elasticbeanstalk-ec2-role must allow." in plan
    sent = [body for _, _, body in aws.requests]
    assert any(b"environmentsecrets" in body for body in sent)
    assert len(sent) > 10
    assert not any(value.encode() in body for body in sent)
    assert value not in repr(target.settings) + repr(plan)
    monkeypatch.setenv("DB_PASSWORD", "another")
    with pytest.raises(ConfigError) as caught:
        make_target("env_secrets: [JWT_SECRET, DB_PASSWORD]\n").stage(make_release("r2", image))
    assert str(caught.value).endswith(
        "pym-config.yaml: env_secrets: AWS has no secret DB_PASSWORD. "
        "Run: aws secretsmanager create-secret --name DB_PASSWORD, or set aws_secrets.DB_PASSWORD to an ARN."
    )


def test_several_instances(aws: Cloud, image: str, make_target: MakeTarget) -> None:
    """Metrics are the sum of all instances, whichever the load balancer chooses; one that fails makes it Red."""
    target = make_target("aws_hosts_min: 2\naws_hosts_max: 2\n", SETTINGS.replace("aws_hosts_max: 1\n", ""))
    url = target.stage(make_release("r1", image)).url
    target.check("r1")
    base = read_total(target.metrics("r1"))
    for _ in range(10):
        assert requests.get(f"{url}/ping", timeout=10).ok
    assert read_total(target.metrics("r1")) >= base + 10
    one = aws.beanstalk.environments[-1]
    assert one.launched is not None
    engine.remove_container(one.launched.containers[0])
    with pytest.raises(PlacementError, match=r"Red, Severe; cause: 100.0 % of the requests are failing with HTTP 5xx"):
        target.check("r1")


def test_an_environment_of_pymacaron_2(aws: Cloud, image: str, make_target: MakeTarget, application: str) -> None:
    """Who had the live name before gives it away, and is left alone; names that others have are not taken."""
    client = boto3.client("elasticbeanstalk")
    old = make_target(f"aws_cname_prefix: {application}-before\n")
    old.stage(make_release("old", image))
    client_name = aws.beanstalk.environments[-1].name
    target = make_target(f"aws_cname_prefix: {application}-before\ndocker_bucket: {application}\n")
    boto3.client("s3").create_bucket(Bucket=application, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    keep_password(aws, application, image)
    assert target.current() == [], "its bundle is not in our bucket: another one made it"
    plan = target.plan(make_release("new", image))
    assert f"Once it has passed, it swaps names with {client_name}, which is {target.live_url[7:]}." in plan
    assert target.stage(make_release("new", image)).share == 0
    bundle = boto3.client("s3").get_object(Bucket=application, Key=f"pymacaron/{application}/bundles/new.zip")
    with zipfile.ZipFile(io.BytesIO(bundle["Body"].read())) as packed:
        login = json.loads(packed.read("Dockerrun.aws.json"))
    assert login == {
        "AWSEBDockerrunVersion": "3",
        "Authentication": {"bucket": application, "key": "docker/dockercfg"},
    }
    target.shift("new", None, 100)
    assert list_shares(target) == {"new": 100}
    names = {
        one["EnvironmentName"]: one["CNAME"]
        for one in client.describe_environments(ApplicationName=application)["Environments"]
    }
    assert f"http://{names[f'{application}-new']}" == target.live_url
    other = make_target(f"aws_cname_prefix: {application}-before\n", name=f"{application}x")
    with pytest.raises(PlacementError, match=r"the name \S+ is taken, by nobody of \w+\. Set aws_cname_prefix to anot"):
        other.stage(make_release("r1", image))


@pytest.mark.usefixtures("aws")
def test_what_aws_refuses(make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that are wrong, or not there at all, and options that AWS does not know are told in one sentence."""
    with pytest.raises(PlacementError) as caught:
        make_target("aws_access_key_id: AKIAWRONG\naws_secret_access_key: wrong\n").current()
    assert str(caught.value) == (
        "AWS DescribeEnvironments: InvalidClientTokenId: The security token included in the request is invalid. "
        "These credentials are not valid: set aws_user to a profile of ~/.aws, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY."
    )
    with pytest.raises(PlacementError, match="SignatureDoesNotMatch"):
        make_target(f"aws_access_key_id: {KEY}\naws_secret_access_key: wrong\n").current()
    with pytest.raises(ConfigError, match=r"aws_user: there is no profile called nobody. Run: aws configure --profile"):
        make_target("aws_user: nobody\n")
    with pytest.raises(PlacementError) as caught:
        make_target().shift("r1", "r0", 25)
    assert str(caught.value) == (
        "aws-beanstalk: 25 percent cannot be had: names are swapped between environments. Shift 100 percent."
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(PlacementError, match=r"DescribeEnvironments: Unable to locate credentials. Set aws_user to a"):
        make_target().current()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigError, match=r"aws_region: no region is set. Write one, such as eu-west-1"):
        make_target()


def run_deploy(target: BeanstalkTarget, image: str) -> Deploy:
    """Deploy *image*, with a lock and on record; what only tests the release is left out."""
    pipeline = Pipeline(target._config, target, target._config.folder, lambda _: None)
    with pipeline.holding():
        deploy = pipeline.start(Wishes(image=image, is_ungated=True))
        left_out: Actions = dict.fromkeys(("documents", "unit-tests", "local", "tests", "contract"), lambda *_: {})
        deploy.actions = {**ACTIONS, **left_out}
        deploy.run()
    return deploy


def test_a_whole_deploy_is_on_record_in_s3(
    aws: Cloud, registry: Registry, image: str, make_target: MakeTarget, application: str
) -> None:
    """Releases go live one after the other, one that does not start never does, and any machine can read why."""
    target = make_target("deploy_step_time: 0\ndeploy_bake_time: 0\n")
    first = run_deploy(target, image)
    assert first.journal.outcome == "live"
    broken = script_image(registry, "broken", SCRIPT.replace('BREAK = ""', 'BREAK = "start"'))
    with calling(f"{target.live_url}/ping") as seen:
        failed = run_deploy(target, broken)
        assert failed.journal.outcome == "failed"
        assert "ERROR event: Instance deployment failed" in str(failed.journal.facts["reason"])
        assert list_shares(target) == {first.release.version: 100}
        second = run_deploy(target, image)
    assert list_shares(target) == {second.release.version: 100}
    assert seen.failed == []
    other = Pipeline(target._config, make_target(), target._config.folder, lambda _: None)
    assert [status.outcome for status in other.list()] == ["live", "failed", "live"]
    stored = boto3.client("s3").list_objects_v2(
        Bucket="elasticbeanstalk-eu-west-1-123456789012", Prefix=f"pymacaron/{application}/deploy/"
    )
    assert len(stored["Contents"]) >= 3
    assert aws.faults == []


@pytest.fixture(scope="module")
def marked_image(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return what builds the marked service, each mark once."""
    built: dict[str, str] = {}

    def build(mark: str) -> str:
        if mark not in built:
            folder = write_marked_service(tmp_path_factory.mktemp(mark) / "marked", mark)
            built[mark] = service_image(registry, folder, version=mark)
        return built[mark]

    return build


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.usefixtures("aws")
def test_beanstalk_is_a_target(
    check: Callable[[Place], None], make_target: MakeTarget, marked_image: Callable[[str], str]
) -> None:
    """Environments that swap their names do what every target must do."""
    check(Place(make_target, marked_image))


def test_the_server_is_like_aws(aws: Cloud) -> None:
    """Botocore's own waiters work with it, and what AWS would refuse, it refuses."""
    client = boto3.client("elasticbeanstalk")
    with pytest.raises(client.exceptions.ClientError, match="No Application named 'none' found"):
        client.create_application_version(
            ApplicationName="none", VersionLabel="1", SourceBundle={"S3Bucket": "none", "S3Key": "none"}
        )
    gone = [one for one in aws.beanstalk.environments if one.status == "Terminated"]
    if gone:
        waiter = client.get_waiter("environment_terminated")
        waiter.wait(EnvironmentIds=[gone[0].environment_id], WaiterConfig={"Delay": 1, "MaxAttempts": 1})
