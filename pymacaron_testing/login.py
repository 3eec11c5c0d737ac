"""Signs users of an auth file up and logs them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import requests

from pymacaron.exceptions import Finding, StartupError
from pymacaron_testing.auth_file import Call, FileUser, Login, find_token, write_payload
from pymacaron_testing.credentials import Credentials, Identity
from pymacaron_testing.wire import explain

if TYPE_CHECKING:
    from pymacaron_testing.session import TargetSession

_MIN_HIDDEN = 6


def build_identity(user: FileUser, open_session: Callable[[], TargetSession]) -> Identity:
    """Return the user's identity: who logs in does so when it is first needed, and again when it is refused."""
    origin = f"It is what {user.name} of --pymacaron-auth-file sends"
    fixed = tuple(Credentials(header.name, header.value.strip(), origin) for header in user.fixedHeaders)
    if user.loginEndpointAuth is None:
        return Identity(lambda: fixed[0], fixed[1:])
    logs_in = _LogIn(user, open_session, origin)
    return Identity(logs_in, fixed)


def list_passwords(user: FileUser) -> Iterator[str]:
    """Yield what must be shown nowhere beside the credentials; a short password would hide half of every text."""
    login = user.loginEndpointAuth
    if login and login.payloadUserPwd and len(login.payloadUserPwd.password) >= _MIN_HIDDEN:
        yield login.payloadUserPwd.password
    for header in login.headers if login else ():
        yield header.value.rpartition(" ")[2]


class _LogIn:
    """Finds a user's credentials; a user that must be made is made once."""

    def __init__(self, user: FileUser, open_session: Callable[[], TargetSession], origin: str) -> None:
        self._user = user
        self._open_session = open_session
        self._origin = origin
        self._is_made = False

    def __call__(self) -> Credentials:
        """Return the credentials. Raises: StartupError."""
        with self._open_session() as session:
            if self._user.createUsers is not None and not self._is_made:
                self._user = self._user.fill_in(
                    {one.placeHolder: one.make() for one in self._user.createUsers.generators}
                )
                self._is_made = True
                assert self._user.createUsers is not None
                self._send(session, self._user.createUsers, self._user.createUsers.payloadRaw, {})
            login = self._user.loginEndpointAuth
            assert login is not None
            body, media_type = write_payload(login)
            headers = {header.name: header.value for header in login.headers}
            response = self._send(
                session, login, body, headers if body is None else {"Content-Type": media_type, **headers}
            )
            return self._take(login, response)

    def _send(self, session: TargetSession, call: Call, body: str | None, headers: dict[str, str]) -> requests.Response:
        """Send the request. Raises: StartupError: it is not answered by a success, or a redirect, as logins do."""
        if body is not None:
            headers = {"Content-Type": call.contentType, **headers}
        data = body.encode() if body is not None else None
        request = session.prepare_request(requests.Request(call.verb, call.url, headers=headers, data=data))
        try:
            response = session.exchange(request)
        except requests.RequestException as error:
            raise self._error(call, f"got no answer ({explain(error)})", "Look at the service") from error
        if response.status_code >= requests.codes.bad_request:
            raise self._error(call, f"was answered {response.status_code}", "Correct the user in the file")
        return response

    def _take(self, login: Login, response: requests.Response) -> Credentials:
        token = login.token
        if token is None:
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in response.cookies)
            if not cookies:
                raise self._error(login, "set no cookie", "Write token: into the file if the body has one")
            return Credentials("Cookie", cookies, self._origin)
        if token.extractFrom == "header":
            found: object = response.headers.get(token.extractSelector)
        else:
            found = find_token(_read_json(response), token.extractSelector)
        if not isinstance(found, str | int) or found == "":
            place = f"{token.extractFrom} {token.extractSelector}"
            raise self._error(login, f"has no token in its answer's {place}", "Correct extractSelector")
        name = token.sendName if token.sendIn == "header" else f"?{token.sendName}"
        return Credentials(name, token.sendTemplate.replace("{token}", str(found)), self._origin)

    def _error(self, call: Call, found: str, fix: str) -> StartupError:
        where = f"--pymacaron-auth-file, {self._user.name}"
        return StartupError(Finding(where, f"{call.verb} {call.url} {found}", fix))


def _read_json(response: requests.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None
