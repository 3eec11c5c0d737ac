"""A release's ``/metrics``, asked for as the service's configuration says."""

from __future__ import annotations

import requests

from pymacaron.config import PymConfig

_TIMEOUT_S = 10.0


class NoPageError(Exception):
    """There is no page; the text says where, and what came instead."""


def fetch_page(base_url: str, config: PymConfig) -> str:
    """Return the text at `metrics_path` below *base_url*, asked with `metrics_token` where there is one.

    Each time by a connection of its own: a load balancer keeps one connection at one instance. Raises: NoPageError.
    """
    url = base_url + config.metrics_path
    token = config.metrics_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    try:
        with requests.Session() as http:
            http.trust_env = not base_url.startswith("http://127.0.0.1")
            answer = http.get(url, headers=headers, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise NoPageError(f"{url} does not answer ({type(error).__name__})") from error
    if not answer.ok:
        raise NoPageError(f"{url} answers {answer.status_code}, so there are no metrics")
    return answer.text
