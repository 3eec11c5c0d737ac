"""A release's ``/metrics``, asked for as the service's configuration says."""

from __future__ import annotations

from pymacaron.config import PymConfig
from pymacaron.exceptions import TargetError
from pymacaron.published import ask_page


class NoPageError(Exception):
    """There is no page; the text says where, and what came instead."""


def fetch_page(base_url: str, config: PymConfig) -> str:
    """Return the text at `metrics_path` below *base_url*, asked with `metrics_token` where there is one.

    Raises: NoPageError.
    """
    url, token = base_url + config.metrics_path, config.metrics_token
    try:
        answer = ask_page(url, token.get_secret_value() if token else None)
    except TargetError as error:
        raise NoPageError(f"{url}: {error.findings[0].found}") from error
    if not answer.ok:
        raise NoPageError(f"{url} answers {answer.status_code}, so there are no metrics")
    return answer.text
