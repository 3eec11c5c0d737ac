"""Puts everything that watches a service in place with one call."""

from __future__ import annotations

from flask import Flask

from pymacaron_monitoring import errors, metrics, status, tracing


def init_app(app: Flask) -> None:
    """Count what happens in the service of *app*, serve ``/metrics``, report errors, and what else is configured.

    That is exporting spans, and the page ``/doc/status``.

    Apps made by `pymacaron.create_app` have it already; a second call changes nothing.
    Raises: SpecError: an ``x-slo`` makes no sense. ConfigError: the folder that the workers share cannot be written, or
    the configuration names a Sentry or a collector that cannot be used.
    """
    tracing.init_app(app)
    errors.init_app(app)
    metrics.init_app(app)
    status.init_app(app)
