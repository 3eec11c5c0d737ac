"""Holds the answers that hand-written tests get to the documents of the run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pymacaron_testing.checks.responses import judge_answer

if TYPE_CHECKING:
    import requests

    from pymacaron.spec import Operation
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_VARIABLE = re.compile(r"\{[^{}]+\}")


class BrokenPromiseError(AssertionError):
    """An answer that a test got breaks the document; *failures* says how."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        """Take at least one failure."""
        super().__init__("\n".join(["the answer breaks its document", *map(str, failures)]))
        self.failures = failures


class AnswerCheck:
    """Judges answers by the operation that their request belongs to; others it lets pass."""

    def __init__(self, suites: tuple[Suite, ...]) -> None:
        """Take the suite of each document."""
        self._routes = [
            (operation.method.upper(), re.compile(pattern), suite, operation)
            for suite in suites
            for pattern, operation in _patterns(suite)
        ]

    def require(self, response: requests.Response) -> None:
        """Raise BrokenPromiseError if *response* breaks what the document says of its operation."""
        method = str(response.request.method).upper()
        path = urlsplit(str(response.request.url)).path
        for declared, pattern, suite, operation in self._routes:
            if declared == method and pattern.fullmatch(path):
                failures = judge_answer(suite, operation, response)
                if failures:
                    raise BrokenPromiseError(tuple(failures))
                return


def _patterns(suite: Suite) -> Iterator[tuple[str, Operation]]:
    """Yield a pattern of the paths of each operation; those with the fewest variables first."""
    prefix = urlsplit(suite.generator.base_url).path.rstrip("/")
    for operation in sorted(suite.api.operations, key=lambda one: one.path.count("{")):
        parts = [re.escape(part) for part in _VARIABLE.split(operation.path)]
        yield re.escape(prefix) + "[^/]+".join(parts), operation
