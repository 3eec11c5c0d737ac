"""Tags: everybody sees them, their names are unique, who made one may delete it."""

import store
from auth import private
from errors import Problem, not_found
from flask import Blueprint, Response, g, jsonify
from planted import planted
from validation import Fields, query_integer, read_body, text

blueprint = Blueprint("tags", __name__)


def _show(tag):
    return {name: value for name, value in tag.items() if name != "by_name"}


@blueprint.post("/tags")
@private
def create_tag():
    fields = Fields(read_body())
    anchored = not planted("color_pattern_open")
    fields.take("name", text(2, 30, r"^[a-z][a-z0-9-]*\Z"), required=True)
    fields.take(
        "color", text(7, 7 if anchored else 70, r"^#[0-9a-f]{6}\Z" if anchored else "#[0-9a-f]{6}"), required=True
    )
    fields.take("description", text(0, 200), nullable=True)
    values = fields.finish()
    with store.LOCK:
        if any(tag["name"] == values["name"] for tag in store.TAGS.values()):
            if planted("second_tag_crash"):
                raise RuntimeError("UNIQUE constraint failed: tags.name")
            if planted("conflict_shows_sql"):
                statement = f"INSERT INTO tags (name, color, owner_id) VALUES ('{values['name']}', ?, ?)"
                raise Problem(
                    409, "exists", f"sqlite3.IntegrityError: UNIQUE constraint failed: tags.name [SQL: {statement}]"
                )
            raise Problem(409, "exists", "There is a tag of this name.")
        tag = {"id": store.next_tag_id(), **values, "created_by": g.user, "created_at": store.now()}
        store.TAGS[tag["id"]] = tag
    response = jsonify(_show(tag))
    response.status_code = 201
    response.headers["Location"] = f"/api/v1/tags/{tag['id']}"
    return response


@blueprint.get("/tags")
@private
def list_tags():
    limit = query_integer("limit", lowest=1, highest=100, default=50)
    offset = query_integer("offset", lowest=0, highest=1_000_000, default=0)
    with store.LOCK:
        found = sorted(store.TAGS.values(), key=lambda tag: tag["id"])
    return jsonify([_show(tag) for tag in found[offset : offset + limit]])


@blueprint.get("/tags/<int:tag_id>")
@private
def read_tag(tag_id):
    tag = store.TAGS.get(tag_id)
    if tag is None:
        raise not_found()
    return jsonify(_show(tag))


@blueprint.delete("/tags/<int:tag_id>")
@private
def delete_tag(tag_id):
    with store.LOCK:
        tag = store.TAGS.get(tag_id)
        if tag is None:
            raise not_found()
        if tag["created_by"] != g.user and not planted("foreign_tag_deleted"):
            raise Problem(403, "forbidden", "Only who made a tag deletes it.")
        if not planted("tag_kept"):
            del store.TAGS[tag_id]
    return Response(status=204)
