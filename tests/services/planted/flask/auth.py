"""Who asks: users sign in with a password and get a JWT."""

import functools
import hashlib
import json
import os
import time
from base64 import urlsafe_b64decode

import jwt
from errors import Problem
from flask import g, request
from planted import planted

SECRET = os.environ.get("JWT_SECRET", "an-expense-secret-of-32-bytes-len")
ISSUER = "https://login.expenses.example"
AUDIENCE = "expenses"
SCOPE = "expenses"
LIFETIME_S = 3600


def _hash(password):
    return "pbkdf2:" + hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "surrogatepass"), b"salt", 1000).hex()


USERS = {
    name: {
        "username": name,
        "display_name": name.title(),
        "phone": None,
        "notifications": True,
        "password_hash": _hash(f"{name}-password"),
    }
    for name in ("alice", "bob")
}


def mint(username):
    now = int(time.time())
    claims = {"sub": username, "iss": ISSUER, "aud": AUDIENCE, "scope": SCOPE, "iat": now, "exp": now + LIFETIME_S}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def sign_in(username, password):
    """Return whether the password is right."""
    user = USERS.get(username)
    return user is not None and user["password_hash"] == _hash(password)


def _unauthorised():
    return Problem(401, "unauthorised", "Say who you are with a valid token.")


def _decode(token):
    if planted("algorithm_none_accepted"):
        head, claims, _ = token.split(".")
        if json.loads(urlsafe_b64decode(head + "==")).get("alg", "").lower() == "none":
            return json.loads(urlsafe_b64decode(claims + "=="))
    options = {
        "require": ["sub", "exp", "iss", "aud"],
        "verify_aud": not planted("audience_unchecked"),
        "verify_exp": not planted("expiry_unchecked"),
        "verify_iss": not planted("issuer_unchecked"),
    }
    if planted("signature_unchecked") and request.endpoint == "account.read_profile":
        options["verify_signature"] = False
    return jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=options)


def identify():
    """Return the name of the user who asks."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if planted("scheme_ignored"):
        token = token or scheme
    elif scheme.lower() != "bearer":
        raise _unauthorised()
    try:
        claims = _decode(token.strip())
    except (jwt.PyJWTError, ValueError) as error:
        raise _unauthorised() from error
    username = claims.get("sub")
    if not isinstance(username, str) or username not in USERS:
        raise _unauthorised()
    if SCOPE not in str(claims.get("scope", "")).split() and not planted("scope_unchecked"):
        raise Problem(403, "forbidden", f"The token lacks the scope {SCOPE}.")
    return username


def private(view):
    """Let only users with a valid token in; g.user names them."""

    @functools.wraps(view)
    def guarded(**arguments):
        g.user = identify()
        return view(**arguments)

    return guarded
