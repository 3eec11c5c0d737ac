from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pymacaron_monitoring.verdict import Level, Outcome, Reason, Verdict, render_verdict


@pytest.mark.parametrize(
    ("levels", "outcome", "exit_code"),
    [
        pytest.param(["pass", "pass"], "pass", 0, id="all pass"),
        pytest.param(["pass", "note"], "pass", 0, id="a note is no obstacle"),
        pytest.param(["pass", "undecided"], "undecided", 2, id="one is open"),
        pytest.param(["pass", "undecided", "fail"], "fail", 1, id="one fails"),
        pytest.param(["note"], "undecided", 2, id="nothing was judged"),
        pytest.param([], "undecided", 2, id="nothing at all"),
    ],
)
def test_the_worst_reason_decides(levels: list[Level], outcome: Outcome, exit_code: int) -> None:
    """Fail before undecided before pass; nothing judged is never a pass."""
    verdict = Verdict(tuple(Reason(level, "…") for level in levels))
    assert (verdict.outcome, verdict.exit_code) == (outcome, exit_code)


VERDICT = Verdict(
    (
        Reason("pass", "Contract: 2 of 3 items passed"),
        Reason("undecided", "GET /pets: 1 of 20 requests over 200 ms", "GET /pets", {"hits": 1, "needed": None}),
        Reason("fail", "GET /pets: promised: a; answered: b", "GET /pets", curl="curl http://127.0.0.1/pets"),
    )
)


def test_people_read_the_worst_first() -> None:
    """One line a reason, and the line that shows a failure again below it."""
    assert render_verdict(VERDICT) == (
        "Verdict: fail\n"
        "  fail       GET /pets: promised: a; answered: b\n"
        "             curl http://127.0.0.1/pets\n"
        "  undecided  GET /pets: 1 of 20 requests over 200 ms\n"
        "  pass       Contract: 2 of 3 items passed"
    )


def test_machines_read_json() -> None:
    """The same reasons, as data."""
    assert VERDICT.to_json() == {
        "version": 1,
        "outcome": "fail",
        "exit_code": 1,
        "reasons": [
            {
                "level": "pass",
                "text": "Contract: 2 of 3 items passed",
                "operation": None,
                "numbers": {},
                "curl": "",
            },
            {
                "level": "undecided",
                "text": "GET /pets: 1 of 20 requests over 200 ms",
                "operation": "GET /pets",
                "numbers": {"hits": 1, "needed": None},
                "curl": "",
            },
            {
                "level": "fail",
                "text": "GET /pets: promised: a; answered: b",
                "operation": "GET /pets",
                "numbers": {},
                "curl": "curl http://127.0.0.1/pets",
            },
        ],
    }


@pytest.mark.parametrize(
    ("reasons", "sentence"),
    [
        pytest.param((), "undecided: nothing was judged", id="none"),
        pytest.param((Reason("pass", "All is well"), Reason("pass", "Really")), "pass: 2 reasons", id="pass"),
        pytest.param((Reason("pass", "All is well"), Reason("fail", "Too slow")), "fail: Too slow", id="one"),
        pytest.param(
            (Reason("undecided", "Few"), Reason("fail", "Too slow"), Reason("fail", "Too wrong")),
            "fail: Too slow (and 1 more)",
            id="more",
        ),
    ],
)
def test_a_verdict_is_one_sentence(reasons: tuple[Reason, ...], sentence: str) -> None:
    """For a line of a log: the outcome and the first reason for it."""
    assert Verdict(reasons).sentence == sentence


def test_other_programs_can_read_any_text() -> None:
    """XML has no control characters, and HTML no tags of ours."""
    verdict = Verdict(
        (Reason("fail", "answered \x00<b>&\x1b", curl="curl 'x'"), Reason("note", "n"), Reason("undecided", "u"))
    )
    root = ET.fromstring(verdict.to_junit())
    names = {case.get("name"): [(one.tag, one.text) for one in case] for case in root[0]}
    assert names == {
        "answered \ufffd<b>&\ufffd": [("failure", "curl 'x'")],
        "u": [("error", None)],
        "n": [("skipped", None)],
    }
    page = verdict.to_html("<shop>")
    assert "&lt;b&gt;&amp;" in page
    assert "<p>&lt;shop&gt;</p>" in page
    assert "1 fail, 1 undecided, 1 note</caption>" in page
