"""What a process takes of the machine, by its id."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import ProcessCollector

from pymacaron_monitoring.families import CPU, MEMORY, MOST_FILES, OPEN_FILES, START_TIME, VIRTUAL_MEMORY
from pymacaron_monitoring.page import Sample

_FAMILIES = {family.name: family for family in (CPU, MEMORY, VIRTUAL_MEMORY, OPEN_FILES, MOST_FILES, START_TIME)}


def measure_process(worker: str, pid: int) -> list[Sample]:
    """Return samples of process *pid* under the label *worker*; none where it is gone, or without /proc."""
    return [
        Sample(_FAMILIES[sample.name], (worker,), sample.value)
        for metric in _collector_of(pid).collect()
        for sample in metric.samples
        if sample.name in _FAMILIES
    ]


@lru_cache(maxsize=256)
def _collector_of(pid: int) -> ProcessCollector:
    return ProcessCollector(pid=lambda: pid, registry=None)
