from __future__ import annotations

from typing import Any, cast

import pytest

from pymacaron.deploy.gates import Gate
from pymacaron.deploy.target import Target
from pymacaron.deploy.watch import Side, Watch
from pymacaron_monitoring.verdict import Verdict


class Pages:
    """A target that has nothing but metrics."""

    def metrics(self, version: str) -> str:
        """Return what tells whose page it is."""
        return f"page of {version}"


@pytest.mark.parametrize(
    ("baseline", "compared", "known"),
    [
        pytest.param(None, None, "page of one", id="all traffic at the candidate"),
        pytest.param(Side("one", ""), ("page of one", "page of one"), None, id="shared"),
    ],
)
def test_the_release_before_is_asked_for_its_errors(
    baseline: Side | None, compared: tuple[str, str] | None, known: str | None
) -> None:
    """The gate gets both its pages while it has traffic, and its last one as what is known once it has none."""
    asked: list[dict[str, Any]] = []

    def judge(report: object, **options: Any) -> Verdict:
        asked.append({"report": report, **options})
        return Verdict(())

    Watch(
        target=cast("Target", Pages()),
        gate=Gate([judge]),
        candidate=Side("two", ""),
        baseline=baseline,
        known="one",
        apis=(),
        report=None,
        time_s=0.03,
        decision_s=0.03,
        looks=2,
        must_pass=False,
    ).run()
    assert asked
    assert [(one["baseline"], one["known"]) for one in asked] == [(compared, known)] * len(asked)
    assert [one["candidate"] for one in asked] == [("page of two", "page of two")] * len(asked)
