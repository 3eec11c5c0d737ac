"""One address for all of AWS: Beanstalk is ours, the rest is moto's; every request that arrives is kept."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from clouds.beanstalk import Beanstalk
from clouds.beanstalk_instances import Stores
from clouds.query_protocol import QueryError, ShapeError, decode_request, encode_answer, encode_error

KEY = "AKIATESTTESTTESTTEST"
SECRET = "test-secret-access-key"  # the only account's
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_SIGNED = re.compile(r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]+)")
_MOTO = Path(__file__).parents[2] / "benchmarks" / "dynamodb_server.py"  # moto's of every service, one call at a time
_START_TIMEOUT_S = 60
_JSON = frozenset({"ecr", "secretsmanager"})  # services that speak JSON; S3's errors are near enough to Query's
_RESENT = frozenset({"connection", "transfer-encoding", "content-length", "date", "server"})


class Cloud:
    """A running AWS. requests: (service, method and path, body) of every request. faults: of this server itself.

    throttled: calls of Beanstalk that are refused from now on. lost: actions that are done once, without an answer.
    cut_after: action of Beanstalk, or part of ``METHOD /path``, after which nothing more is done, as if the caller had
    been killed; "" until then.
    """

    def __init__(self, beanstalk: Beanstalk, moto_port: int) -> None:
        """Listen on a free port."""
        self.beanstalk = beanstalk
        self.moto_port = moto_port
        self.requests: list[tuple[str, str, bytes]] = []
        self.actions: list[str] = []
        self.faults: list[str] = []
        self.throttled = 0
        self.lost: set[str] = set()
        self.cut_after = ""
        self._is_cut = False
        self.model = botocore.session.get_session().get_service_model("elasticbeanstalk")
        handler = type("Handler", (_Handler,), {"cloud": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="aws", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where AWS is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which boto3 finds this AWS, and may use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": self.beanstalk.region,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def restore(self) -> None:
        """Do again what is asked for."""
        assert self._is_cut, f"{self.cut_after} never came"
        self.cut_after, self._is_cut = "", False

    def check(self) -> None:
        """Refuse, if it is cut. Raises QueryError."""
        if self._is_cut:
            raise QueryError("AccessDenied", "the caller is no more", 403)

    def cut(self, done: str) -> None:
        """Cut if *done* is what was waited for."""
        if self.cut_after and self.cut_after in done:
            self._is_cut = True

    def close(self) -> None:
        """Stop serving, and remove what runs."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.beanstalk.close()


@contextlib.contextmanager
def run_aws(
    *, registries: Mapping[str, str] | None = None, region: str = "eu-west-1", **options: float
) -> Iterator[Cloud]:
    """Run an AWS with one account, whose access key is KEY. options: see `Beanstalk`."""
    with _run_moto() as moto_port:
        stores = Stores(f"http://127.0.0.1:{moto_port}", region, registries or {})
        cloud = Cloud(Beanstalk(stores, region=region, **options), moto_port)
        try:
            yield cloud
        finally:
            cloud.close()


@contextlib.contextmanager
def _run_moto() -> Iterator[int]:
    port = _find_free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }  # moto is not ours
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, str(_MOTO), str(port)], env=environment, stdout=log, stderr=log)
        try:
            end_s = time.monotonic() + _START_TIMEOUT_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > end_s:
                    log.seek(0)
                    raise RuntimeError(f"moto does not start: {log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.05)
            yield port
        finally:
            process.kill()
            process.wait()


def _find_free_port() -> int:
    with contextlib.closing(http.client.socket.socket()) as probe:  # type: ignore[attr-defined]
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""

    def _serve(self) -> None:
        body = self._read_body()
        scope = _SCOPE.search(self.headers.get("Authorization", ""))
        service = scope["service"] if scope else "s3"
        self.cloud.requests.append((service, f"{self.command} {self.path}", body))
        try:
            if scope is not None:
                self.cloud.check()
                self._check_signature(scope, body)
            if service == "elasticbeanstalk":
                self._answer(body)
            else:
                self._pass_on(body)
                self.cloud.cut(f"{self.command} {self.path}")
        except QueryError as error:
            if service in _JSON:
                said = {"__type": error.code.replace("InvalidClientTokenId", "UnrecognizedClientException")}
                self._send(error.status, json.dumps({**said, "message": error.message}).encode())
            else:
                self._send(error.status, encode_error(error))
        except (ShapeError, TypeError, KeyError, AttributeError) as error:
            self.cloud.faults.append(f"{type(error).__name__}: {error}")
            self._send(500, encode_error(QueryError("InternalFailure", str(error), 500)))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _read_body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            pass  # the base class has answered it
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _check_signature(self, scope: re.Match[str], body: bytes) -> None:
        """Refuse what is not signed by the account. Source: IAM user guide, "Create a signed AWS API request"."""
        signed = _SIGNED.search(self.headers["Authorization"])
        if scope["key"] != KEY or signed is None:
            message = "The security token included in the request is invalid."
            raise QueryError("InvalidClientTokenId", message, 403)
        names = signed["names"].split(";")
        headers = {name: self.headers[name] for name in names}
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{self.path}", headers, body)
        request.context.update(timestamp=self.headers["X-Amz-Date"], payload_signing_enabled=True)
        signer = SigV4Auth(Credentials(KEY, SECRET), scope["service"], scope["region"])
        stated = self.headers.get("X-Amz-Content-Sha256")
        if stated and not re.fullmatch(r"[0-9a-f]{64}", stated):
            return  # S3's streams are signed piece by piece
        canonical = signer.canonical_request(request)
        if signer.signature(signer.string_to_sign(request, canonical), request) != signed["signature"]:
            message = "The request signature we calculated does not match the signature you provided."
            raise QueryError("SignatureDoesNotMatch", message, 403)

    def _answer(self, body: bytes) -> None:
        cloud = self.cloud
        operation, parameters = decode_request(cloud.model, body)
        if cloud.throttled:
            cloud.throttled -= 1
            raise QueryError("Throttling", "Rate exceeded")
        cloud.actions.append(operation.name)
        answer: dict[str, Any] = cloud.beanstalk.answer(operation.name, parameters)
        text = encode_answer(operation, answer)
        cloud.cut(operation.name)
        if operation.name in cloud.lost:
            cloud.lost.discard(operation.name)
            self.close_connection = True
            return
        self._send(200, text)

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.cloud.moto_port, timeout=30)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in {"transfer-encoding", "expect"}
        }
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        sent = {name: value for name, value in answer.getheaders() if name.lower() not in _RESENT}
        length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        self._send(answer.status, data, {**sent, "Content-Length": length})
        connection.close()

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "text/xml", "Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)
