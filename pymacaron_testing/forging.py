"""Tokens that must be refused, made from one good JWT without knowing what signs it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from pymacaron_testing.signing import read_token

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject

_TEN_YEARS_S = 315_360_000
_NONE_SPELLINGS = ("none", "None", "NONE", "nOnE")
_COORDINATE_BYTES = 32


def forge_unsigned(token: str) -> dict[str, str]:
    """Return forms of the good *token* whose signature is wrong or missing, by words for people; empty for no JWT."""
    if read_token(token) is None:
        return {}
    header, claims, signature = token.split(".")
    return {
        "the token with a broken signature": f"{header}.{claims}.{_flip(signature)}",
        "the token without its signature": f"{header}.{claims}.",
        "the token without its last part": f"{header}.{claims}",
        "the token with a cut signature": f"{header}.{claims}.{signature[: len(signature) // 2]}",
    }


def forge_claims(token: str) -> dict[str, str]:
    """Return forms of the good *token* with other claims or another key id under the old signature, by words."""
    read = read_token(token)
    if read is None:
        return {}
    header, claims = read
    signature = token.split(".")[2]
    prolonged = {**claims, "exp": int(_number(claims.get("exp"))) + _TEN_YEARS_S}
    return {
        "the token of another subject under the old signature": _join(
            header, {**claims, "sub": f"{claims.get('sub', '')}-other"}, signature
        ),
        "the token prolonged by ten years under the old signature": _join(header, prolonged, signature),
        "the token with an unknown key id under the old signature": _join(
            {**header, "kid": "pymacaron-unknown"}, claims, signature
        ),
    }


def forge_without_algorithm(token: str) -> dict[str, str]:
    """Return forms of the good *token* that claim to need no signature, by words (RFC 8725, section 2.1)."""
    read = read_token(token)
    if read is None:
        return {}
    header, claims = read
    return {
        f"the token unsigned, with alg: {spelling}": _join({**header, "alg": spelling}, claims, "")
        for spelling in _NONE_SPELLINGS
    }


def forge_keys(token: str, published: Sequence[JsonObject] = ()) -> dict[str, str]:
    """Return forms of the good *token* signed with keys that anybody has, by words (RFC 8725, sections 2.1 and 3.10).

    published: the service's public keys as JWK; its text is used as an HMAC secret.
    """
    read = read_token(token)
    if read is None:
        return {}
    header, claims = read
    forged = {
        "the token signed with an empty secret": _sign({**header, "alg": "HS256"}, claims, b""),
        "the token signed with an empty secret, its key id a path to an empty file": _sign(
            {**header, "alg": "HS256", "kid": "../../../../../../dev/null"}, claims, b""
        ),
        "the token signed with a key that came along in its header": _sign_with_own_key(header, claims),
    }
    for number, pem in enumerate(_read_public_keys(published)):
        for ending, text in (("", pem.rstrip()), (" and a line end", pem)):
            words = f"the token signed with the text of public key {number + 1}{ending} as HMAC secret"
            forged[words] = _sign({**header, "alg": "HS256"}, claims, text)
    return forged


def _read_public_keys(published: Sequence[JsonObject]) -> list[bytes]:
    """Return the keys as PEM; those that cannot be read are left out."""
    texts: list[bytes] = []
    for jwk in published:
        try:
            key = PyJWK(dict(jwk)).key
            texts.append(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        except (PyJWTError, AttributeError, KeyError, ValueError, TypeError):
            continue
    return texts


def _sign_with_own_key(header: JsonObject, claims: JsonObject) -> str:
    """Return an ES256 token whose public key is in its own header (RFC 7515, section 4.1.3)."""
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    x, y = (_encode(number.to_bytes(_COORDINATE_BYTES, "big")) for number in (numbers.x, numbers.y))
    own = {**header, "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}}
    r, s = decode_dss_signature(key.sign(_signed_part(own, claims).encode(), ec.ECDSA(hashes.SHA256())))
    return f"{_signed_part(own, claims)}.{_encode(b''.join(n.to_bytes(_COORDINATE_BYTES, 'big') for n in (r, s)))}"


def _sign(header: JsonObject, claims: JsonObject, secret: bytes) -> str:
    text = _signed_part(header, claims)
    return f"{text}.{_encode(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def _join(header: JsonObject, claims: JsonObject, signature: str) -> str:
    return f"{_signed_part(header, claims)}.{signature}"


def _signed_part(header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    return ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _flip(signature: str) -> str:
    """Return a signature of the same form that differs in every byte."""
    try:
        return _encode(bytes(byte ^ 0x55 for byte in _decode(signature)))
    except ValueError:
        return signature[::-1]


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else 0.0  # type: ignore[arg-type]
