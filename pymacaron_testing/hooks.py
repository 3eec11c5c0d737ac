"""Hooks that a service's conftest.py may implement for the test plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pymacaron_testing.session import TargetSession
    from pymacaron_testing.target import Target


@pytest.hookspec(firstresult=True)
def pytest_pymacaron_auth(config: pytest.Config, target: Target, http: TargetSession, user: int) -> str | None:
    """Return the header line that identifies a user to the target, ``Authorization: Token abc``, or None.

    For services with users of their own: sign one up through *http*, a requests.Session bound to ``target.url`` whose
    requests the report counts, log in, return the line. It is asked for when the first operation with security is
    tested, and again if the target refuses the line later. A function that takes *user* is also asked for another user,
    1 instead of 0, whom the first one's things are none of the business of.
    """


@pytest.hookspec
def pytest_pymacaron_cleanup(config: pytest.Config, target: Target, http: TargetSession) -> None:
    """Delete what a run left behind and the document has no way to delete.

    It is called once, however the run ended, after what can be deleted by the document was. *http* is as in
    `pytest_pymacaron_auth`.
    """
