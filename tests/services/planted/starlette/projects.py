"""Projects: private to their owner, paged with a cursor, with ETag and Idempotency-Key."""

import asyncio
import base64
import csv
import hashlib
import io
import json
import logging
import re

import store
from keys import Signed
from models import STATUSES, ProjectIn, ProjectPatch
from planted import planted
from problems import Problem, not_found
from requests_in import Query, read_body
from starlette.responses import JSONResponse, Response

_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_answers = {}
_CURSOR = re.compile(r"n([0-9]{1,15})\Z")
_reads = 0


def show(project):
    """Return the project as the document describes it."""
    number_of_tasks = len(store.tasks_of(project))
    shown = {key: value for key, value in project.items() if key not in {"number", "owner"}}
    shown["task_count"] = number_of_tasks
    if planted("task_count_null") and not number_of_tasks:
        shown["task_count"] = None
    return shown


def own(request):
    """Return the project of the path. Raises Problem 404: there is none, or it is another user's."""
    project = store.projects.get(request.path_params["project_id"])
    if project is None:
        raise not_found("project")
    if project["owner"] != request.state.user:
        is_open = (
            (planted("project_readable_by_all") and request.method == "GET")
            or (planted("project_patchable_by_all") and request.method == "PATCH")
            or (planted("project_deletable_by_all") and request.method == "DELETE")
        )
        is_task_creation = request.method == "POST" and request.url.path.endswith("/tasks")
        if planted("task_creatable_by_all") and is_task_creation:
            return project
        if not is_open or "task" in request.url.path:
            raise not_found("project")
    return project


def _etag(project):
    if planted("etag_constant"):
        return f'"{project["id"]}"'
    return f'"{hashlib.sha256(json.dumps(show(project)).encode()).hexdigest()[:20]}"'


def _answer(project, status=200, **headers):
    return JSONResponse(show(project), status, {"ETag": _etag(project), **headers})


def _names(line):
    return {item.strip().removeprefix("W/") for item in line.split(",")}


def _check_if_match(request, project):
    line = request.headers.get("if-match")
    if line is None or line.strip() == "*" or planted("if_match_ignored"):
        return
    if _etag(project) not in {item.strip() for item in line.split(",")}:
        raise Problem(412, "precondition_failed", "The project has changed since.")


def _check_name(user, name, other_than=None):
    for project in store.projects.values():
        if project["owner"] == user and project["name"] == name and project is not other_than:
            message = f"You already have a project {name!r}."
            if planted("conflict_shows_sql"):
                message = (
                    "(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "
                    '"uq_projects_owner_name" [SQL: INSERT INTO projects (id, owner, name) VALUES (%(id)s, %(owner)s, '
                    "%(name)s)]"
                )
            raise Problem(409, "name_taken", message)


def _read_cursor(query):
    text = query.text("cursor", longest=100)
    if text is None:
        return 0
    try:
        found = _CURSOR.match(base64.urlsafe_b64decode(text.encode("ascii")).decode("ascii"))
    except ValueError:
        found = None
    if not found:
        raise Problem(422, "invalid", "cursor must be a next_cursor of this list.")
    return int(found[1])


def _page(items, limit, after):
    rest = [item for item in items if item["number"] > after]
    page = rest[:limit]
    cursor = None
    if len(rest) > limit and not (planted("last_page_lost") and len(rest) < 2 * limit):
        last = rest[limit] if planted("cursor_skips_one") else page[-1]
        cursor = base64.urlsafe_b64encode(f"n{last['number']}".encode()).decode()
    return page, cursor


class Projects(Signed):
    async def get(self, request):
        query = Query(request)
        limit = query.whole("limit", default=20, least=1, most=100)
        after = _read_cursor(query)
        status = query.choice("status", STATUSES)
        if planted("large_limit_slow") and limit >= 50:
            await asyncio.sleep(0.03 * limit)
        items = [item for item in store.projects.values() if item["owner"] == request.state.user]
        if planted("status_filter_shows_all_owners") and status:
            items = list(store.projects.values())
        if status and not planted("status_filter_ignored"):
            items = [item for item in items if item["status"] == status]
        page, cursor = _page(items, limit, after)
        shown = [show(item) for item in page]
        if planted("list_lacks_updated_at"):
            for item in shown:
                del item["updated_at"]
        return JSONResponse({"items": shown, "next_cursor": cursor})

    async def post(self, request):
        key = request.headers.get("idempotency-key")
        if key is not None and not _IDEMPOTENCY_KEY.match(key):
            raise Problem(422, "invalid", "Idempotency-Key must be 8 to 64 letters, digits, - or _.")
        body = await read_body(request, ProjectIn)
        user = request.state.user
        remembered = _answers.get((user, key))
        if key is not None and remembered and not planted("idempotency_key_ignored"):
            if remembered[0] != body:
                raise Problem(409, "key_reused", "This Idempotency-Key came with another body before.")
            return _created(*remembered[1:])
        _check_name(user, body.name)
        values = body.model_dump()
        if planted("slug_needs_latin_name"):
            body.name.encode("latin-1")
        if planted("budget_divided_by_rate") and values["budget_cents"]:
            logging.getLogger("workbench").info("%s hours", values["budget_cents"] / values["hourly_rate"])
        project = store.add_project(user, values)
        answer = (body, show(project), project["id"], _etag(project))
        if key is not None:
            _answers[user, key] = answer
        return _created(*answer[1:])


def _created(shown, project_id, etag):
    base = "/project/" if planted("location_wrong") else "/projects/"
    return JSONResponse(shown, 201, {"Location": base + project_id, "ETag": etag})


class Project(Signed):
    async def get(self, request):
        global _reads
        _reads += 1
        if planted("one_read_in_twenty_slow") and _reads % 20 == 0:
            await asyncio.sleep(1)
        project = own(request)
        line = request.headers.get("if-none-match")
        if line is not None and (line.strip() == "*" or _etag(project).removeprefix("W/") in _names(line)):
            return Response(status_code=304, headers={"ETag": _etag(project)})
        return _answer(project)

    async def put(self, request):
        if planted("put_creates") and request.path_params["project_id"] not in store.projects:
            body = await read_body(request, ProjectIn)
            return _answer(store.add_project(request.state.user, body.model_dump()), 201)
        own(request)
        body = await read_body(request, ProjectIn)
        project = own(request)
        _check_if_match(request, project)
        _check_name(project["owner"], body.name, project)
        _change(project, body.model_dump(exclude_unset=planted("put_keeps_what_is_missing")))
        return _answer(project)

    async def patch(self, request):
        own(request)
        body = await read_body(request, ProjectPatch)
        project = own(request)
        _check_if_match(request, project)
        values = body.model_dump(exclude_unset=True)
        if "name" in values:
            _check_name(project["owner"], body.name, project)
        if planted("patch_null_description_crashes") and "description" in values:
            values["description"] = values["description"].strip()
        if planted("patch_forgets_tags"):
            values.pop("tags", None)
        if planted("patch_resets_settings"):
            values.setdefault("settings", body.settings.model_dump())
        if planted("race_in_patch"):
            before = dict(project)
            await asyncio.sleep(0.01)
            project.update(before)
        _change(project, values)
        return _answer(project)

    async def delete(self, request):
        project = own(request)
        _check_if_match(request, project)
        store.drop_project(project)
        return Response(status_code=204)


def _change(project, values):
    project.update(values)
    project["updated_at"] = store.now()


class Export(Signed):
    async def get(self, request):
        project = own(request)
        rows = store.tasks_of(project)
        media_type = _choose(request.headers.get("accept", "*/*"))
        if media_type == "application/json" or planted("accept_ignored"):
            return JSONResponse([{"id": row["id"], "title": row["title"], "done": row["done"]} for row in rows])
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["id", "title", "done"])
        writer.writerows([row["id"], row["title"], row["done"]] for row in rows)
        return Response(out.getvalue(), media_type="text/csv")


def _choose(accept):
    """Return the media type that the caller likes best. Raises Problem 406."""
    weights = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", parameter):
                quality = float(parameter[2:])
        weights[name] = quality
    best, chosen = 0.0, None
    for offered in ("application/json", "text/csv"):
        kind = offered.split("/")[0]
        weight = weights.get(offered, weights.get(f"{kind}/*", weights.get("*/*", 0.0)))
        if weight > best:
            best, chosen = weight, offered
    if chosen is None and not planted("accept_ignored"):
        raise Problem(406, "not_acceptable", "There is application/json and text/csv.")
    return chosen
