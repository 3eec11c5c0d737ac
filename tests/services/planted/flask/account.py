"""Signing in, and the profile of who asks."""

import store
from auth import LIFETIME_S, USERS, mint, private, sign_in
from errors import Problem
from flask import Blueprint, g, jsonify
from planted import planted
from validation import Fields, boolean, read_body, text

blueprint = Blueprint("account", __name__)


def _show(user):
    return {name: value for name, value in user.items() if name != "password_hash" or planted("password_hash_shown")}


@blueprint.post("/login")
def login():
    fields = Fields(read_body())
    fields.take("username", text(1, 40), required=True)
    fields.take("password", text(1, 200), required=True)
    values = fields.finish()
    if not sign_in(values["username"], values["password"]):
        raise Problem(401, "unauthorised", "The name or the password is wrong.")
    return jsonify(access_token=mint(values["username"]), token_type="Bearer", expires_in=LIFETIME_S)


@blueprint.get("/me")
@private
def read_profile():
    return jsonify(_show(USERS[g.user]))


@blueprint.patch("/me")
@private
def change_profile():
    fields = Fields(read_body(), partial=True)
    fields.take("display_name", text(1, 60))
    fields.take("phone", text(3, 20, r"^\+[0-9]{2,19}\Z"), nullable=True)
    fields.take("notifications", boolean)
    values = fields.finish()
    with store.LOCK:
        USERS[g.user].update(values)
    return jsonify(_show(USERS[g.user]))
