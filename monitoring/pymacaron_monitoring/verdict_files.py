"""A verdict for machines and browsers: JUnit's XML, and one HTML page that needs nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pymacaron.json_types import JsonObject

_TEMPLATES = Path(__file__).parent / "templates"
_ELEMENTS = {"fail": "failure", "undecided": "error", "note": "skipped"}
_ORDER = ("fail", "undecided", "note", "pass")


def render_junit(verdict: JsonObject) -> str:
    """Return *verdict*, in the form of `Verdict.to_json`, as JUnit's XML: a test case for each reason.

    A reason that fails is a ``failure``, an undecided one an ``error``, a note ``skipped``.
    Source: the schema of Jenkins' xUnit plugin, ``junit-10.xsd``.
    """
    reasons = verdict["reasons"]
    counts = Counter(reason["level"] for reason in reasons)
    numbers = {"tests": len(reasons), "failures": counts["fail"], "errors": counts["undecided"]}
    attributes = {"name": "pymacaron gate", **{name: str(number) for name, number in numbers.items()}}
    root = ET.Element("testsuites", attributes)
    suite = ET.SubElement(root, "testsuite", {**attributes, "skipped": str(counts["note"])})
    for reason in sorted(reasons, key=lambda one: _ORDER.index(one["level"])):
        name = _remove_control(reason["text"])
        case = ET.SubElement(suite, "testcase", {"classname": f"gate.{reason['operation'] or 'service'}", "name": name})
        if reason["level"] in _ELEMENTS:
            told = ET.SubElement(case, _ELEMENTS[reason["level"]], {"message": name})
            told.text = _remove_control(reason["curl"]) or None
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def render_html(verdict: JsonObject, *, title: str) -> str:
    """Return *verdict*, in the form of `Verdict.to_json`, as a page. title: what was judged."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    reasons = sorted(verdict["reasons"], key=lambda one: _ORDER.index(one["level"]))
    counts = Counter(reason["level"] for reason in reasons)
    template = environment.get_template("verdict.html")
    return template.render(title=title, outcome=verdict["outcome"], reasons=reasons, counts=counts)


def _remove_control(text: str) -> str:
    """Return *text* without what XML 1.0 cannot hold."""
    return "".join(one if one in "\t\n" or one >= " " else "\N{REPLACEMENT CHARACTER}" for one in text)
