"""What changed between two API documents, and whom it breaks: `compare(old, new)` and `pymacaron diff`."""

from pymacaron.diff.change import Change, Witness
from pymacaron.diff.command import diff
from pymacaron.diff.compare import compare
from pymacaron.diff.report import render_json, render_text

__all__ = ["Change", "Witness", "compare", "diff", "render_json", "render_text"]
