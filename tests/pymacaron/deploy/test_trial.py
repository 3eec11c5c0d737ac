"""Tests that a deploy runs, in a process of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymacaron.deploy.trial import Examiner, TrialTimeoutError


def test_tests_that_hang_are_stopped(tmp_path: Path) -> None:
    """They would hold the lock, and the candidate its place, for ever; what they wrote is kept."""
    tests = tmp_path / "tests"
    tests.mkdir()
    hanging = "import time\n\n\ndef test_hangs():\n    print('asked the service', flush=True)\n    time.sleep(600)\n"
    (tests / "test_hanging.py").write_text(hanging)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -s\n")
    with pytest.raises(TrialTimeoutError) as caught:
        Examiner(tmp_path, 8).run_unit_tests(tests)
    assert str(caught.value) == (
        "the tests: they did not end within 8 s. Correct the one that hangs, or set deploy_test_time."
    )
    assert any("asked the service" in line for line in caught.value.lines), caught.value.lines


def test_tests_get_what_they_are_given(tmp_path: Path) -> None:
    """Variables of the copy that they test go before those that are set here."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_given.py").write_text("import os\n\n\ndef test_it():\n    assert os.environ['HOME'] == '/given'\n")
    assert Examiner(tmp_path, 60, {"HOME": "/given"}).run_unit_tests(tests).exit_code == 0
