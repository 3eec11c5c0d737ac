"""A registry for the images that tests deploy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from images import Registry, run_registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run docker-registry on a free port."""
    with run_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry
