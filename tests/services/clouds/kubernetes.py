"""A cluster of GKE on loopback: its API over TLS, pods that are real containers, Services that really pass requests on.

What is applied is checked strictly against Kubernetes' own schemas, fields have owners, and pods get their variables
from Secrets. Deployments roll out one pod more at a time; load balancers listen on addresses of loopback.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import ssl
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.cloud import container_v1

from clouds.google_rpc import GoogleRpcServer, Method, Refusal
from clouds.kubernetes_objects import ApiError, Key, Object, Objects
from clouds.kubernetes_pods import Kubelet, Pod

_KINDS = {
    "configmaps": "ConfigMap",
    "deployments": "Deployment",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "pods": "Pod",
    "secrets": "Secret",
    "services": "Service",
}
_PATH = re.compile(
    r"/(?:api/v1|apis/[a-z]+/v[0-9]+)/namespaces/(?P<space>[^/]+)/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+)(?P<rest>/.*)?)?"
)


class KubernetesServer:
    """One cluster. requests: (method, path, body) of everything that was asked of its API; tokens: as it was sent."""

    def __init__(self) -> None:
        """Listen on free ports: the API, and GKE's own interface that tells where it is."""
        self.objects = Objects()
        self.requests: list[tuple[str, str, bytes]] = []
        self.tokens: list[str] = []
        self._kubelet = Kubelet(self.objects)
        self._authority, context = _make_certificate()
        server = self

        class Handler(_Handler):
            def answer(self, body: bytes) -> tuple[int, bytes, str]:
                server.tokens += [self.headers["Authorization"]] if "Authorization" in self.headers else []
                return server.answer(self.command, self.path, body, self.headers.get("Content-Type", ""))

        self._http = _Server(("127.0.0.1", 0), Handler)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        name = "/google.container.v1.ClusterManager/GetCluster"
        self._gke = GoogleRpcServer({name: Method(container_v1.GetClusterRequest, self._get_cluster)})

    @property
    def endpoint(self) -> str:
        """Return the address of GKE's interface, as gcp_endpoints has it."""
        return self._gke.endpoint

    def find_api(self) -> tuple[str, str]:
        """Return what GKE tells of the cluster: its address, and its authority's certificate, PEM in base64."""
        return f"127.0.0.1:{self._http.server_port}", base64.b64encode(self._authority).decode()

    def add_secret(self, namespace: str, name: str, values: dict[str, str]) -> None:
        """Add a Secret, as somebody with the right to do so did."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.add("v1", "Secret", (namespace, name), data=data)

    def add(self, version: str, kind: str, place: tuple[str, str], manager: str = "kubectl", **parts: Any) -> Object:
        """Add an object as *manager* did before; place: namespace and name."""
        given = {"apiVersion": version, "kind": kind, "metadata": {"name": place[1]}, **parts}
        made = self.objects.create((place[0], kind, place[1]), given, manager)
        self._kubelet.wake()
        return made

    def change(self, kind: str, place: tuple[str, str], changes: Object, manager: str) -> None:
        """Change an object as *manager*, such as an autoscaler."""
        self.objects.change((place[0], kind, place[1]), changes, manager)
        self._kubelet.wake()

    @property
    def pods(self) -> list[Pod]:
        """Return the pods that are there."""
        return list(self._kubelet.pods.values())

    def stop(self) -> None:
        """Stop answering, and remove all containers."""
        self._http.shutdown()
        self._http.server_close()
        self._gke.stop()
        self._kubelet.stop()

    def answer(self, method: str, target: str, body: bytes, content_type: str) -> tuple[int, bytes, str]:
        """Return status, body and media type."""
        self.requests.append((method, target, body))
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        try:
            found = self._route(method, unquote(parts.path), query, (body, content_type))
        except ApiError as error:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": error.reason}
            told = {**status, "message": error.message, "code": error.code}
            return error.code, json.dumps(told).encode(), "application/json"
        if isinstance(found, bytes):
            return 200, found, "text/plain"
        self._kubelet.wake()
        return 201 if method == "POST" else 200, json.dumps(found).encode(), "application/json"

    def _route(self, method: str, path: str, query: dict[str, str], sent: tuple[bytes, str]) -> Object | bytes:
        space = re.fullmatch(r"/api/v1/namespaces(?:/([^/]+))?", path)
        if space:
            return self._answer_namespace(method, space[1], sent[0])
        match = _PATH.fullmatch(path)
        if not match or match["kind"] not in _KINDS:
            raise ApiError(404, "NotFound", f"the server could not find the requested resource: {path}")
        kind = _KINDS[match["kind"]]
        if method == "GET" and not match["name"]:
            labels = dict(item.split("=", 1) for item in query.get("labelSelector", "").split(",") if item)
            return {"kind": f"{kind}List", "apiVersion": "v1", "items": self.objects.list(kind, match["space"], labels)}
        if method in {"POST", "PATCH"}:
            self.objects.get(("", "Namespace", match["space"]))
        key = (match["space"], kind, match["name"] or "")
        if match["rest"]:
            return self._answer_part(method, key, match["rest"], query, sent)
        return self._answer_object(method, key, query, sent)

    def _answer_namespace(self, method: str, name: str | None, body: bytes) -> Object:
        if method == "POST":
            given = json.loads(body)
            return self.objects.create(("", "Namespace", given["metadata"]["name"]), given, "client")
        return self.objects.get(("", "Namespace", name or ""))

    def _answer_object(self, method: str, key: Key, query: dict[str, str], sent: tuple[bytes, str]) -> Object:
        body, content_type = sent
        given = json.loads(body) if body else {}
        manager = query.get("fieldManager", "client")
        if method == "GET":
            return self.objects.get(key)
        if method == "POST":
            return self.objects.create((key[0], key[1], given["metadata"]["name"]), given, manager)
        if method == "PUT":
            return self.objects.replace(key, given, manager)
        if method == "PATCH" and content_type == "application/apply-patch+yaml":
            options = {"is_forced": query.get("force") == "true", "is_dry_run": query.get("dryRun") == "All"}
            return self.objects.apply(key, given, manager, **options)
        if method == "DELETE":
            return self.objects.delete(key, given.get("preconditions", {}).get("resourceVersion"))
        raise ApiError(415, "UnsupportedMediaType", f"{method} with {content_type}")

    def _answer_part(
        self, method: str, key: Key, rest: str, query: dict[str, str], sent: tuple[bytes, str]
    ) -> Object | bytes:
        if key[1] == "Deployment" and rest == "/scale" and method == "PATCH":
            replicas = int(json.loads(sent[0])["spec"]["replicas"])
            return self.objects.change(key, {"spec": {"replicas": replicas}}, "scale")
        if key[1] == "Pod" and rest == "/log":
            lines = self._kubelet.read_log(key, query.get("previous") == "true")
            return "\n".join(lines[-int(query.get("tailLines", "1000")) :]).encode()
        if key[1] == "Pod" and rest.startswith("/proxy/"):
            name, _, port = key[2].partition(":")
            return self._kubelet.fetch((key[0], "Pod", name), int(port), rest.removeprefix("/proxy"))
        raise ApiError(404, "NotFound", f"the server could not find the requested resource: {rest}")

    def _get_cluster(self, request: Any) -> Any:
        name = request.name.rpartition("/")[2]
        if name != "shop-live":
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Not found: {request.name}.")
        address, authority = self.find_api()
        master = container_v1.MasterAuth(cluster_ca_certificate=authority)
        return container_v1.Cluster(name=name, endpoint=address, master_auth=master)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up, or that do not trust the certificate."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, body: bytes) -> tuple[int, bytes, str]:
        raise NotImplementedError

    def _serve(self) -> None:
        status, body, media = self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.send_response_only(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names that http.server looks for


def _make_certificate() -> tuple[bytes, ssl.SSLContext]:
    """Return an authority's certificate, and what a server needs that has one of it for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cluster of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(public + private)
        context.load_cert_chain(file)
    return public, context
