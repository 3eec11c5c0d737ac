"""Keeps passwords as salted scrypt hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# Source: RFC 7914, section 2, for the meaning of N, r and p. Memory is 128 * N * r bytes: 16 MiB at N = 2**14.
DEFAULT_COST = 2**14
_BLOCK_SIZE = 8
_SALT_BYTES = 16
_MEMORY_BYTES = 2**28


def hash_password(password: str, cost: int = DEFAULT_COST) -> str:
    """Return a new hash of *password*, ``scrypt:N:salt:key`` in hex. cost: scrypt's N, a power of 2."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt:{cost}:{salt.hex()}:{_derive(password, salt, cost).hex()}"


def verify_password(password: str, hashed: str) -> bool:
    """Tell whether *hashed* was made from *password*; takes as long for a wrong one as for the right one."""
    _, cost, salt, key = hashed.split(":")
    return hmac.compare_digest(_derive(password, bytes.fromhex(salt), int(cost)), bytes.fromhex(key))


def _derive(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=_BLOCK_SIZE, p=1, maxmem=_MEMORY_BYTES)
