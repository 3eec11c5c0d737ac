"""Whole services, called over HTTP through both kinds of clients."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pymacaron import Client, RemoteError
from pymacaron.auth import backend_token, generate_token
from pymacaron.codegen import generate_client, generate_models
from pymacaron.config import load_config, set_config
from pymacaron.scaffold import write_service
from pymacaron.spec import load_spec

CONDUIT = Path(__file__).parents[2] / "services" / "conduit"
SERVING = re.compile(r"Serving \S+ on (http://\S+)")
START_LIMIT_S = 60


@contextmanager
def _run(folder: Path, log: Path, **environment: str) -> Iterator[str]:
    """Run the service in *folder* on a free port and yield its URL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYM_", "PROMETHEUS"))}
    command = [sys.executable, "-m", "pymacaron.cli", "run", "--port", "0"]
    with (
        log.open("w") as file,
        subprocess.Popen(
            command, cwd=folder, env={**kept, "PYTHONUNBUFFERED": "1", **environment}, stdout=file, stderr=file
        ) as process,
    ):
        try:
            yield _wait_for_url(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        match = SERVING.search(log.read_text())
        if match and "Started worker-" in log.read_text():
            return match[1]
        time.sleep(0.1)
    pytest.fail(f"the service did not start:\n{log.read_text()}")


@pytest.fixture
def generated(tmp_path: Path) -> Iterator[Any]:
    """Write and import a typed client, in a package of its own: ``generated(document, "ShopClient")``."""
    package = f"calls_{uuid4().hex}"
    folder = tmp_path / package
    folder.mkdir()
    sys.path.insert(0, str(tmp_path))

    def write(document: Path, name: str) -> Any:
        own = folder / document.name
        shutil.copyfile(document, own)
        api = load_spec(own)
        models = generate_models(api)
        (folder / f"{api.name}_models.py").write_text(models)
        (folder / f"{api.name}_client.py").write_text(generate_client(api, own.name, models))
        return getattr(importlib.import_module(f"{package}.{api.name}_client"), name)

    yield write
    sys.path.remove(str(tmp_path))
    for module in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[module]


def test_the_service_that_new_writes(tmp_path: Path, generated: Any) -> None:
    """Each operation of the example service works through both clients, as a user and as nobody."""
    folder = tmp_path / "shop"
    write_service("shop", folder)
    document = folder / "apis" / "shop.yaml"
    typed = generated(document, "ShopClient")
    with _run(folder, tmp_path / "log") as url:
        set_config(load_config(folder))
        try:
            for client in (Client(document, url, response_validation="enforce"), typed(url)):
                _use_shop(client)
        finally:
            set_config(None)


def _use_shop(client: Any) -> None:
    with pytest.raises(RemoteError) as caught:
        client.create_item({"name": "Teapot", "price_cents": 2900})
    assert (caught.value.status, caught.value.code) == (401, "AUTHORIZATION_HEADER_MISSING")
    assert type(caught.value.body).__name__ == "Error"
    with backend_token(user_id="alice"):
        item = client.create_item({"name": "Teapot", "price_cents": 2900, "tags": ["a"]})
        answer = client.send("create_item", {"name": "Cup", "price_cents": 900})
        assert (answer.status, answer.headers["location"]) == (201, f"/items/{answer.value.id}")
        replaced = client.replace_item({"name": "Pot", "price_cents": 1}, item_id=item.id)
        assert (replaced.name, replaced.price_cents) == ("Pot", 1)
        client.with_options(token=generate_token("bob")).delete_item(item_id=answer.value.id)
    page = client.list_items(limit=1, offset=0)
    assert (page.total, [type(item).__name__ for item in page.items]) == (1, ["Item"])
    assert client.get_item(item_id=item.id).name == "Pot"
    with backend_token(user_id="alice"):
        assert client.delete_item(item_id=item.id) is None
    with pytest.raises(RemoteError) as caught:
        client.get_item(item_id=item.id)
    assert (caught.value.status, caught.value.code) == (404, "ITEM_NOT_FOUND")


def test_conduit(tmp_path: Path, generated: Any) -> None:
    """A user of RealWorld's Conduit registers, logs in and writes through the clients."""
    document = CONDUIT / "apis" / "conduit.yaml"
    typed = generated(document, "ConduitClient")
    environment = {"PYM_ENV": "test", "CONDUIT_TEST_DATABASE": f"sqlite:///{tmp_path}/conduit.db"}
    with _run(CONDUIT, tmp_path / "log", **environment) as url:
        for number, client in enumerate((Client(document, url), typed(url))):
            who: dict[str, Any] = {"email": f"ada{number}@example.com", "password": "correct horse battery"}
            client.create_user({"user": {**who, "username": f"ada{number}"}})
            user = client.login({"user": who}).user
            own = client.with_options(credentials={"Token": f"Token {user.token}"})
            assert own.get_current_user().user.username == f"ada{number}"
            new = {"title": f"Äpfel & Birnen {number}", "description": "d", "body": "b", "tagList": ["fruit"]}
            article = own.create_article({"article": new}).article
            assert client.get_article(slug=article.slug).article.title == f"Äpfel & Birnen {number}"
            listed = client.get_articles(tag="fruit", author=f"ada{number}", limit=5)
            assert [one.slug for one in listed.articles] == [article.slug]
            comment = own.create_article_comment({"comment": {"body": "Yes."}}, slug=article.slug).comment
            own.delete_article_comment(slug=article.slug, id=comment.id)
            own.create_article_favorite(slug=article.slug)
            own.delete_article(slug=article.slug)
            with pytest.raises(RemoteError) as caught:
                client.get_article(slug=article.slug)
            assert caught.value.status == 404
            with pytest.raises(RemoteError) as caught:
                client.get_current_user()
            assert caught.value.status == 401
