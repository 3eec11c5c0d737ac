"""Projects: private to their owner, with limit and offset, an ETag and an archive."""

import hashlib
import json
import struct
import time
from contextlib import nullcontext

import store
from auth import private
from errors import Problem, not_found
from flask import Blueprint, Response, g, jsonify, request
from planted import planted
from validation import Fields, date, date_time, integer, names, one_of, query_choice, query_integer, read_body, text

blueprint = Blueprint("projects", __name__)

MOST_CENTS = 2**53 - 1
STATUSES = ("active", "on_hold", "closed")
CURRENCIES = ("EUR", "USD", "GBP", "CHF")
SORTS = ("name", "-name", "budget_cents", "-budget_cents", "created_at", "-created_at")
_calls = 0
_pages = {}


def own_project(project_id, *, any_user=False):
    """Return the project, if the user may see it."""
    project = store.PROJECTS.get(project_id)
    if project is None or (project["owner"] != g.user and not any_user):
        raise not_found()
    return project


def _read(*, partial=False):
    fields = Fields(read_body(), partial=partial)
    longest = 79 if planted("name_maximum_refused") else 80
    currencies = CURRENCIES[:-1] if planted("currency_refused") else CURRENCIES
    fields.take("name", text(1, longest), required=True)
    needs_currency = not planted("currency_not_required")
    fields.take("currency", one_of(*currencies), required=needs_currency, default="EUR")
    fields.take("status", one_of(*STATUSES), default="active")
    fields.take("budget_cents", integer(0, MOST_CENTS), default=0)
    fields.take("description", text(0, 2000), nullable=True)
    fields.take("starts_on", date, nullable=True)
    fields.take("deadline", date_time, nullable=True)
    fields.take("tags", names(10, text(1, 30)), default=list)
    values = fields.finish()
    if planted("null_description_crash") and "description" in values and partial:
        values["description"] = values["description"].strip()
    if planted("empty_tags_crash") and "tags" in values and partial:
        max(len(tag) for tag in values["tags"])
    if planted("budget_truncated") and "budget_cents" in values:
        values["budget_cents"] = struct.unpack("<i", struct.pack("<q", values["budget_cents"])[:4])[0] & 0x7FFFFFFF
    return values


def _show(project):
    spent = sum(expense["amount_cents"] for expense in store.expenses_of(project["id"]))
    shown = {name: value for name, value in project.items() if name != "owner"}
    if planted("zero_budget_crash") and spent:
        shown["spent_share"] = spent / project["budget_cents"]
    else:
        shown["spent_share"] = spent / project["budget_cents"] if project["budget_cents"] else None
    return shown


def _etag(shown):
    text = shown["created_at"] if planted("etag_constant") else json.dumps(shown, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _answer(project, status=200):
    shown = _show(project)
    if status == 201 and planted("created_answer_differs"):
        shown["description"] = shown["description"] or ""
    response = jsonify(shown)
    response.status_code = status
    response.set_etag(_etag(shown))
    return response


def _check_if_match(project):
    if planted("if_match_ignored"):
        return
    if request.if_match and not request.if_match.contains(_etag(_show(project))):
        raise Problem(412, "changed", "The project was changed meanwhile.")


@blueprint.post("/projects")
@private
def create_project():
    values = _read()
    is_racing = planted("project_ids_race")
    with nullcontext() if is_racing else store.LOCK:
        project_id = store.next_project_id()
        at = store.now()
        project = {"id": project_id, "owner": g.user, **values, "expense_count": 0, "created_at": at, "updated_at": at}
        store.PROJECTS[project_id] = project
    response = _answer(project, 201)
    response.headers["Location"] = f"/api/v1/projects/{project_id}"
    return response


def _sort_key(name):
    if name == "budget_cents" and planted("budget_sorted_as_text"):
        return lambda project: str(project[name])
    return lambda project: project[name]


@blueprint.get("/projects")
@private
def list_projects():
    global _calls
    _calls += 1
    if planted("rare_slowness") and _calls % 20 == 0:
        time.sleep(1)
    highest = 10**6 if planted("limit_maximum_unchecked") else 100
    limit = query_integer("limit", lowest=1, highest=highest, default=20)
    offset = query_integer("offset", lowest=0, highest=MOST_CENTS, default=0)
    sort = query_choice("sort", SORTS) or "created_at"
    status, currency = query_choice("status", STATUSES), query_choice("currency", CURRENCIES)
    if planted("large_offset_crash"):
        struct.pack("<i", offset)
    if planted("pages_cached_for_all") and time.monotonic() - _pages.get(request.full_path, (0, None))[0] < 5:
        return jsonify(_pages[request.full_path][1])
    found = [
        _show(project)
        for project in store.projects_of(g.user)
        if (status is None or project["status"] == status) and (currency is None or project["currency"] == currency)
    ]
    found.sort(key=_sort_key(sort.lstrip("-")), reverse=sort.startswith("-"))
    if planted("offset_counts_from_one") and offset:
        offset -= 1
    page = found if planted("limit_ignored") else found[offset : offset + limit]
    if planted("list_without_currency"):
        page = [{name: value for name, value in one.items() if name != "currency"} for one in page]
    total = len(page) if planted("total_of_page") else len(found)
    answer = {"items": page, "total": total, "limit": limit, "offset": offset}
    _pages[request.full_path] = (time.monotonic(), answer)
    return jsonify(answer)


@blueprint.get("/projects/<int:project_id>")
@private
def read_project(project_id):
    if request.method == "HEAD" and planted("head_refused"):
        raise Problem(405, "method_not_allowed", "Use GET.")
    project = own_project(project_id)
    response = _answer(project)
    if planted("name_in_header_crash"):
        name = project["name"].encode("latin-1").decode("latin-1")
        response.headers["X-Project-Name"] = " ".join(name.splitlines())
    response.make_conditional(request)
    return response


@blueprint.put("/projects/<int:project_id>")
@private
def replace_project(project_id):
    values = _read()
    with store.LOCK:
        project = own_project(project_id)
        _check_if_match(project)
        if planted("put_keeps_omitted"):
            sent = read_body()
            values = {name: value for name, value in values.items() if name in sent}
        project.update(values, updated_at=store.now())
        return _answer(project)


@blueprint.patch("/projects/<int:project_id>")
@private
def change_project(project_id):
    values = _read(partial=True)
    with store.LOCK:
        project = own_project(project_id, any_user=planted("foreign_project_changed"))
        _check_if_match(project)
        if planted("patch_resets_tags"):
            values.setdefault("tags", [])
        at = store.now()
        if planted("zone_lost_in_change"):
            at = at.removesuffix("Z")
        project.update(values, updated_at=at)
        return _answer(project)


@blueprint.delete("/projects/<int:project_id>")
@private
def delete_project(project_id):
    with store.LOCK:
        own_project(project_id)
        if planted("full_project_kept") and store.expenses_of(project_id):
            raise Problem(423, "locked", "The project has expenses.")
        store.delete_project(project_id)
    return Response(status=204)


@blueprint.post("/projects/<int:project_id>/archive")
@private
def archive_project(project_id):
    with store.LOCK:
        project = own_project(project_id)
        if project["status"] == "closed":
            raise Problem(409, "closed", "The project is closed already.")
        project.update(status="closed", updated_at=store.now())
        return jsonify(_show(project))
