"""A real registry, with tokens, with faults in front of it, and what `docker login` leaves behind."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from images import Registry, run_registry
from pymacaron.deploy.reference import ImageReference, parse_reference
from pymacaron.deploy.registry import Manifest, RegistryClient
from pymacaron.deploy.registry_login import Credentials, find_credentials
from pymacaron.exceptions import ConfigError, TargetError

_SERVICE = "registry.test"


class _Tokens(BaseHTTPRequestHandler):
    """A token server (distribution's token authentication): alice may do everything, nobody else anything."""

    key: ClassVar[ec.EllipticCurvePrivateKey]
    certificate: ClassVar[x509.Certificate]
    asked: ClassVar[list[list[str]]]

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.asked.append(asked.get("scope", []))
        expected = "Basic " + base64.b64encode(b"alice:pass:word").decode()
        if self.headers.get("Authorization") != expected:
            self._answer(401, {"details": "who are you"})
            return
        access = [
            dict(zip(("type", "name", "actions"), (*scope.split(":")[:2], scope.split(":")[2].split(",")), strict=True))
            for scope in " ".join(asked.get("scope", [])).split()
        ]
        now = int(time.time())
        told = {"iss": _SERVICE, "sub": "alice", "aud": _SERVICE, "iat": now, "nbf": now - 5, "exp": now + 60}
        chain = [base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()]
        token = jwt.encode({**told, "jti": secrets.token_hex(8), "access": access}, self.key, "ES256", {"x5c": chain})
        self._answer(200, {"token": token})

    def _answer(self, status: int, content: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[dict[str, object]]:
    """Run a token server and return what a registry must be told about it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = built.sign(key, hashes.SHA256())
    bundle = tmp_path / "tokens.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    asked: list[list[str]] = []
    handler = type("Tokens", (_Tokens,), {"key": key, "certificate": certificate, "asked": asked})
    with _serving(handler) as port:
        yield {
            "auth": {
                "token": {
                    "realm": f"http://127.0.0.1:{port}/token",
                    "service": _SERVICE,
                    "issuer": _SERVICE,
                    "rootcertbundle": str(bundle),
                }
            },
            "asked": asked,
        }


class _serving:  # noqa: N801 - used like a function
    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> int:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self._server.server_port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class _Plan:
    """What goes wrong. refuse: (method, path, length) -> status, 0 to pass it on, -1 to hang up. seen: all requests."""

    target: str
    refuse: Callable[[str, str, int], int]
    seen: list[str] = field(default_factory=list)


def _fault_handler(plan: _Plan) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            plan.seen.append(self.command)
            status = plan.refuse(self.command, self.path, length)
            if status < 0:
                self.close_connection = True
                return
            if status:
                self._send(status, {}, b"")
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            answer = requests.request(
                self.command, f"http://{plan.target}{self.path}", headers=headers, data=body, timeout=30
            )
            self._send(answer.status_code, dict(answer.headers), answer.content)

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "connection", "transfer-encoding", "date"}:
                    self.send_header(name, value)
            self.send_header(
                "Content-Length", headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _pass  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler


def put_file(folder: Path, size: int) -> tuple[str, Path]:
    """Write a file of random bytes and return its digest and the file."""
    file = folder / secrets.token_hex(4)
    file.write_bytes(secrets.token_bytes(size))
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}", file


def fetch_again(registry: Registry, digest: str, tmp_path: Path) -> bytes:
    RegistryClient(ImageReference(registry.host, "team/shop")).fetch_blob(digest, tmp_path / "again")
    return (tmp_path / "again").read_bytes()


def test_uploads_in_parts_where_long_bodies_are_refused(registry: Registry, tmp_path: Path) -> None:
    """413 makes it send parts; a part that is lost, or refused for now, is sent again."""
    lost = iter([-1, 0, 503, 0, 0, 0, 0, 0])

    def refuse(method: str, _: str, length: int) -> int:
        if method == "PUT" and length:
            return 413
        return next(lost) if method == "PATCH" else 0

    plan = _Plan(registry.host, refuse)
    digest, file = put_file(tmp_path, 20 * 1024 * 1024)
    with _serving(_fault_handler(plan)) as port:
        RegistryClient(ImageReference(f"127.0.0.1:{port}", "team/shop")).push_blob(digest, file)

    assert fetch_again(registry, digest, tmp_path) == file.read_bytes()
    assert plan.seen.count("PATCH") == 5  # three parts, two of them twice


def test_tries_again_what_may_pass(registry: Registry, tmp_path: Path) -> None:
    """Errors that pass, and connections that are cut, are no reason to give up."""
    faults = iter([503, 0, -1, 429, 0, 502, 0])
    plan = _Plan(registry.host, lambda *_: next(faults, 0))
    digest, file = put_file(tmp_path, 1000)
    with _serving(_fault_handler(plan)) as port:
        client = RegistryClient(ImageReference(f"127.0.0.1:{port}", "team/shop"))
        assert not client.has_blob(digest)
        client.push_blob(digest, file)
        assert client.has_blob(digest)
    assert fetch_again(registry, digest, tmp_path) == file.read_bytes()


def test_gives_up_with_the_reason(registry: Registry, tmp_path: Path) -> None:
    """What does not pass ends in an error that says what to do."""
    digest, file = put_file(tmp_path, 10)
    with _serving(_fault_handler(_Plan(registry.host, lambda *_: 403))) as port:
        reference = ImageReference(f"127.0.0.1:{port}", "team/shop")
        with pytest.raises(TargetError) as raised:
            RegistryClient(reference).push_blob(digest, file)
    assert str(raised.value) == (
        f"{reference}: the registry takes no layers (status 403). "
        f"Run docker login 127.0.0.1:{port} with an account that may."
    )


def test_never_takes_a_blob_for_another(registry: Registry, tmp_path: Path) -> None:
    """A blob or a manifest that is not what its digest says is refused, and no file is left."""
    other = f"sha256:{'0' * 64}"
    digest, file = put_file(tmp_path, 10)
    RegistryClient(ImageReference(registry.host, "team/shop")).push_blob(digest, file)
    plan = _Plan(registry.host, lambda *_: 0)
    handler = _fault_handler(plan)
    original = handler._pass  # type: ignore[attr-defined]

    def swap(self: BaseHTTPRequestHandler) -> None:
        self.path = self.path.replace(other, digest)
        original(self)

    handler.do_GET = swap  # type: ignore[attr-defined]
    with _serving(handler) as port:
        client = RegistryClient(ImageReference(f"127.0.0.1:{port}", "team/shop"))
        with pytest.raises(TargetError, match=rf"{other} does not come whole\. Try again\."):
            client.fetch_blob(other, tmp_path / "fetched")
    assert not list(tmp_path.glob("fetched*"))


def test_logs_in_with_tokens(tmp_path: Path, tokens: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that wants tokens gets them for what `docker login` left; others are told what to do."""
    with run_registry(tmp_path / "registry", {"auth": tokens["auth"]}) as registry:
        reference = ImageReference(registry.host, "team/shop")
        digest, file = put_file(tmp_path, 100)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        realm = tokens["auth"]["token"]["realm"]  # type: ignore[index]
        with pytest.raises(TargetError) as raised:
            RegistryClient(reference).push_blob(digest, file)
        assert str(raised.value) == (
            f"{realm}: it gives no token to nobody: status 401. Run docker login for that registry."
        )

        entry = {"auth": base64.b64encode(b"alice:pass:word").decode()}
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: entry}}))
        RegistryClient(reference).push_blob(digest, file)
        client = RegistryClient(ImageReference(registry.host, "team/copy"), source="team/shop")
        assert not client.has_blob(digest)
        assert client.mount_blob(digest)
        assert client.has_blob(digest)
    assert "repository:team/shop:pull" in tokens["asked"][-1]  # type: ignore[index]


def test_finds_what_docker_login_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of the file, identity tokens and credential programs are found, the most particular first."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, answer in (
        ("some", '{"Username": "bob", "Secret": "b"}'),
        ("token", '{"Username": "<token>", "Secret": "t"}'),
        ("broken", "Welcome!"),
    ):
        program = programs / f"docker-credential-{name}"
        program.write_text(
            "#!/bin/sh\nread key\n"
            "[ $key = unknown.example ] && { echo 'credentials not found'; exit 1; }\n"
            f"echo '{answer}'\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    hub = {"auth": base64.b64encode(b"carol:c").decode()}
    told = {
        "auths": {"https://index.docker.io/v1/": hub, "r.example": {"identitytoken": "i"}},
        "credHelpers": {"ecr.example": "some", "acr.example": "token", "broken.example": "broken"},
        "credsStore": "some",
    }
    (tmp_path / "config.json").write_text(json.dumps(told))

    assert find_credentials("docker.io", tmp_path) == Credentials("carol", "c")
    assert find_credentials("r.example", tmp_path) == Credentials(identity_token="i")
    assert find_credentials("ecr.example", tmp_path) == Credentials("bob", "b")
    assert find_credentials("acr.example", tmp_path) == Credentials(identity_token="t")
    assert find_credentials("unknown.example", tmp_path) is None
    with pytest.raises(
        TargetError, match=r"^broken\.example: docker-credential-broken tells no Username and Secret in "
    ):
        find_credentials("broken.example", tmp_path)
    assert find_credentials("r.example", tmp_path / "nothing") is None
    assert "carol" in repr(Credentials("carol", "c"))
    assert "'c'" not in repr(Credentials("carol", "c"))


def test_manifests_are_found_by_tag_and_digest(registry: Registry, tmp_path: Path) -> None:
    """A manifest that was pushed with a tag is there by both, byte by byte."""
    client = RegistryClient(ImageReference(registry.host, "team/shop"))
    digest, file = put_file(tmp_path, 10)
    client.push_blob(digest, file)
    part = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 10}
    kind = "application/vnd.oci.image.manifest.v1+json"
    content = {"schemaVersion": 2, "mediaType": kind, "config": part, "layers": []}
    manifest = Manifest(json.dumps(content).encode(), kind)

    assert client.find_digest("v7") is None
    assert client.push_manifest(manifest, "v7") == manifest.digest
    assert client.find_digest("v7") == manifest.digest
    assert client.fetch_manifest(manifest.digest) == manifest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("python:3.13-slim", ("docker.io", "library/python", "3.13-slim", ""), id="official"),
        pytest.param("team/shop", ("docker.io", "team/shop", "", ""), id="Docker Hub"),
        pytest.param("localhost/shop", ("localhost", "shop", "", ""), id="localhost"),
        pytest.param("r.example:5000/a/b:1", ("r.example:5000", "a/b", "1", ""), id="port"),
        pytest.param(f"r.example/a:1@sha256:{'a' * 64}", ("r.example", "a", "1", f"sha256:{'a' * 64}"), id="digest"),
    ],
)
def test_reads_names_as_docker_does(text: str, expected: tuple[str, str, str, str]) -> None:
    assert parse_reference(text, "here") == ImageReference(*expected)


@pytest.mark.parametrize("text", ["", "Shop", "r.example/", "a b", "shop@sha256:12", "shop:-"])
def test_refuses_what_is_no_name(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_reference(text, "docker_base")
    assert str(raised.value) == (
        f"docker_base: {text!r} names no image. Write small letters, as in registry.example.com/team/shop:1.2 or "
        "python:3.13-slim."
    )
