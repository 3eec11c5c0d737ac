"""How many CPUs and how much memory this process may use, in a container too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2**63 where nothing is limited


def count_cpus(root: Path = _ROOT) -> int:
    """Return the CPUs that this process may use, at least 1: its affinity, and the quota of its control groups.

    A quota of 1.5 CPUs counts as 2, one of 1.4 as 1. root: where ``proc`` and ``sys`` stand.
    Source: cgroup v2 ``cpu.max``; cgroup v1 ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _find_groups(root, "cpu"):
        quota, period = _read(folder / "cpu.max", folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        numbers = [*quota.split(), *period.split()]
        if len(numbers) > 1 and all(number.isdecimal() for number in numbers[:2]):
            cpus = min(cpus, int(int(numbers[0]) / int(numbers[1]) + 0.5))
    return max(1, cpus)


def find_memory_limit(root: Path = _ROOT) -> int | None:
    """Return the bytes that the control groups of this process allow; None where nothing is limited.

    Source: cgroup v2 ``memory.max``; cgroup v1 ``memory.limit_in_bytes``.
    """
    texts = (_read(group / "memory.max", group / "memory.limit_in_bytes") for group in _find_groups(root, "memory"))
    limits = [int(text) for text in texts if text.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED), default=None)


def find_memory(root: Path = _ROOT) -> int:
    """Return the bytes of memory that this process may use: the limit of its control groups, else the machine's."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(physical, find_memory_limit(root) or physical)


def _find_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, with those above it: each may set a limit.

    Inside of a container /proc/self/cgroup may name a path that the container does not see; its limits then stand in
    the mount's own folder.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number != "0" and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("" if number == "0" else controllers)
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder == mount or mount in folder.parents)


def _read(*files: Path) -> str:
    """Return the text of the first file that there is, empty without one."""
    for file in files:
        try:
            return file.read_text(encoding="ascii").strip()
        except OSError:
            continue
    return ""
