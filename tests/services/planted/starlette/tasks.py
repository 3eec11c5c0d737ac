"""The tasks of a project, paged with limit and offset; they can be voted for and searched."""

import asyncio
import re

import store
from keys import Signed, find_user
from models import TaskIn, TaskPatch
from planted import planted
from problems import not_found
from projects import own
from requests_in import Query, read_body
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

SORTS = ("created_at", "-created_at", "title", "-title", "priority", "-priority", "effort_minutes", "-effort_minutes")
_ID = re.compile(r"[1-9][0-9]{0,15}\Z")


def _find(request):
    """Return the task of the path. Raises Problem 404."""
    text = request.path_params["task_id"]
    if planted("task_of_any_project") and text.isdecimal() and int(text) in store.tasks:
        return store.tasks[int(text)]
    project = own(request)
    if planted("task_id_of_64_bits_crashes") and text.isdecimal():
        int(text).to_bytes(8, "big", signed=True)
    task = store.tasks.get(int(text)) if _ID.match(text) else None
    if task is None or task["project_id"] != project["id"]:
        raise not_found("task")
    return task


def _order(task, name):
    if planted("effort_sorted_as_text") and name == "effort_minutes":
        return str(task[name]), task["id"]
    return (task["id"] if name == "created_at" else task[name]), task["id"]


class Tasks(Signed):
    async def get(self, request):
        items = store.tasks_of(own(request))
        query = Query(request)
        limit = query.whole("limit", default=20, least=1, most=100)
        offset = query.whole("offset", default=0, least=0, most=2**53 - 1)
        done = query.flag("done")
        sort = query.choice("sort", SORTS) or "created_at"
        total = len(items)
        if done is not None:
            items = [item for item in items if item["done"] == done]
        if not planted("total_before_filter"):
            total = len(items)
        name = sort.removeprefix("-")
        items.sort(key=lambda task: _order(task, name), reverse=sort.startswith("-") and not planted("minus_ignored"))
        if planted("limit_ignored"):
            return JSONResponse({"items": items[offset:], "total": total, "limit": limit, "offset": offset})
        start = max(offset - 1, 0) if planted("offset_one_less") else offset
        return JSONResponse({"items": items[start : start + limit], "total": total, "limit": limit, "offset": offset})

    async def post(self, request):
        own(request)
        body = await read_body(request, TaskIn)
        project = own(request)
        values = body.model_dump()
        if planted("title_stored_short"):
            values["title"] = values["title"][:64]
        task_id = None
        if planted("task_ids_collide"):
            task_id = max(store.tasks, default=0) + 1
            await asyncio.sleep(0.01)
        task = store.add_task(project, values, task_id)
        location = f"/projects/{project['id']}/tasks/{task['id']}"
        return JSONResponse({**task, "title": body.title}, 201, {"Location": location})


class Task(Signed):
    async def get(self, request):
        if request.method == "HEAD" and planted("head_refused"):
            raise HTTPException(405, headers={"Allow": "GET, PATCH, DELETE"})
        task = _find(request)
        if planted("created_at_without_zone"):
            return JSONResponse({**task, "created_at": task["created_at"].removesuffix("Z")})
        return JSONResponse(task)

    async def patch(self, request):
        _find(request)
        body = await read_body(request, TaskPatch)
        task = _find(request)
        values = body.model_dump(exclude_unset=True)
        if planted("empty_patch_crashes"):
            next(iter(values))
        if planted("done_cannot_be_unset"):
            values = {key: value for key, value in values.items() if value is not False}
        task.update(values)
        return JSONResponse(task)

    async def delete(self, request):
        task = _find(request)
        if planted("delete_keeps_task"):
            return Response(status_code=204)
        if planted("delete_answers_200"):
            del store.tasks[task["id"]]
            return JSONResponse(task)
        del store.tasks[task["id"]]
        return Response(status_code=204)


class Votes(Signed):
    async def post(self, request):
        task = _find(request)
        votes = task["votes"]
        if planted("votes_get_lost"):
            await asyncio.sleep(0.01)
        task["votes"] = votes + 1
        return JSONResponse({"task_id": task["id"], "votes": task["votes"]})


class Search(HTTPEndpoint):
    async def get(self, request):
        if planted("search_without_key") and "authorization" not in request.headers:
            user = None
        else:
            user = find_user(request)
        query = Query(request)
        wanted = query.text("q", longest=80, required=True).casefold()
        kind = query.choice("kind", ("project", "task"))
        limit = query.whole("limit", default=20, least=1, most=50)
        if planted("search_reads_patterns"):
            re.compile(wanted)
        hits = [hit for hit in _hits(user, wanted) if kind in {None, hit["kind"]}]
        return JSONResponse({"items": hits[:limit], "total": len(hits)})


def _hits(user, wanted):
    for project in store.projects.values():
        if project["owner"] != user and user is not None:
            continue
        if wanted in project["name"].casefold() or wanted in (project["description"] or "").casefold():
            yield {"kind": "project", "id": project["id"], "project_id": project["id"], "text": project["name"]}
    for task in store.tasks.values():
        owner = store.projects[task["project_id"]]["owner"]
        if wanted in task["title"].casefold() and (user in {owner, None} or planted("search_shows_others_tasks")):
            yield {"kind": "task", "id": str(task["id"]), "project_id": task["project_id"], "text": task["title"]}
