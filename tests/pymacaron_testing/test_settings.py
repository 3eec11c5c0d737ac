"""Options come from the command line and from pytest.ini, and are checked."""

from __future__ import annotations

import pytest

from pymacaron.exceptions import StartupError
from pymacaron_testing.credentials import read_header_line
from pymacaron_testing.settings import group_users, read_settings

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param(["A: 1"], ["A: 1"], id="one"),
        pytest.param(["A: 1", "A: 2", "a: 3"], ["A: 1", "A: 2", "a: 3"], id="each line a user"),
        pytest.param(["A: 1", "B: 2", "?k=3"], ["A: 1, B: 2, ?k: 3"], id="one user with three lines"),
        pytest.param(["A: 1", "B: 2", "A: 3", "B: 4"], ["A: 1, B: 2", "A: 3, B: 4"], id="two users with two lines"),
        pytest.param(["?k=1", "?k=2"], ["?k: 1", "?k: 2"], id="keys of the query"),
        pytest.param(
            ["A: Bearer 1", "A: Basic 2", "A: Bearer 3"], ["A: Bearer 1, A: Basic 2", "A: Bearer 3"], id="schemes"
        ),
        pytest.param(
            ["Cookie: s=1", "Cookie: t=2", "Cookie: s=3"], ["Cookie: s=1, Cookie: t=2", "Cookie: s=3"], id="cookies"
        ),
    ],
)
def test_users(lines: list[str], expected: list[str]) -> None:
    """A line for what the current user has already begins the next user."""
    credentials = tuple(read_header_line(line, "") for line in lines)
    users = [", ".join(f"{one.name}: {one.value}" for one in user) for user in group_users(credentials)]
    assert users == expected


def test_pytest_ini(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option is also a line of pytest.ini; the command line goes first."""
    monkeypatch.setenv("THE_SECRET", "s3cret")
    monkeypatch.setenv("THE_TOKEN", "t0ken")
    pytester.makeini(
        "[pytest]\npymacaron_target = http://h/\npymacaron_spec = x.yaml\npymacaron_auth =\n  A: 1\n  A: 2\n"
        "pymacaron_refused = A: 3\npymacaron_jwt_secret_env = THE_SECRET\npymacaron_profile = live\n"
        "pymacaron_max_time = 30.5\npymacaron_max_latency = 200\npymacaron_seed = 7\npymacaron_max_examples = 0\n"
        "pymacaron_report = out.json\npymacaron_baseline = http://b/\npymacaron_pairs = 40\n"
        "pymacaron_metrics_path = /counts\npymacaron_metrics_token_env = THE_TOKEN\n"
    )
    settings = read_settings(pytester.parseconfig())
    assert (settings.target, settings.spec, settings.profile) == ("http://h", "x.yaml", "live")
    assert [[one.value for one in user] for user in settings.users] == [["1"], ["2"]]
    assert [one.value for one in settings.refused] == ["3"]
    assert (settings.jwt_secret, settings.max_time_s, settings.max_latency_ms) == ("s3cret", 30.5, 200)
    assert (settings.seed, settings.max_examples, settings.report) == (7, 0, pytester.path / "out.json")
    assert (settings.baseline, settings.pairs) == ("http://b", 40)
    assert (settings.metrics_path, settings.metrics_token) == ("/counts", "t0ken")
    settings = read_settings(pytester.parseconfig("--pymacaron-profile=quick", "--pymacaron-auth=B: 1"))
    assert (settings.profile, [one.name for user in settings.users for one in user]) == ("quick", ["B"])


def test_defaults(pytester: pytest.Pytester) -> None:
    """Nothing named is the service in this folder, all checks, no limit."""
    settings = read_settings(pytester.parseconfig())
    assert (settings.target, settings.spec, settings.users, settings.refused, settings.jwt_secret) == (
        None,
        None,
        (),
        (),
        None,
    )
    assert (settings.profile, settings.max_time_s, settings.max_latency_ms) == ("full", None, None)
    assert (settings.seed, settings.max_examples) == (0, 20)
    assert (settings.baseline, settings.pairs) == (None, 300)
    assert (settings.metrics_path, settings.metrics_token) == ("/metrics", None)
    assert settings.report == pytester.path / "pymacaron-report.json"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("profile=fast", "--pymacaron-profile: 'fast' is none. Write one of live, quick, full."),
        ("max-time=0", "--pymacaron-max-time: it is 0. Give the number of seconds."),
        ("max-time=-1", "--pymacaron-max-time: it is below 0. Give the number of seconds."),
        ("max-time=soon", "--pymacaron-max-time: it is no number. Give the number of seconds."),
        ("max-time=inf", "--pymacaron-max-time: it is inf. Give the number of seconds."),
        ("max-latency=nan", "--pymacaron-max-latency: it is nan. Give the number of milliseconds."),
        ("seed=1.5", "--pymacaron-seed: it is no number. Give the whole number."),
        ("metrics-path=counts", "--pymacaron-metrics-path: 'counts' is no path. Write /metrics, or where it is."),
        (
            "jwt-secret-env=NOT_SET_ANYWHERE",
            (
                "--pymacaron-jwt-secret-env: the environment variable NOT_SET_ANYWHERE is not set. "
                "Set it, or leave the option out."
            ),
        ),
        (
            "refused=oops",
            (
                "--pymacaron-refused: it is no header line 'Name: value'. "
                "Write --pymacaron-refused 'Authorization: Bearer …'."
            ),
        ),
    ],
)
def test_wrong(pytester: pytest.Pytester, option: str, message: str) -> None:
    """A wrong option is told: where, what, what to do."""
    config = pytester.parseconfig(f"--pymacaron-{option}")
    with pytest.raises(StartupError) as caught:
        read_settings(config)
    assert str(caught.value) == message
