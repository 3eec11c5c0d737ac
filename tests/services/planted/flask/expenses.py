"""Expenses of a project: cursor pages, an idempotency key, a search over all of a user's projects."""

import re
import time
import uuid

import store
from auth import identify, private
from errors import Problem, not_found
from flask import Blueprint, Response, g, jsonify, request
from planted import planted
from projects import MOST_CENTS, own_project
from validation import (
    Fields,
    boolean,
    date_time,
    integer,
    labels,
    number,
    one_of,
    query,
    query_choice,
    query_integer,
    read_body,
    text,
)
from werkzeug.routing import BaseConverter

blueprint = Blueprint("expenses", __name__)

CATEGORIES = ("travel", "meals", "lodging", "equipment", "other")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


def _read(*, partial=False):
    fields = Fields(read_body(), partial=partial)
    longest = 10**6 if planted("title_maximum_unchecked") else 120
    fields.take("title", text(1, longest), required=True)
    fields.take("amount_cents", integer(1, MOST_CENTS), required=True)
    fields.take("category", one_of(*CATEGORIES), required=True)
    fields.take("spent_at", date_time, required=True)
    fields.take("exchange_rate", number(0, 1_000_000), default=1)
    fields.take("note", text(0, 1000), nullable=True)
    fields.take("reimbursed", boolean, default=False)
    fields.take("labels", labels, default=dict)
    values = fields.finish()
    if planted("rate_rounded") and "exchange_rate" in values:
        values["exchange_rate"] = round(values["exchange_rate"], 2)
    return values


def _own_expense(project_id, expense_id, *, any_user=False):
    expense = store.EXPENSES.get(expense_id.lower())
    if planted("parent_unchecked") and expense and store.PROJECTS[expense["project_id"]]["owner"] == g.user:
        return expense
    own_project(project_id, any_user=any_user)
    if expense is None or expense["project_id"] != project_id:
        raise not_found()
    return expense


def _store_expense(project, values):
    if planted("counter_race"):
        count = project["expense_count"]
        time.sleep(0.005)  # what a query takes
        project["expense_count"] = count + 1
    else:
        with store.LOCK:
            project["expense_count"] += 1
    expense = {"id": str(uuid.uuid4()), "project_id": project["id"], **values, "created_at": store.now()}
    store.EXPENSES[expense["id"]] = expense
    return expense


@blueprint.post("/projects/<int:project_id>/expenses")
@private
def create_expense(project_id):
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= 64:
        raise Problem(400, "invalid", "Idempotency-Key has 1 to 64 characters.")
    values = _read()
    project = own_project(project_id)
    if project["status"] == "closed":
        raise Problem(409, "closed", "The project is closed.")
    if key is None or planted("idempotency_key_ignored"):
        return _created(_store_expense(project, values))
    with store.LOCK:
        expense, sent = store.REQUESTS.get((g.user, project_id, key), (None, None))
        if expense is None:
            expense = dict(_store_expense(project, values))
            store.REQUESTS[g.user, project_id, key] = expense, values
        elif sent != values:
            raise Problem(409, "key_reused", "The key was used for another expense.")
    return _created(expense)


def _created(expense):
    response = jsonify(expense)
    response.status_code = 201
    kind = "expense" if planted("location_wrong") else "expenses"
    response.headers["Location"] = f"/api/v1/projects/{expense['project_id']}/{kind}/{expense['id']}"
    return response


def _position(found, cursor):
    """Return where the page after *cursor* starts."""
    for number_, expense in enumerate(found):
        if expense["id"] == cursor.lower():
            return number_ + 1
    raise Problem(400, "invalid", "The cursor is of no page of this list.")


@blueprint.get("/projects/<int:project_id>/expenses")
@private
def list_expenses(project_id):
    limit = query_integer("limit", lowest=1, highest=50, default=20)
    cursor = query("cursor")
    category = query_choice("category", CATEGORIES)
    least = query_integer("min_amount_cents", lowest=0, highest=MOST_CENTS, default=0)
    most = query_integer("max_amount_cents", lowest=0, highest=MOST_CENTS, default=MOST_CENTS)
    own_project(project_id)
    found = store.expenses_of(project_id)
    if planted("category_of_page"):
        found = found[:limit] if category else found
    found = [
        expense
        for expense in found
        if category in {None, expense["category"]}
        and least <= expense["amount_cents"]
        and (expense["amount_cents"] <= most or planted("maximum_filter_ignored"))
    ]
    if planted("deleted_in_list"):
        found += [gone for gone in store.ARCHIVED_EXPENSES if gone["project_id"] == project_id]
    start = _position(found, cursor) if cursor is not None else 0
    page = found[start : start + limit]
    has_more = len(found) > start + limit
    if planted("cursor_skips_one") and has_more:
        page = page[:-1] or page
        following = found[start + limit - 1]["id"]
    else:
        following = page[-1]["id"] if has_more else None
    if planted("project_id_text_in_list"):
        page = [{**expense, "project_id": str(project_id)} for expense in page]
    return jsonify(items=page, next_cursor=following)


class Number(BaseConverter):
    """An id that is a number, in a path."""

    regex = r"[0-9]{1,18}"

    def to_python(self, value):
        return int(value)


class ExpenseId(BaseConverter):
    """An expense's id in a path; all else is an unknown thing."""

    regex = r"[^/]+"

    def to_python(self, value):
        return value if _UUID.match(value) else "unknown"


@blueprint.get("/projects/<int:project_id>/expenses/<expense:expense_id>")
@private
def read_expense(project_id, expense_id):
    if planted("missing_expense_as_html") and expense_id.lower() not in store.EXPENSES:
        own_project(project_id)
        return Response("<!doctype html><title>404 Not Found</title><h1>Not Found</h1>", 404, mimetype="text/html")
    return jsonify(_own_expense(project_id, expense_id, any_user=planted("foreign_expense_read")))


@blueprint.patch("/projects/<int:project_id>/expenses/<expense:expense_id>")
@private
def change_expense(project_id, expense_id):
    values = _read(partial=True)
    with store.LOCK:
        expense = _own_expense(project_id, expense_id)
        if planted("false_not_stored"):
            values = {name: value for name, value in values.items() if value is not False}
        if planted("note_not_stored"):
            values.pop("note", None)
        expense.update(values)
        return jsonify(expense)


@blueprint.delete("/projects/<int:project_id>/expenses/<expense:expense_id>")
@private
def delete_expense(project_id, expense_id):
    with store.LOCK:
        expense = _own_expense(project_id, expense_id, any_user=planted("foreign_expense_deleted"))
        del store.EXPENSES[expense["id"]]
        store.ARCHIVED_EXPENSES.append(expense)
        project = store.PROJECTS[expense["project_id"]]
        project["expense_count"] -= 1
    if planted("delete_answers_200"):
        return jsonify(deleted=True)
    return Response(status=204)


def _matches(expense, words):
    if planted("search_text_as_pattern"):
        return re.search(words, expense["title"], re.IGNORECASE)
    return words.lower() in expense["title"].lower()


@blueprint.get("/search")
def search_expenses():
    if planted("search_without_token") and "Authorization" not in request.headers:
        user = None
    else:
        user = identify()
    words = query("q")
    if words is None or not 1 <= len(words) <= 100:
        raise Problem(400, "invalid", "q has 1 to 100 characters.")
    page = query_integer("page", lowest=1, highest=1_000_000, default=1)
    size = query_integer("per_page", lowest=1, highest=100, default=20)
    is_open = user is None or planted("search_shows_others")
    own = {project["id"] for project in list(store.PROJECTS.values()) if is_open or project["owner"] == user}
    with store.LOCK:
        found = [one for one in list(store.EXPENSES.values()) if one["project_id"] in own and _matches(one, words)]
    if planted("first_page_again"):
        page = max(page - 1, 1)
    shown = found[(page - 1) * size : page * size]
    if planted("large_page_slow") and size > 50:
        time.sleep(2)
    return jsonify(results=shown, page=page, per_page=size, total=len(found))
