"""The Location of what was created leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from pymacaron_testing.checks.examples import send_example
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_CREATED = 201
_NOWHERE = {404, 410}


def check_location(suite: Suite, operation: Operation) -> Outcome:
    """Create something and follow its Location.

    Only where the document has an operation to read it with; the URL may be on another host, then nothing is asked.
    """
    is_readable = any(
        other.method.upper() == "GET" and other.path.startswith(operation.path) and other.path.endswith("}")
        for other in suite.api.operations
    )
    if operation.method.upper() != "POST" or not is_readable:
        return Outcome()
    created = send_example(suite, operation)
    if created is None or created.response is None or created.status != _CREATED:
        return Outcome()
    location = created.response.headers.get("Location", "")
    url = urljoin(str(created.request.url), location)
    if not location or urlsplit(url).netloc != urlsplit(str(created.request.url)).netloc:
        return Outcome()
    followed = suite.wire.send_changed(
        created, Change(method="GET", url=url, body=b"", headers={"Content-Type": None, "Content-Length": None})
    )
    if not _leads_nowhere(followed):
        return Outcome()
    response = operation.find_response(_CREATED)
    failure = suite.build_failure(
        followed,
        "location",
        promise=f"the Location of what {name_of(operation)} created leads to it (RFC 9110, section 10.2.2)",
        pointer=response.pointer if response else operation.pointer,
        detail=f"Location was {location}",
    )
    return confirm([Suspicion(followed, failure, _leads_nowhere)], suite)


def _leads_nowhere(exchange: Exchange) -> bool:
    return exchange.status in _NOWHERE
