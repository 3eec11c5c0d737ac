"""What the targets at Google share: their keys of pym-config.yaml, clients with credentials, errors told as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import google.auth
import grpc
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from pymacaron.config import PymConfig
from pymacaron.deploy.target import refuse_key
from pymacaron.exceptions import ConfigError, Finding, TargetError

Api = Literal["container", "logging", "run", "secretmanager", "storage"]
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_REGISTRY_HOSTS = ("gcr.io", "pkg.dev")
_LOGIN = "Run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"


class GcpSettings(BaseModel):
    """The keys of pym-config.yaml that begin with ``gcp_``, checked when a target is made.

    gcp_region: a region, for gke also a zone. gcp_project: by default the one that docker_repo names, then that of the
    credentials. gcp_memory: such as ``512Mi``. gcp_request_concurrency: requests that an instance has at once.
    gcp_service: name of the service at Google, by default *name*. gcp_bucket: Cloud Storage bucket of lock and journal.
    gcp_cluster: by default ``NAME-live``; gcp_namespace: by default *name*. gcp_port: where load balancers of gke
    listen. gcp_secrets: for a name of env_secrets, where its value lies, if that is not where it is looked for:
    ``SECRET``, ``SECRET:VERSION`` in Secret Manager, ``SECRET/KEY`` in Kubernetes. gcp_endpoints: other addresses of
    Google's interfaces, by name; one that begins with ``http://`` is called without encryption and credentials.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)

    gcp_region: str = Field(min_length=1)
    gcp_project: str | None = None
    gcp_memory: str | None = Field(default=None, pattern=r"^[0-9.]+[kKMGT]i?$")
    gcp_request_concurrency: PositiveInt | None = None
    gcp_service: str | None = None
    gcp_service_account: str | None = None
    gcp_min_instances: NonNegativeInt | None = None
    gcp_max_instances: PositiveInt | None = None
    gcp_bucket: str | None = None
    gcp_cluster: str | None = None
    gcp_namespace: str | None = None
    gcp_port: Annotated[int, Field(ge=1, le=65535)] = 80
    gcp_secrets: dict[str, str] = {}
    gcp_endpoints: dict[Api, str] = {}


def read_settings(config: PymConfig) -> GcpSettings:
    """Return the ``gcp_`` keys of *config*. Raises: ConfigError: one is missing, wrong or unknown."""
    given = {key: value for key, value in (config.model_extra or {}).items() if key.startswith("gcp_")}
    try:
        return GcpSettings(**given)
    except ValidationError as error:
        findings = []
        for detail in error.errors(include_url=False, include_context=False):
            key = ".".join(map(str, detail["loc"]))
            where = f"{config.config_path or 'pym-config.yaml'}: {key}"
            if detail["type"] == "extra_forbidden":
                findings.append(refuse_key(where, key, GcpSettings.model_fields, "Google Cloud"))
                continue
            found = "it is not set" if detail["type"] == "missing" else detail["msg"]
            findings.append(Finding(where, found, f"Mend {key}"))
        raise ConfigError(findings) from None


def find_project(config: PymConfig, settings: GcpSettings) -> str:
    """Return the project: gcp_project, else the one that docker_repo names, else that of the credentials.

    docker_repo is a project, as in pymacaron 2, or a repository: ``europe-docker.pkg.dev/PROJECT/…``,
    ``gcr.io/PROJECT``. Raises: ConfigError: none of them tells it.
    """
    repository = (config.docker_repo or "").removeprefix("https://")
    host, _, path = repository.partition("/")
    if settings.gcp_project:
        return settings.gcp_project
    if repository and not path and "." not in host and ":" not in host:
        return host
    if path and host.endswith(_REGISTRY_HOSTS):
        return path.partition("/")[0]
    try:
        _, project = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError:
        project = None
    if not project:
        where = f"{config.config_path or 'pym-config.yaml'}: gcp_project"
        raise ConfigError(Finding(where, "neither it, nor docker_repo, nor credentials tell the project", "Set it"))
    return str(project)


def find_credentials(endpoint: str | None) -> Any:
    """Return the application default credentials, none for an *endpoint* without encryption. Raises TargetError."""
    if is_plain(endpoint):
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    with told_as_ours("Google's application default credentials"):
        credentials, _ = google.auth.default(scopes=_SCOPES)
    return credentials


def connect(client: Any, endpoint: str | None) -> Any:
    """Return an instance of the gRPC *client*, a class of Google's, that calls *endpoint*, by default Google's own."""
    if endpoint is not None and is_plain(endpoint):
        channel = grpc.insecure_channel(urlsplit(endpoint).netloc)
        return client(transport=client.get_transport_class("grpc")(channel=channel))
    options = {"api_endpoint": urlsplit(endpoint).netloc or endpoint} if endpoint else None
    return client(credentials=find_credentials(endpoint), client_options=options)


def is_plain(endpoint: str | None) -> bool:
    """Tell whether *endpoint* is called without encryption, and so without credentials."""
    return (endpoint or "").startswith("http://")


@contextmanager
def told_as_ours(where: str, fix: str = "Mend that, and try again") -> Iterator[None]:
    """Turn Google's errors within the block into TargetError about *where*."""
    try:
        yield
    except (GoogleAPICallError, RetryError) as error:
        raise TargetError(Finding(where, say(error), fix)) from error
    except GoogleAuthError as error:
        raise TargetError(Finding(where, str(error).rstrip("."), _LOGIN)) from error


def say(error: GoogleAPICallError | RetryError) -> str:
    """Return what Google answered, as text within a sentence: ``FailedPrecondition: image not found``."""
    text = str(getattr(error, "message", "") or error).strip().rstrip(".")
    return f"{type(error).__name__}: {text}"
