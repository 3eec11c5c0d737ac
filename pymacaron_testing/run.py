"""What one test run shares: its target, its user, what it learnt, how many requests it sent."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pymacaron.config import get_config, load_config, set_config
from pymacaron.exceptions import Finding, StartupError, TargetError
from pymacaron.spec import load_spec
from pymacaron_testing.clock import Clock
from pymacaron_testing.coverage import Coverage
from pymacaron_testing.credentials import Credentials, Identity, read_header_line
from pymacaron_testing.documents import find_own_documents, find_published
from pymacaron_testing.exchange import Redaction
from pymacaron_testing.launch import is_started, start_service, start_target
from pymacaron_testing.login import build_identity, list_passwords
from pymacaron_testing.report import Report, describe_document
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.settings import Settings, holds_service, read_settings
from pymacaron_testing.signing import (
    SECOND_USER_ID,
    USER_ID,
    Signing,
    find_signing,
    read_own_signing,
    read_token,
    sign_in,
)
from pymacaron_testing.target import ServiceProcess, Target, read_metrics
from pymacaron_testing.tokens import ORIGIN as OWN_ORIGIN
from pymacaron_testing.tokens import can_mint, mint_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymacaron.json_types import JsonObject
    from pymacaron.spec import Api

WORKER_KEY = "pymacaron"
_EXIT_CODE = 2
_SIGNED_ORIGIN = "It is a token signed with the secret of --pymacaron-jwt-secret-env"


@dataclass(frozen=True, slots=True)
class Document:
    """A document that the target is held to. source: as people are shown it."""

    api: Api
    source: str


@dataclass(slots=True)
class Run:
    """State of a run in one process. given_target: URL that the controlling process hands to its workers."""

    config: pytest.Config
    settings: Settings
    given_target: str | None = None
    run_salt: int = field(default_factory=lambda: secrets.randbelow(2**31))
    report: Report = field(default_factory=Report)
    count: RequestCount = field(default_factory=RequestCount)
    resources: Resources = field(default_factory=Resources)
    documents: list[Document] = field(default_factory=list)
    coverages: dict[str, Coverage] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    identity: Identity = field(init=False)
    _users: tuple[Identity, ...] | None = None
    _service: ServiceProcess | None = None
    _target: Target | None = None

    def __post_init__(self) -> None:
        """Prepare to find the user when one is needed."""
        given = self._given_users()
        self.identity = given[0] if given else Identity(self._find_credentials)

    # --- the process of the tests ----------------------------------------------------------------------------------

    @property
    def is_worker(self) -> bool:
        """Tell whether another pytest process controls this one (pytest-xdist)."""
        return hasattr(self.config, "workerinput")

    def prepare_process(self) -> None:
        """Make imports, PYM_ENV and configuration in the tests be those of the service in the folder.

        Raises: ConfigError.
        """
        folder = self.settings.folder
        if not holds_service(folder):
            return
        if self.settings.target is None:
            os.environ.setdefault("PYM_ENV", "test")
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        set_config(load_config(folder, needs_secrets=self.settings.target is None))

    # --- the target ------------------------------------------------------------------------------------------------

    def target(self) -> Target:
        """Return the target; a service of this folder is started when first asked for.

        Raises: TargetError: there is none, or it does not come up.
        """
        if self._target is None:
            named = self.given_target or self.settings.target
            self._target = self._start() if named is None or is_started(named) else Target(named)
            self.report.target = self._target.url
            self.report.baseline = self.settings.baseline or ""
            if not self.is_worker:
                self.report.metrics_before = self._read_metrics(self._target.url)
        return self._target

    def _read_metrics(self, url: str) -> str | None:
        return read_metrics(url, self.settings.metrics_path, self.settings.metrics_token)

    def require_target(self) -> Target:
        """Return the target, or end pytest with exit code 2 and the reason."""
        with exit_on_startup_error():
            return self.target()

    def _start(self) -> Target:
        if self.settings.target is not None:
            self._service = start_target(self.settings.target, self.settings.folder, self.settings.ready)
            return Target(self._service.url, is_own=True)
        if not holds_service(self.settings.folder):
            raise TargetError(
                Finding(
                    str(self.settings.folder),
                    "it holds no service (server.py beside apis/ or pym-config.yaml) and no target was named",
                    "Add --pymacaron-target=URL, or go to the service's folder",
                )
            )
        self._service = start_service(self.settings.folder)
        return Target(self._service.url, is_own=True)

    def session(self, url: str | None = None) -> TargetSession:
        """Return a new session bound to the target. url: of another service, whose requests do not count."""
        count = self.count if url is None else None
        return TargetSession(url or self.target().url, count, clock=self.clock)

    def find_trace(self, request_id: str) -> str:
        """Return the traceback that the service logged for a request; empty unless this process started it."""
        return self._service.find_trace(request_id) if self._service is not None and request_id else ""

    def last_words(self) -> str:
        """Return what the service that this run started printed last; empty if it started none."""
        lines = self._service.last_lines() if self._service is not None else []
        return "".join(f"\n    {line}" for line in [*(["Its last lines:"] if lines else []), *lines])

    def stop(self) -> None:
        """Take the last metrics and stop what the run started. May be called twice."""
        if self._target is not None and self.report.metrics_before is not None:
            self.report.metrics_after = self.report.metrics_after or self._read_metrics(self._target.url)
        if self._service is not None:
            self._service.stop()
            self._service = None

    # --- the users -------------------------------------------------------------------------------------------------

    def _find_credentials(self) -> Credentials | None:
        """Return who asks where no option says it: the conftest's user, else a token signed with a known key."""
        found = self._ask_conftest(0)
        if found is None and self.settings.jwt_secret:
            signing = find_signing(self.settings.jwt_secret, None)
            return sign_in(signing, USER_ID, _SIGNED_ORIGIN, scopes=self._scopes()) if signing else None
        if found is None and can_mint():
            return mint_credentials(scopes=self._scopes())
        return found

    def _given_users(self) -> list[Identity]:
        """Return the users that options name."""
        given = [_identify(user) for user in self.settings.users]
        return [*given, *(build_identity(user, self.session) for user in self.settings.file_users)]

    def users(self) -> tuple[Identity, ...]:
        """Return the users of the run, the first of whom sends everything; none knows another's things.

        Raises: StartupError.
        """
        if self._users is None:
            given = self._given_users()[1:]
            if not given and (second := self._find_second()):
                given = [_identify((second,))]
            self._users = (self.identity, *given)
        return self._users

    def count_users(self) -> int:
        """Return how many users the run has asked as; those that nothing needed are not looked for any more."""
        return sum(bool(user.all) for user in self._users or ())

    def _find_second(self) -> Credentials | None:
        """Return a second user: the conftest's, if it can tell users apart, else one that a known key signs."""
        is_named = self.settings.users or self.settings.file_users
        if not is_named and (found := self._ask_conftest(1)):
            return found
        if not self.settings.jwt_secret and self.is_own_user():
            return mint_credentials(SECOND_USER_ID, scopes=self._scopes())
        signing = self.signing() if self.settings.jwt_secret else None
        if signing is None or not signing.names_users:
            return None
        return sign_in(signing, SECOND_USER_ID, _SIGNED_ORIGIN, scopes=self._scopes())

    def _ask_conftest(self, user: int) -> Credentials | None:
        """Return the user that conftest.py signs up. user: 0, or 1 for another one, asked of hooks that take it."""
        hook = self.config.hook.pytest_pymacaron_auth
        if user and not any("user" in implementation.argnames for implementation in hook.get_hookimpls()):
            return None
        with self.session() as http:
            line = hook(config=self.config, target=self.target(), http=http, user=user)
        return self._read_line(str(line)) if line else None

    def is_own_user(self) -> bool:
        """Tell whether the first user's token was minted with the service's own configuration."""
        credentials = self.identity.get()
        return credentials is not None and credentials.origin == OWN_ORIGIN

    def mint_user(self, user_id: str) -> Credentials:
        """Return a token of any user, signed with the service's own configuration, with every scope."""
        return mint_credentials(user_id, scopes=self._scopes())

    def signing(self) -> Signing | None:
        """Return what signs the target's tokens: the named secret, or the service's own configuration.

        Raises: StartupError: the named secret did not sign the first user's token.
        """
        credentials = self.identity.get()
        secret = self.settings.jwt_secret
        if not secret:
            return read_own_signing() if self.is_own_user() else None
        token = credentials.secret if credentials and read_token(credentials.secret) else None
        signing = find_signing(secret, token)
        if signing is None:
            found = "the secret in that variable did not sign the token of --pymacaron-auth"
            raise StartupError(Finding("--pymacaron-jwt-secret-env", found, "Name the variable with the right secret"))
        return signing

    def hidden(self) -> Redaction:
        """Return what hides the secrets that are no user's."""
        refused = [credentials.redaction for credentials in self.settings.refused]
        passwords = [password for user in self.settings.file_users for password in list_passwords(user)]
        return reduce(or_, refused, Redaction((self.settings.jwt_secret or "", *passwords)))

    def _scopes(self) -> tuple[str, ...]:
        """Return every scope that any operation asks for."""
        operations = [operation for document in self.documents for operation in document.api.operations]
        needs = [
            need for operation in operations for alternative in operation.security for need in alternative.values()
        ]
        return tuple(dict.fromkeys(scope for scopes in needs for scope in scopes))

    def _read_line(self, line: str) -> Credentials:
        origin = "It is what pytest_pymacaron_auth in conftest.py returns"
        try:
            return read_header_line(line, origin)
        except ValueError as error:
            fix = "Return 'Authorization: Token …' from it"
            raise StartupError(Finding("pytest_pymacaron_auth", str(error), fix)) from error

    # --- the documents ---------------------------------------------------------------------------------------------

    def is_own_document(self, path: Path) -> bool:
        """Tell whether *path* is one of the documents that the service in the folder serves."""
        apis = self.settings.folder / "apis"
        return path.parent == apis and path in find_own_documents(apis)

    def load_document(self, source: str | Path) -> Document:
        """Read a document, which the report then lists. Raises SpecError."""
        shown = str(source)
        if isinstance(source, Path) and source.is_relative_to(self.config.rootpath):
            shown = source.relative_to(self.config.rootpath).as_posix()
        document = Document(load_spec(source, remote_ref_hosts=get_config().remote_ref_hosts), shown)
        self.documents.append(document)
        self.report.documents.append(describe_document(document.api, shown))
        return document

    def find_documents(self) -> list[Document]:
        """Return the documents of the run: those that were collected, else those that would be. Raises StartupError."""
        if not self.documents:
            own = find_own_documents(self.settings.folder / "apis") if holds_service(self.settings.folder) else []
            for source in self.named_source() or own or self._find_any_published():
                self.load_document(source)
        return self.documents

    def named_source(self) -> list[str | Path]:
        """Return the document that --pymacaron-spec names, if it does."""
        spec = self.settings.spec
        if spec is None:
            return []
        return [spec if spec.startswith(("http://", "https://")) else self.settings.folder / spec]

    def _find_any_published(self) -> list[str]:
        try:
            return self.find_published()
        except TargetError:
            return []

    def cover(self, document: Document) -> Coverage:
        """Return what the run has seen of *document*; one object for each."""
        return self.coverages.setdefault(document.source, Coverage(document.api, document.source))

    def list_coverage(self) -> list[JsonObject]:
        """Return what this process has seen, in the form of the report."""
        return [entry for coverage in self.coverages.values() for entry in coverage.to_list()]

    def find_published(self) -> list[str]:
        """Return the URLs of the documents that the target publishes. Raises TargetError."""
        return find_published(self.target().url)


def start_run(config: pytest.Config) -> Run:
    """Return the run that *config* describes; nothing is started or sent yet.

    A wrong option, or a wrong configuration of the service, ends pytest with exit code 2.
    """
    given = getattr(config, "workerinput", {}).get(WORKER_KEY)
    with exit_on_startup_error():
        settings = read_settings(config)
        run = Run(config, settings, clock=Clock(settings.max_time_s))
        if given:
            run.given_target, run.run_salt = given["target"], given["run_salt"]
            run.clock.started_at -= given["elapsed_s"]
        run.prepare_process()
    return run


def _identify(credentials: tuple[Credentials, ...]) -> Identity:
    return Identity(lambda: credentials[0], credentials[1:])


class CouldNotTest(pytest.exit.Exception):  # type: ignore[name-defined,misc]  # pytest types it as a variable
    """Ends pytest with exit code 2 and one message."""

    __module__ = "builtins"  # pytest writes the module before the name otherwise

    def __init__(self, message: str) -> None:
        """Take the message."""
        super().__init__(message, returncode=_EXIT_CODE)


@contextmanager
def exit_on_startup_error() -> Iterator[None]:
    """End pytest with one message and exit code 2 where the block raises a StartupError."""
    try:
        yield
    except StartupError as error:
        raise CouldNotTest(str(error)) from error
