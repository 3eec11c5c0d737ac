"""The caller's own account, the labels that all share, and the health of the service."""

import store
from keys import Signed
from models import LabelIn, MePatch
from planted import planted
from problems import Problem, not_found
from requests_in import Query, read_body
from starlette.endpoints import HTTPEndpoint
from starlette.responses import JSONResponse, Response

_shown = {}


def _show(user):
    shown = {key: value for key, value in user.items() if key != "password_hash"}
    return user if planted("me_shows_password_hash") else shown


class Me(Signed):
    async def get(self, request):
        if planted("me_cached_across_users"):
            _shown.setdefault("me", _show(store.users[request.state.user]))
            return JSONResponse(_shown["me"])
        return JSONResponse(_show(store.users[request.state.user]))

    async def patch(self, request):
        body = await read_body(request, MePatch)
        _shown.clear()
        values = body.model_dump(exclude_unset=True)
        user = store.users[request.state.user]
        if planted("newsletter_not_stored"):
            answer = {**user, **values}
            values.pop("newsletter", None)
            user.update(values)
            return JSONResponse(_show(answer))
        user.update(values)
        return JSONResponse(_show(user))


def _show_label(label):
    return {key: value for key, value in label.items() if key != "creator"}


def _find_label(request):
    label = store.labels.get(request.path_params["slug"])
    if label is None:
        raise not_found("label")
    return label


class Labels(Signed):
    async def get(self, request):
        prefix = Query(request).text("prefix", longest=30) or ""
        return JSONResponse([_show_label(item) for item in store.labels.values() if item["slug"].startswith(prefix)])

    async def post(self, request):
        body = await read_body(request, LabelIn)
        if body.slug in store.labels:
            if planted("duplicate_label_crashes"):
                raise LookupError(body.slug)
            raise Problem(409, "slug_taken", "There is a label with this slug.")
        label = store.add_label(body.model_dump(), store.users[request.state.user]["id"])
        return JSONResponse(_show_label(label), 201, {"Location": f"/labels/{body.slug}"})


class Label(Signed):
    async def get(self, request):
        return JSONResponse(_show_label(_find_label(request)))

    async def delete(self, request):
        label = _find_label(request)
        if label["creator"] != store.users[request.state.user]["id"] and not planted("label_deletable_by_all"):
            raise Problem(403, "forbidden", "Only who made a label deletes it.")
        if not planted("deleted_label_stays"):
            del store.labels[label["slug"]]
        return Response(status_code=204)


class Health(HTTPEndpoint):
    async def get(self, _request):
        return JSONResponse({"status": "ok", "version": "2.3.0"})
