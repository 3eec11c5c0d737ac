"""A class that breaks promises of Flask, to see that Flask's tests notice when they are run by `in_place_of_flask`."""

from __future__ import annotations

from typing import Any

from flask import Flask


class BrokenFlask(Flask):
    """Forgets to call what was registered with ``teardown_request``."""

    def do_teardown_request(self, *_arguments: Any, **_keywords: Any) -> None:
        """Do nothing."""
