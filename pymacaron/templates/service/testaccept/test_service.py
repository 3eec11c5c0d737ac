"""What every pymacaron service answers."""

from __future__ import annotations

from pymacaron_testing import PyMacaronTestCase


class ServiceTests(PyMacaronTestCase):
    """The built-in operations."""

    def test_ping(self) -> None:
        """The service is up."""
        self.assertHasPing()

    def test_version(self) -> None:
        """The service says what runs."""
        self.assertHasVersion()

    def test_auth_version(self) -> None:
        """Tokens are checked."""
        self.assertHasAuthVersion()
