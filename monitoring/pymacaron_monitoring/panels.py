"""Pieces of a Grafana dashboard as JSON: panels with their queries, rows, variables, the frame around them.

Source: Grafana's dashboard JSON model, schema version 39 (Grafana 10.4 and newer).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from pymacaron.json_types import JsonObject

SCHEMA_VERSION = 39
COLUMNS = 24
_REFS = "ABCDEFGHIJ"
SOURCE: JsonObject = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. legend: with ``{{label}}`` in it. is_instant: only the newest value, for tables."""

    expr: str
    legend: str = ""
    is_instant: bool = False
    has_exemplars: bool = False
    format: str = "time_series"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel before it has its place. width: of 24 columns. unit: Grafana's name of it. more: further JSON keys.

    limits: value -> colour from there on, ``None`` being the lowest.
    """

    kind: str
    title: str
    queries: Sequence[Query]
    text: str
    width: int = 8
    height: int = 8
    unit: str = "short"
    limits: Mapping[float | None, str] = field(default_factory=dict)
    most: float | None = None
    overrides: Sequence[JsonObject] = ()
    options: JsonObject = field(default_factory=dict)
    custom: JsonObject = field(default_factory=dict)
    more: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A title over panels; a collapsed one shows, and asks for, nothing until it is opened."""

    title: str
    panels: Sequence[Panel]
    is_collapsed: bool = False


def lay_out(rows: Iterable[Row]) -> list[JsonObject]:
    """Return the JSON of all *rows*, their panels from left to right and top to bottom."""
    numbers, top, result = count(1), 0, []
    for row in rows:
        title: JsonObject = {
            "id": next(numbers),
            "type": "row",
            "title": row.title,
            "collapsed": row.is_collapsed,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        top, left, line_height = top + 1, 0, 0
        panels = []
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, line_height = top + line_height, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            panels.append(_write_panel(panel, next(numbers), place))
            left, line_height = left + panel.width, max(line_height, panel.height)
        top += line_height
        if row.is_collapsed:
            title["panels"] = panels
        result += [title] if row.is_collapsed else [title, *panels]
    return result


def _write_panel(panel: Panel, number: int, place: JsonObject) -> JsonObject:
    steps = [{"value": value, "color": colour} for value, colour in panel.limits.items()]
    defaults: JsonObject = {"unit": panel.unit, "custom": panel.custom}
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.most is not None:
        defaults |= {"min": 0, "max": panel.most}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [_write_query(query, ref) for query, ref in zip(panel.queries, _REFS, strict=False)],
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
    } | panel.more


def _write_query(query: Query, ref: str) -> JsonObject:
    return {
        "refId": ref,
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": query.is_instant,
        "range": not query.is_instant,
        "exemplar": query.has_exemplars,
        "format": query.format,
    }


def graph(
    title: str,
    queries: Sequence[Query],
    text: str,
    *,
    unit: str = "short",
    width: int = 8,
    limits: Mapping[float | None, str] | None = None,
) -> Panel:
    """Return lines over time; *limits* are drawn as lines, too."""
    options: JsonObject = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}}
    custom: JsonObject = {"fillOpacity": 10, "showPoints": "never"}
    if limits:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    return Panel("timeseries", title, queries, text, width, 8, unit, limits or {}, options=options, custom=custom)


def stat(title: str, expr: str, text: str, unit: str, limits: Mapping[float | None, str] | None = None) -> Panel:
    """Return one number, coloured by *limits*."""
    options: JsonObject = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return Panel("stat", title, [Query(expr)], text, 4, 5, unit, limits or {}, options=options)


def bars(title: str, query: Query, text: str, limits: Mapping[float | None, str]) -> Panel:
    """Return a bar for each series, shares from 0 to 1."""
    options: JsonObject = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    }
    return Panel("bargauge", title, [query], text, 12, 8, "percentunit", limits, most=1, options=options)


def table(
    title: str,
    columns: Mapping[str, str],
    text: str,
    *,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, JsonObject] | None = None,
    hidden: Sequence[str] = ("job",),
) -> Panel:
    """Return a table over the whole width.

    columns: title -> query; what the labels of the queries' series have in common makes the row. units: column ->
    Grafana's name of its unit. links: column or label -> link in each of its cells. hidden: labels
    that are the same in all lines.
    """
    queries = [Query(expr, is_instant=True, format="table") for expr in columns.values()]
    names = {f"Value #{ref}" if len(columns) > 1 else "Value": name for ref, name in zip(_REFS, columns, strict=False)}
    organize: JsonObject = {
        "excludeByName": dict.fromkeys(("Time", "__name__", *hidden), True),
        "renameByName": names,
    }
    overrides = [_override(name, "unit", unit) for name, unit in (units or {}).items()]
    overrides += [_override(name, "links", [link]) for name, link in (links or {}).items()]
    more: JsonObject = {
        "transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
    }
    return Panel("table", title, queries, text, COLUMNS, 8, overrides=overrides, more=more)


def heatmap(title: str, expr: str, text: str) -> Panel:
    """Return a histogram over time. expr: has the label ``le`` only."""
    options: JsonObject = {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Oranges"},
        "cellGap": 1,
    }
    return Panel("heatmap", title, [Query(expr, "{{le}}", format="heatmap")], text, options=options)


def _override(name: str, key: str, value: object) -> JsonObject:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": key, "value": value}]}


def list_variable(name: str, label: str, query: str) -> JsonObject:
    """Return a variable whose values are asked for: several may be chosen, at first all."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def frame(
    title: str, uid: str, panels: Sequence[JsonObject], variables: Sequence[JsonObject], notes: Sequence[JsonObject]
) -> JsonObject:
    """Return a dashboard. notes: annotations, events that are drawn into every graph."""
    source: JsonObject = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "tags": ["pymacaron"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "timezone": "browser",
        "templating": {"list": [source, *variables]},
        "annotations": {"list": list(notes)},
        "links": [{"type": "dashboards", "title": "Others", "tags": ["pymacaron"], "asDropdown": True}],
        "panels": list(panels),
    }


def annotation(name: str, colour: str, expr: str, *, title: str, text: str = "") -> JsonObject:
    """Return an event that is drawn wherever *expr* begins to have a value."""
    return {
        "name": name,
        "enable": True,
        "iconColor": colour,
        "datasource": SOURCE,
        "expr": expr,
        "step": "60s",
        "titleFormat": title,
        "textFormat": text,
    }
