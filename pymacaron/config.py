"""The service's configuration: pym-config.yaml and the environment, checked once, all findings together."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from flask import current_app, has_app_context
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
)

from pymacaron.config_file import ConfigFile, find_config_file, read_config_file
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.log import LogFormat

JwtAlgorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"
]
# Set by the loader, never by the file.
_LOADED = frozenset({"folder", "config_path", "env"})
_MASK = "**********"
_SHOWN_LENGTH = 80
_SAMPLE = re.compile(r"(enforce|observe|off|sample:(0(\.\d+)?|1(\.0+)?|\.\d+))\Z")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _check_mode(value: str) -> str:
    if not _SAMPLE.match(value):
        raise ValueError("write enforce, observe, off, or sample:0.01 for one answer of a hundred")
    return value


Percent = Annotated[int, Field(ge=1, le=100)]


def _check_steps(value: list[int]) -> list[int]:
    if sorted(set(value)) != value or value[-1:] != [100]:
        raise ValueError("write growing percentages, the last of them 100: [5, 25, 50, 100]")
    return value


def _check_level(value: str) -> str:
    if value.upper() not in _LEVELS:
        raise ValueError(f"write one of {', '.join(_LEVELS)}")
    return value.upper()


class PymConfig(BaseModel):
    """One service's configuration; keys that pymacaron does not know are the service's own attributes.

    Secrets are `SecretStr` (``config.jwt_secret.get_secret_value()``), own keys are as the file has them; the repr
    shows neither. folder: where the service lives. config_path: the file that was read, None without one. apis_path:
    folder of documents. env: PYM_ENV. Timeouts are seconds.
    """

    model_config = ConfigDict(
        extra="allow", validate_assignment=True, hide_input_in_errors=True, coerce_numbers_to_str=True
    )

    folder: Path = Field(default_factory=Path.cwd)
    config_path: Path | None = None
    apis_path: Path = Path("apis")
    env: str | None = None

    name: str = ""
    live_url: str | None = None
    live_host: str | None = None
    env_secrets: list[str] = []
    default_user_id: str = "PYM_DEFAULT_USER_ID"
    report_call_exceeding_ms: PositiveInt = 1000

    jwt_secret: SecretStr | None = None
    jwt_public_key: str | None = None
    jwt_private_key: SecretStr | None = None
    jwt_jwks_url: str | None = None
    jwt_algorithms: Annotated[list[JwtAlgorithm], Field(min_length=1)] = ["HS256"]
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_token_timeout: PositiveInt = 86400
    jwt_token_renew_after: PositiveInt = 10800

    validation_status: Annotated[int, Field(ge=400, le=499)] = 400
    response_validation: Annotated[str, AfterValidator(_check_mode)] | None = None
    error_format: Literal["pymacaron", "problem"] = "pymacaron"
    unknown_parameters: Literal["ignore", "refuse"] = "ignore"
    use_base_path: bool = False
    remote_ref_hosts: list[str] = []
    cors_origins: list[str] = []
    compress: bool = True
    max_body_bytes: PositiveInt = 10 * 1024 * 1024
    worker_count: PositiveInt | None = None
    thread_count: PositiveInt | None = None
    max_connections: PositiveInt = 1024
    keep_alive: PositiveInt = 75
    request_timeout: NonNegativeInt = 300
    stop_timeout: NonNegativeInt = 10
    worker_max_requests: PositiveInt | None = None
    worker_lifetime: PositiveInt | None = None
    worker_max_memory_bytes: PositiveInt | None = None
    log_level: Annotated[str, AfterValidator(_check_level)] = "INFO"
    log_format: LogFormat = "auto"
    access_log: bool = True
    metrics_path: Annotated[str, Field(pattern=r"^/[^?#\s]+$")] = "/metrics"
    metrics_host: str = "0.0.0.0"  # noqa: S104 - whoever asks for a port wants it reached by a scraper
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    metrics_token: SecretStr | None = None
    metrics_series_budget: PositiveInt = 10_000
    status_page: bool = False
    with_async: bool = False
    broker_url: SecretStr | None = None
    result_backend: SecretStr | None = None
    task_queue: str | None = None
    task_status: bool = False
    outbox: bool = False
    task_concurrency: PositiveInt | None = None
    task_time_limit: PositiveInt = 600
    task_stop_timeout: NonNegativeInt = 25
    task_max_losses: PositiveInt = 10
    task_max_memory_bytes: PositiveInt | None = None
    celery: dict[str, Any] = {}
    sentry_dsn: SecretStr | None = None
    error_report_interval: NonNegativeInt = 60
    error_report_allow: list[str] = []
    otlp_endpoint: str | None = None
    otlp_sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    scout_key: SecretStr | None = None

    database_url: SecretStr | None = None
    database_timeout: Annotated[float, Field(gt=0)] = 5.0
    database_pool_size: PositiveInt = 10

    deploy_target: str | None = None
    docker_repo: str | None = None
    docker_bucket: str | None = None
    docker_base: str | None = None
    include_links: list[str] | None = None
    cpu_count: PositiveInt | None = None
    docker_folder: Path | None = None
    docker_listen: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] = "127.0.0.1:8080"
    docker_options: list[str] = []
    docker_drain_time: NonNegativeInt = 60
    deploy_steps: Annotated[list[Percent], AfterValidator(_check_steps)] | None = None
    deploy_step_time: NonNegativeInt = 60
    deploy_bake_time: NonNegativeInt = 300
    deploy_decision_time: PositiveInt = 600
    deploy_start_time: PositiveInt = 120
    deploy_test_time: PositiveInt = 1800
    deploy_lock_time: Annotated[int, Field(ge=5)] = 60
    deploy_prometheus: str | None = None
    deploy_select: str = 'version="{version}"'
    deploy_documents_path: Annotated[str, Field(pattern=r"^/[^?#\s]+$")] = "/doc"
    deploy_profile: Literal["live", "quick", "full"] = "live"
    deploy_local_profile: Literal["live", "quick", "full"] = "full"
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None

    _secret_keys: frozenset[str] = frozenset()
    _environment_secrets: frozenset[str] = frozenset()
    _is_chosen: bool = False

    def load_pym_config(self, path: str | Path | None = None, env: str | None = None) -> None:
        """Read the configuration again, as `load_config` does, into this object. Raises ConfigError.

        Called on `get_config()` before `API`, it chooses the service's configuration.
        """
        self.__setstate__(load_config(path=path, env=env).__getstate__())
        self._is_chosen = True

    @property
    def is_chosen(self) -> bool:
        """Tell whether `load_pym_config` filled this object: a service then looks for no other configuration."""
        return self._is_chosen

    def find_secrets(self) -> frozenset[str]:
        """Return the values that no log and no report may show: typed secrets, and all that came by env_secrets."""
        typed = (getattr(self, name) for name in self.model_fields_set if name in type(self).model_fields)
        values = (value.get_secret_value() for value in typed if isinstance(value, SecretStr))
        return self._environment_secrets.union(value for value in values if value)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show what is not secret: known keys that differ from their default, own keys without their values."""
        shown: list[tuple[str | None, Any]] = []
        for name in sorted(self.model_fields_set):
            is_hidden = name in self._secret_keys or name not in type(self).model_fields
            shown.append((name, _MASK if is_hidden else getattr(self, name)))
        return shown

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            """Set a known key, checked and converted, or an own one."""

    def __getattr__(self, name: str) -> Any:
        """Return the service's own key *name*. Raises AttributeError with the file that lacks it."""
        try:
            return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers
        except AttributeError:
            if name.startswith("_"):
                raise
            path = self.config_path
            lacks = f"{path} has no key {name}" if path else f"no pym-config.yaml was read, so there is no key {name}"
            raise AttributeError(lacks, name=name, obj=self) from None


def load_config(
    folder: Path | None = None, *, path: str | Path | None = None, env: str | None = None, needs_secrets: bool = True
) -> PymConfig:
    """Return the configuration of the service in *folder*; defaults if there is no pym-config.yaml.

    path: the file, or a folder to search first. env: environment, PYM_ENV by default. Without *folder* the places of
    pymacaron 2 are searched (see `find_config_file`). Nothing is remembered: see `set_config`. needs_secrets: False
    where the service itself does not run: keys whose secret is not set here keep their defaults, below a key it is "".
    Raises: ConfigError: with everything that is wrong in the file and the environment.
    """
    env = env or os.environ.get("PYM_ENV") or None
    found = find_config_file(folder, path, env)
    home = (folder or (found.parent if found else Path(path or "."))).resolve()
    if found is None:
        return PymConfig(folder=home, apis_path=home / "apis", env=env, name=home.name)
    file = read_config_file(found, needs_secrets=needs_secrets)
    findings = file.findings + _find_bad_names(file)
    given = {key: value for key, value in file.values.items() if key not in _LOADED}
    given.setdefault("name", home.name)
    given.setdefault("apis_path", "apis")
    try:
        config = PymConfig(**given, folder=home, config_path=found, env=env)
    except ValidationError as error:
        findings += _to_findings(file, error)
    if findings:
        raise ConfigError(findings)
    config.apis_path = home / config.apis_path
    config._secret_keys = frozenset(file.secret_keys)  # noqa: SLF001 - of this module
    config._environment_secrets = frozenset(file.secrets)  # noqa: SLF001
    config.live_host = config.live_host or _host_of(config.live_url)
    return config


def find_ref_hosts() -> frozenset[str]:
    """Return `remote_ref_hosts` of the working folder's configuration, for commands that need nothing else of it.

    Empty where the configuration cannot be loaded: its secrets, for one, need not be there.
    """
    try:
        return frozenset(load_config(Path()).remote_ref_hosts)
    except ConfigError:
        return frozenset()


_process_config: PymConfig | None = None


def get_config() -> PymConfig:
    """Return the configuration in force: that of the app whose request is being handled, else the process's.

    Before anything was loaded it holds defaults; `load_pym_config` on it reads the file.
    """
    global _process_config  # noqa: PLW0603 - the one configuration of the process, as pymacaron 2 has it
    if has_app_context():
        service = current_app.extensions.get("pymacaron")
        config = getattr(service, "config", None)
        if isinstance(config, PymConfig):
            return config
    if _process_config is None:
        _process_config = PymConfig()
    return _process_config


def set_config(config: PymConfig | None) -> None:
    """Make *config* the process's configuration; None goes back to defaults."""
    global _process_config  # noqa: PLW0603
    _process_config = config


def _find_bad_names(file: ConfigFile) -> list[Finding]:
    findings = []
    for key in file.values:
        hides_own = key not in PymConfig.model_fields and (key.startswith("_") or hasattr(PymConfig, key))
        if key in _LOADED or hides_own:
            found = f"the key {key} is a name that the configuration object needs itself"
            findings.append(Finding(file.locate(key), found, "Rename the key"))
    return findings


def _to_findings(file: ConfigFile, error: ValidationError) -> list[Finding]:
    findings = []
    for detail in error.errors(include_url=False, include_context=False):
        name = str(detail["loc"][0])
        is_hidden = name in file.secret_keys or SecretStr in get_args(PymConfig.model_fields[name].annotation)
        shown = "has a value that does not fit" if is_hidden else f"is {_shorten(detail['input'])}"
        message = detail["msg"].removeprefix("Value error, ")
        found = f"{'.'.join(map(str, detail['loc']))} {shown}"
        findings.append(Finding(file.locate(*detail["loc"]), found, message[0].upper() + message[1:]))
    return findings


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _host_of(live_url: str | None) -> str | None:
    return urlsplit(live_url).hostname if live_url else None
