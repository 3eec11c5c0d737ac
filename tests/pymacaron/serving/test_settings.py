"""What is asked for goes before the configuration, and that before what the machine suggests."""

from __future__ import annotations

from typing import Any

import pytest

from pymacaron.config import PymConfig
from pymacaron.serving.settings import THREADS, choose_settings, choose_workers


@pytest.mark.parametrize(
    ("config", "options", "workers"),
    [
        pytest.param({}, {}, choose_workers(), id="machine"),
        pytest.param({"worker_count": 3}, {}, 3, id="configuration"),
        pytest.param({"worker_count": 3}, {"workers": 5}, 5, id="asked for"),
        pytest.param({}, {"is_development": True}, 1, id="development"),
        pytest.param({"env": "test"}, {}, 1, id="PYM_ENV"),
        pytest.param({"env": "test", "worker_count": 3}, {"is_development": True}, 3, id="development, configured"),
    ],
)
def test_workers(config: dict[str, object], options: dict[str, Any], workers: int) -> None:
    """One a CPU, or what somebody wants."""
    settings = choose_settings(PymConfig.model_validate(config), **options)
    assert (settings.workers, settings.threads) == (workers, THREADS)


def test_limits() -> None:
    """Keys of the configuration arrive; 0 is no time-out."""
    config = PymConfig(
        thread_count=4, max_connections=50, keep_alive=5, request_timeout=0, stop_timeout=60, worker_max_requests=9
    )
    settings = choose_settings(config)
    assert (settings.threads, settings.connections, settings.keep_alive_s) == (4, 50, 5)
    assert (settings.request_timeout_s, settings.stop_timeout_s, settings.replaced_timeout_s) == (None, 60, 60)
    assert settings.max_requests == 9
    assert choose_settings(PymConfig(worker_max_memory_bytes=7)).max_memory_bytes == 7
