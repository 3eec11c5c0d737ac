"""Who hand-written tests call the target as: sessions and clients of users, every answer held to its document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pytest
import requests

from pymacaron.client import Answer, Client, HttpRequest, HttpResponse, Patience
from pymacaron.client.streams import is_stream_type
from pymacaron.exceptions import Call, CallConnectionError, CallTimeoutError
from pymacaron_testing.answer_check import AnswerCheck
from pymacaron_testing.run import exit_on_startup_error
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.signing import USER_ID
from pymacaron_testing.suite import Suite, build_suite

if TYPE_CHECKING:
    from pymacaron_testing.credentials import Credentials
    from pymacaron_testing.run import Run


class CheckedSession(TargetSession):
    """A requests.Session for the target whose answers must keep to the documents of the run.

    A request with ``stream=True`` is not looked at. `unchecked` is the same session for answers that break them.
    """

    def __init__(self, base_url: str, count: RequestCount, find_check: Callable[[], AnswerCheck] | None) -> None:
        """Take what finds the check when the first answer is there; None looks at nothing."""
        super().__init__(base_url, count)
        self._find_check = find_check
        self._count = count

    @property
    def unchecked(self) -> CheckedSession:
        """Return a session that sends the same credentials and looks at no answer."""
        session = CheckedSession(self.base_url, self._count, None)
        session.headers.update(self.headers)
        session.params, session.cookies = self.params, self.cookies
        return session

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send *request*. Raises BrokenPromiseError: the answer breaks its document."""
        response = super().send(request, **options)
        if not options.get("stream"):
            self.check(response)
        return response

    def check(self, response: requests.Response) -> None:
        """Raise BrokenPromiseError if *response* breaks its document."""
        if self._find_check is not None:
            self._find_check().require(response)


class _SessionTransport:
    """Carries the calls of a client over a session of the target."""

    def __init__(self, session: CheckedSession) -> None:
        self._session = session

    def send(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:
        """See `pymacaron.client.Transport`."""
        try:
            response = self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.content,
                timeout=(patience.connect_s, patience.read_s),
                allow_redirects=False,
                stream=True,
            )
            if is_stream_type(response.headers.get("Content-Type", "").split(";")[0].strip()):
                return HttpResponse(response.status_code, response.headers, response.iter_content(None), response.close)
            content = response.content
        except requests.Timeout as error:
            raise CallTimeoutError(call, "it took too long", "Look at what the service logged") from error
        except requests.RequestException as error:
            raise CallConnectionError(call, str(error), "Look at what the service logged") from error
        self._session.check(response)
        return HttpResponse(response.status_code, response.headers, iter([content]), response.close)


class Operations:
    """Calls operations by their ids, whichever document of the run they stand in: ``api.get_pet(pet_id=3)``.

    What a call returns and raises is `pymacaron.client.Client`'s: the declared model; RemoteError for 4xx and 5xx.
    ``api.send("get_pet", pet_id=3)`` returns status, headers and value instead.
    """

    def __init__(self, clients: tuple[Client, ...]) -> None:
        """Take a client for each document."""
        self._clients = clients

    def send(self, operation_id: str, /, *body: object, **parameters: object) -> Answer:
        """Call an operation by its id, and return the whole answer. Raises as `Client.send`."""
        return self._find(operation_id).send(operation_id, *body, **parameters)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method that calls an operation. Raises AttributeError."""
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(getattr(self._find(name), name))

    def __dir__(self) -> list[str]:
        return sorted({name for client in self._clients for name in dir(client) if not name.startswith("_")})

    def _find(self, name: str) -> Client:
        """Return the client that knows *name*; the last one, which complains, if none does."""
        if not self._clients:
            raise AttributeError(f"No document is known, so there is no operation {name}")
        return next((client for client in self._clients if name in dir(client)), self._clients[-1])


class Caller:
    """One user of the target, or nobody: ``caller.http`` is a session, ``caller.api`` calls operations by their ids.

    headers: what identifies the user, empty for nobody.
    """

    def __init__(
        self, session: CheckedSession, credentials: tuple[Credentials, ...], suites: tuple[Suite, ...]
    ) -> None:
        """Put *credentials* on everything that *session* sends."""
        self.http = session
        self.headers = {one.name: one.value for one in credentials if not one.is_in_query}
        session.headers.update(self.headers)
        session.params = {one.name[1:]: one.value for one in credentials if one.is_in_query}
        self._suites = suites

    @property
    def api(self) -> Operations:
        """Operations of all documents, called as this user."""
        transport = _SessionTransport(self.http)
        return Operations(tuple(_build_client(suite, transport, self.headers) for suite in self._suites))

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


def _build_client(suite: Suite, transport: _SessionTransport, headers: Mapping[str, str]) -> Client:
    return Client(
        suite.api,
        suite.generator.base_url,
        token=None,
        headers=headers,
        retries=0,
        response_validation="off",  # the session has looked at the answer already
        transport=transport,
    )


class Callers:
    """Makes the callers of a run."""

    def __init__(self, run: Run) -> None:
        """Take the run; documents and users are looked for when first needed."""
        self._run = run
        self._names: dict[str, int] = {}

    @cached_property
    def suites(self) -> tuple[Suite, ...]:
        """A suite for each document of the run."""
        with exit_on_startup_error():
            return tuple(build_suite(self._run, document) for document in self._run.find_documents())

    @cached_property
    def _check(self) -> AnswerCheck:
        return AnswerCheck(self.suites)

    def session(self, *, is_checked: bool) -> CheckedSession:
        """Return a session without credentials."""
        run = self._run
        return CheckedSession(run.target().url, run.count, (lambda: self._check) if is_checked else None)

    def anonymous(self, *, is_checked: bool = True) -> Caller:
        """Return a caller without credentials."""
        return Caller(self.session(is_checked=is_checked), (), self.suites)

    def user(self, name: str, *, is_checked: bool = True) -> Caller:
        """Return the user that the tests call *name*.

        Where tokens are signed with the service's own configuration it is the one with that id. Else names stand for
        the users that the options name, in the order in which they are first asked for; a test that asks for more
        users than there are is skipped. The empty name is the user that contract items ask as.
        """
        with exit_on_startup_error():
            credentials = self._find(name)
        return Caller(self.session(is_checked=is_checked), credentials, self.suites)

    def _find(self, name: str) -> tuple[Credentials, ...]:
        run = self._run
        if run.is_own_user():
            return (run.mint_user(name or USER_ID),)
        users = run.users()
        number = self._names.setdefault(name, len(self._names)) if name else 0
        if number >= len(users) or not users[number].all:
            pytest.skip(f"no credentials are known for {name}, user {number + 1}: add --pymacaron-auth 'Header: value'")
        return users[number].all
