"""CPUs and memory are counted as the control groups of a container allow them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pymacaron.serving.capacity import count_cpus, find_memory, find_memory_limit

CPUS = len(os.sched_getaffinity(0))


def write_root(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        pytest.param({}, CPUS, id="no groups"),
        pytest.param({"proc/self/cgroup": "0::/\n"}, CPUS, id="no limit"),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, CPUS, id="v2 without a quota"
        ),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1, id="v2, half a CPU"),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "9900000 100000\n"}, CPUS, id="v2, 99"),
        pytest.param(
            {"proc/self/cgroup": "0::/pods/one\n", "sys/fs/cgroup/pods/cpu.max": "100000 100000\n"}, 1, id="v2, above"
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "120000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1,
            id="v1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            CPUS,
            id="v1 without a quota",
        ),
    ],
)
def test_cpus(tmp_path: Path, files: dict[str, str], cpus: int) -> None:
    """The smallest quota above the process holds, rounded, at least one."""
    assert count_cpus(write_root(tmp_path, files)) == cpus


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({}, None, id="no groups"),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None, id="v2 without a limit"
        ),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 1 << 28, id="v2"),
        pytest.param(
            {
                "proc/self/cgroup": "0::/pods/one\n",
                "sys/fs/cgroup/pods/one/memory.max": "2000\n",
                "sys/fs/cgroup/pods/memory.max": "1000\n",
            },
            1000,
            id="v2, above",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/docker/1\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "1000000\n",
            },
            1000000,
            id="v1",
        ),
    ],
)
def test_memory(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    """The smallest limit above the process holds; without one, the machine's memory."""
    root = write_root(tmp_path, files)
    assert find_memory_limit(root) == limit
    assert find_memory(root) == limit or limit is None
    assert find_memory(root) > 0
