"""What it costs to find out who calls: a token that came before, a new one, a forged one.

Run it from the repository: ``python tests/benchmarks/guard.py [ROUNDS]``. One operation that asks for a JWT with a
scope lives in this process, its token signed by HS256. The guard of the operation is called as a request calls it,
inside of Flask's contexts; the kinds take turns. It prints the median of the rounds, in microseconds of CPU time, and
how many times as long PyJWT takes to decode the same token. The first lines are parts of the guard.

Goals: about 1 microsecond to recall a token, at most 2.5 for the whole guard; a forged token costs no more than a new.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import jwt
from flask import Flask
from pydantic import SecretStr

from pymacaron.auth import generate_token
from pymacaron.config import PymConfig, set_config
from pymacaron.exceptions import AuthError
from pymacaron.guards import build_guard
from pymacaron.jwt_tokens import CurrentVerifier
from pymacaron.service import Service
from pymacaron.spec.model import SecurityScheme

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.guards import Guard
    from pymacaron.spec import Api, Operation

SECRET = "0123456789abcdef0123456789abcdef"
CALLS = 2000
Step = Callable[[Any], object]


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    config = PymConfig(jwt_secret=SecretStr(SECRET), jwt_issuer="pets.test", jwt_audience="pets")
    set_config(config)
    app = Flask("pets")
    service = app.extensions["pymacaron"] = Service(app, config)
    with app.test_request_context():
        found = measure(kinds(service), rounds)
    decoded = found["PyJWT's decode"]
    print(f"{'':28}{'µs':>8}{'PyJWT / it':>12}")  # noqa: T201
    for kind, seconds in found.items():
        print(f"{kind:28}{seconds * 1e6:>8.2f}{decoded / seconds:>12.1f}")  # noqa: T201


def kinds(service: Service) -> dict[str, tuple[Step, Callable[[], Iterable[Any]]]]:
    """Return kind -> what to do with each item, and the items of one round."""
    guard = build(service)
    token = make_token(0)
    numbers = iter(range(1, sys.maxsize))
    verifiers = CurrentVerifier()
    verifiers.of(service.config).check(token)

    def recall(value: str) -> None:
        verifiers.recall(value, service.config)

    def decode(value: str) -> None:
        jwt.decode(value, SECRET, algorithms=["HS256"], audience="pets", issuer="pets.test", leeway=10)

    def refuse(call: Call) -> None:
        try:
            guard(call)
        except AuthError:
            return
        raise AssertionError("a forged token came through")

    def new_calls(forge: Callable[[str], str] = str) -> Iterator[Call]:
        return (call_with(forge(make_token(next(numbers)))) for _ in range(CALLS // 20))

    return {
        "recall of a repeated token": (recall, lambda: [token] * CALLS),
        "guard, repeated token": (guard, lambda: [call_with(token)] * CALLS),
        "guard, new token": (guard, new_calls),
        "guard, forged token": (refuse, lambda: new_calls(forge_signature)),
        "PyJWT's decode": (decode, lambda: [token] * (CALLS // 20)),
    }


def measure(steps: dict[str, tuple[Step, Callable[[], Iterable[Any]]]], rounds: int) -> dict[str, float]:
    """Return kind -> seconds of CPU time for one item, the median of the rounds."""
    times: dict[str, list[float]] = {kind: [] for kind in steps}
    for _ in range(rounds):
        for kind, (step, make_items) in steps.items():
            items = list(make_items())
            start = time.process_time()
            for item in items:
                step(item)
            times[kind].append((time.process_time() - start) / len(items))
    return {kind: statistics.median(found) for kind, found in times.items()}


def build(service: Service) -> Guard:
    """Return the guard of an operation that asks for a token with a scope."""
    scheme = SecurityScheme("token", "http", scheme="bearer")
    operation = SimpleNamespace(security=({"token": ("pets:write",)},), extensions={}, pointer="")
    api = SimpleNamespace(security_schemes={"token": scheme})
    guard = build_guard(service, cast("Api", api), cast("Operation", operation))
    assert guard is not None
    return guard


def make_token(number: int) -> str:
    """Return a good token of its own for each *number*."""
    data = {"scope": "pets:read pets:write", "jti": f"{number:032}"}
    return generate_token("5f0c7d4e-1b7a-4f43-9d7b-8c1f4f1f2a3b", data=data)


def forge_signature(token: str) -> str:
    """Return *token* with a signature that nobody made."""
    return token[:-10] + token[-10:][::-1]


def call_with(token: str) -> Call:
    """Return the call of a request with *token*."""
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    return cast("Call", SimpleNamespace(environ=environ, path_values={}, has_request=False, request=None))


if __name__ == "__main__":
    main()
