"""A service with a large document starts without work that nobody needs; tests/benchmarks measures how fast."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pymacaron.codegen import write_models
from pymacaron.spec import load_spec

TWILIO = Path(__file__).parents[2] / "shared" / "specs" / "twilio" / "api_v2010.json"
START = """\
import json
from pathlib import Path
from flask import Flask
from pymacaron import API
from pymacaron.spec import lines

app = Flask("svc", root_path=str(Path.cwd()))
resolvers = {"accountSid_authToken": lambda request, scopes: "alice"}
API(app, handlers="stubs", security_resolvers=resolvers).load_apis().start()
answer = app.test_client().get("/2010-04-01/Accounts.json")
print(json.dumps({
    "status": answer.status_code,
    "texts_with_lines": lines._lines_of.cache_info().misses,
    "peak_mb": int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024,
}))
"""
STUBS = """\
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **keywords: {}
"""


@pytest.mark.unmeasured
def test_a_large_document(tmp_path: Path) -> None:
    """1.9 MB of document and its models take less than 250 MB, and no line is looked up where nothing is wrong."""
    if not TWILIO.is_file():
        pytest.skip(f"{TWILIO} is not there: the documents of others are not part of this repository")
    document = tmp_path / "apis" / TWILIO.name
    document.parent.mkdir()
    shutil.copyfile(TWILIO, document)
    write_models(load_spec(document), document.with_name("api_v2010_models.py"))
    (tmp_path / "stubs.py").write_text(STUBS)
    done = subprocess.run(
        [sys.executable, "-c", START], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["status"] == 200, found
    assert found["texts_with_lines"] == 0
    assert found["peak_mb"] < 250
