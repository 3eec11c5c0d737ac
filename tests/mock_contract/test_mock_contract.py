"""Documents that others wrote are served by a mock, and the plugin finds nothing wrong with it.

By hand, with other cases: MOCK_SEED=1 MOCK_EXAMPLES=20 MOCK_SAMPLE=40 pytest tests/mock_contract
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests
import yaml

from pymacaron.config import set_config
from pymacaron.exceptions import SpecError
from pymacaron.mock import DEFAULT_TOKEN, create_mock, describe_credentials, start_server
from pymacaron.spec import Api, load_spec

SPECS = Path(__file__).parents[3] / "shared" / "specs"
FOLDERS = ("oai", "realworld", "twilio", "openapi3-examples/3.0/pass", "openapi3-examples/3.1/pass")
FILES = [
    file.relative_to(SPECS).as_posix()
    for folder in FOLDERS
    for file in sorted((SPECS / folder).rglob("*"))
    if file.suffix in {".yaml", ".json"}
]
# What is known of these files; wherever it differs from what is so, a test fails.
KNOWN: Mapping[str, Any] = MappingProxyType(yaml.safe_load((Path(__file__).parent / "documents.yaml").read_text()))
SERVED = [file for file in FILES if file not in {**KNOWN["parts"], **KNOWN["refused"]}]
SEED = int(os.environ.get("MOCK_SEED", "0"))
EXAMPLES = int(os.environ.get("MOCK_EXAMPLES", "2"))
SAMPLE = int(os.environ.get("MOCK_SAMPLE", "5"))
MOCK = "the target is a mock, which keeps nothing"
NO_SUCCESS = "latency: no valid request succeeded"
LARGE = 50
LIMIT_S = 900

pytestmark = [
    pytest.mark.unmeasured,
    pytest.mark.skipif(
        not SPECS.is_dir(), reason=f"{SPECS} is not there: the documents of others are not part of this repository"
    ),
]


@dataclass(frozen=True, slots=True)
class Served:
    """A document, and the URL of its mock. sample: number of operations to test, None for all."""

    api: Api
    url: str
    report: Path

    @property
    def sample(self) -> int | None:
        """How many operations are tested."""
        return SAMPLE if len(self.api.operations) > LARGE else None


@pytest.fixture(scope="module")
def mocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """Serve every document on a port of its own."""
    folder = tmp_path_factory.mktemp("reports")
    with ExitStack() as stack:
        served = {}
        for number, file in enumerate(SERVED):
            api = load_spec(SPECS / file)
            server = start_server(create_mock(api, seed=SEED))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            served[file] = Served(api, f"http://127.0.0.1:{server.server_port}", folder / f"{number}.json")
        logging.getLogger().setLevel(logging.ERROR)
        yield served
        set_config(None)


@pytest.fixture(scope="module")
def results(mocks: dict[str, Served], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run pytest with the plugin for every document that has operations."""
    folder = tmp_path_factory.mktemp("run")
    tested = {file: served for file, served in mocks.items() if served.api.operations}
    jobs = [
        {
            "spec": str(SPECS / file),
            "target": served.url,
            "auth": describe_credentials(served.api, DEFAULT_TOKEN),
            "report": str(served.report),
            "seed": SEED,
            "examples": EXAMPLES,
            "sample": served.sample,
        }
        for file, served in tested.items()
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, str(Path(__file__).parent / "run_documents.py"), "jobs.json", "results.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(tested, json.loads((folder / "results.json").read_text()), strict=True))


def test_list_of_documents() -> None:
    """Parts of documents and refused ones are exactly those that are known; the rest is served."""
    refused = {}
    operations = 0
    for file in FILES:
        try:
            operations += len(load_spec(SPECS / file).operations)
        except SpecError as error:
            refused[file] = str(error.findings[0].found)
    assert refused == {**KNOWN["parts"], **KNOWN["refused"]}
    assert (len(SERVED), operations) == (KNOWN["documents"], KNOWN["operations"])


@pytest.mark.parametrize("file", SERVED)
def test_document(file: str, mocks: dict[str, Served], results: dict[str, Any]) -> None:
    """The mock shows the document, and every operation passes all groups that can be judged."""
    served = mocks[file]
    assert requests.get(f"{served.url}/doc", timeout=20).status_code == 200
    if not served.api.operations:
        return
    result = results[file]
    items = json.loads(served.report.read_text())["items"]
    failing = {(name_of(item), one["check"]) for item in items for one in item["failures"]}
    assert failing == set(), result["output"]
    troubles = [f"{item['nodeid']}: {item['outcome']} {item['reason']}" for item in items if not is_green(file, item)]
    assert troubles == [], result["output"]
    answered = [item for item in items if item["nodeid"].endswith("[responses]")]
    tested = {item["operation_id"] for item in answered if item["outcome"] == "passed"}
    untested = {item["operation_id"] for item in items} - tested
    assert (len(tested | untested), len(untested)) == (
        served.sample or len(served.api.operations),
        len(KNOWN["untested"].get(file, {})),
    )
    assert result["exit_code"] == 0


def name_of(item: dict[str, Any]) -> str:
    return str(item["nodeid"]).rpartition("::")[2]


def is_green(file: str, item: dict[str, Any]) -> bool:
    """Tell whether an item passed without a doubt, or was skipped for a reason that is known."""
    if item["outcome"] == "skipped":
        known = KNOWN["untested"].get(file, {}).get(item["operation_id"], [])
        return item["reason"] in {"the path declares every method", MOCK, NO_SUCCESS, *known}
    return item["outcome"] == "passed" and not item["reason"]


def test_nothing_drops_out(mocks: dict[str, Served], results: dict[str, Any]) -> None:
    """As many documents and operations were tested as there are, large documents apart, of which a sample is."""
    counts = [served.sample or len(served.api.operations) for served in mocks.values()]
    assert len(mocks) == KNOWN["documents"]
    assert len(results) == sum(count > 0 for count in counts)
    assert sum(counts) == KNOWN["operations"] - KNOWN["in_large_documents"] + SAMPLE * KNOWN["large_documents"]
