"""Measures the services in turns, round after round, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from operations import Call, find_fault, make_batch, make_calls, make_part
from peer import PEER_TABLE, MissingPythonError, Peer, build_environment, find_versions
from preparation import write_old_service, write_service
from running import Running, check, measure_cpu_s, measure_memory, run_service, send
from wrk import CONNECTIONS, run_wrk

WARM_UP_S = 0.2
BODY_CONNECTIONS = 4  # the largest take so long that no more would be answered in time
OPERATION_COUNTS = (10, 100, 1000)
BODY_SIZES = (100, 1000, 10_000, 100_000, 1_000_000)
SCALED = {"pymacaron": "pymacaron run", "Flask + pydantic": "gunicorn", "FastAPI": "uvicorn"}


@dataclasses.dataclass(frozen=True, slots=True)
class Contestant:
    """A peer on one of its servers, and the folder of its programs."""

    peer: Peer
    server: str
    programs: Path

    @property
    def name(self) -> str:
        """``FastAPI on uvicorn``; ``pymacaron run`` is the name of a server, and says of what."""
        return self.server if self.server == "pymacaron run" else f"{self.peer.name} on {self.server}"


def prepare(folder: Path, only: list[str]) -> tuple[list[Contestant], dict[str, Any], list[str]]:
    """Make environments and folders. Returns contestants, peer -> versions, and what could not be had and why."""
    contestants, versions, missing = [], {}, []
    for listed in PEER_TABLE:
        if only and not any(word in f"{listed.name} on {server}" for word in only for server in listed.servers):
            continue
        try:
            programs = build_environment(listed)
        except MissingPythonError as error:
            missing.append(f"{listed.name}: {error}")
            continue
        peer = listed
        if not listed.packages:
            peer = dataclasses.replace(listed, folder=write_service(folder))
        elif listed.is_old:
            peer = dataclasses.replace(listed, folder=write_old_service(folder))
        versions[peer.name] = find_versions(peer, programs)
        found = [Contestant(peer, server, programs) for server in peer.servers]
        contestants += [one for one in found if not only or any(word in one.name for word in only)]
    return contestants, versions, missing


def measure_rounds(contestants: list[Contestant], rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield a sample for each service, round and operation, and one of its start and memory."""
    for number in range(rounds):
        for contestant in contestants:
            with run_service(contestant.peer, contestant.server, contestant.programs) as running:
                check(contestant.peer, running.port)
                place = {"service": contestant.name, "round": number}
                for call in make_calls().values():
                    yield place | {"operation": call.name, **load(call, running, seconds)}
                worker_mb, service_mb = measure_memory(running.pid)
                memory = {"worker_mb": round(worker_mb, 1), "service_mb": round(service_mb, 1)}
                yield place | {"start_s": round(running.start_s, 3), **memory}


def measure_scaling(contestants: list[Contestant], folder: Path, rounds: int, seconds: float) -> Iterator[Any]:
    """Yield samples of some services with few and many operations, and with small and large bodies."""
    scaled = [one for one in contestants if SCALED.get(one.peer.name) == one.server]
    many = {count: write_service(folder, count) for count in OPERATION_COUNTS}
    for number in range(rounds):
        for contestant in scaled:
            place = {"service": contestant.name, "round": number}
            for count in OPERATION_COUNTS:
                peer = dataclasses.replace(contestant.peer, environment={"EXTRA_OPERATIONS": str(count)})
                if not peer.packages:
                    peer = dataclasses.replace(peer, folder=many[count])
                with run_service(peer, contestant.server, contestant.programs) as running:
                    call = make_part(count)
                    yield place | {"scale": "operations", "size": count, **load(call, running, seconds)}
            with run_service(contestant.peer, contestant.server, contestant.programs) as running:
                for size in BODY_SIZES:
                    loaded = load(make_batch(size), running, seconds, BODY_CONNECTIONS)
                    yield place | {"scale": "body", "size": size, **loaded}


def load(call: Call, running: Running, seconds: float, connections: int = CONNECTIONS) -> dict[str, float]:
    """Load the service with *call*, after some that are looked at and not counted.

    Returns: `Load`, and ``core_share``: how much of its core the service had, 1 where nobody else wanted it.
    """
    end = time.monotonic() + WARM_UP_S
    while time.monotonic() < end:
        status, body = send(call, running.port)
        fault = find_fault(call, status, body)
        if fault:
            raise RuntimeError(fault)
    start, cpu_s = time.monotonic(), measure_cpu_s(running.pid)
    found = dataclasses.asdict(run_wrk(call, running.port, seconds, connections))
    found["core_share"] = (measure_cpu_s(running.pid) - cpu_s) / (time.monotonic() - start)
    return {name: round(value, 3) for name, value in found.items()}


def collect(samples: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all *samples*, each also told to whoever waits."""
    found = []
    start = time.monotonic()
    for sample in samples:
        found.append(sample)
        print(f"{time.monotonic() - start:6.0f} s  {sample}", file=sys.stderr, flush=True)  # noqa: T201
    return found
