"""Who the run is towards the target: header lines, where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pymacaron_testing.exchange import Redaction


@dataclass(frozen=True, slots=True)
class Credentials:
    """A header that identifies a user, or a key of the query, whose name begins with ``?``.

    origin: how a person gets one, a sentence for people.
    """

    name: str
    value: str
    origin: str

    @property
    def is_in_query(self) -> bool:
        """Tell whether this is a key of the query."""
        return self.name.startswith("?")

    @property
    def scheme(self) -> str:
        """Word before the secret, ``Bearer``; empty without one."""
        word, space, _ = self.value.partition(" ")
        return word if space else ""

    @property
    def secret(self) -> str:
        """The value without its scheme."""
        return self.value.partition(" ")[2] if self.scheme else self.value

    @property
    def slot(self) -> tuple[str, str]:
        """What a user has one of: a header with its scheme, a cookie, a key of the query."""
        if self.name.lower() == "cookie":
            return "cookie", self.value.partition("=")[0].strip()
        return self.name.lower(), self.scheme.lower()

    @property
    def redaction(self) -> Redaction:
        """What hides these credentials in texts."""
        return Redaction((self.secret,), frozenset({self.name.lower()}))

    def with_secret(self, secret: str) -> str:
        """Return the header's value with another secret."""
        return f"{self.scheme} {secret}" if self.scheme else secret


def read_header_line(line: str, origin: str) -> Credentials:
    """Return the credentials of a line such as ``Authorization: Bearer abc``, or ``?key=abc`` for one of the query.

    Raises: ValueError: there is no colon in it, or nothing on one side of it.
    """
    name, colon, value = line.partition("=" if line.lstrip().startswith("?") else ":")
    if not colon or not name.strip(" ?") or not value.strip():
        raise ValueError("it is no header line 'Name: value'")
    return Credentials(name.strip(), value.strip(), origin)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the document wants credentials. name: as in `Credentials`. scheme: word before them; empty for any."""

    name: str
    scheme: str = ""

    def is_for(self, credentials: Credentials) -> bool:
        """Tell whether *credentials* stand there."""
        is_scheme = self.scheme.lower() in {"", credentials.scheme.lower()}
        return credentials.name.lower() == self.name.lower() and is_scheme


class Identity:
    """The user of a run: found when first needed, found anew when the target refuses it."""

    def __init__(self, find: Callable[[], Credentials | None], others: Sequence[Credentials] = ()) -> None:
        """Take the function that finds the credentials, None where there are none, and *others* of the same user."""
        self._find = find
        self._others = tuple(others)
        self._known: Credentials | None = None
        self._is_known = False

    def get(self) -> Credentials | None:
        """Return the credentials."""
        if not self._is_known:
            self._known = self._find()
            self._is_known = True
        return self._known

    @property
    def all(self) -> tuple[Credentials, ...]:
        """All credentials of the user."""
        first = self.get()
        return (*((first,) if first else ()), *self._others)

    def choose(self, alternatives: Iterable[Sequence[Place]]) -> tuple[Credentials, ...]:
        """Return the credentials for the first of *alternatives* that there are some for, else the run's first ones."""
        known = self.all
        for places in alternatives:
            chosen = [next((one for one in known if place.is_for(one)), None) for place in places]
            found = tuple(one for one in chosen if one is not None)
            if found and len(found) == len(chosen):
                return found
        return known[:1]

    def renew(self) -> Credentials | None:
        """Find the credentials again, for targets whose users change during the run."""
        self._is_known = False
        return self.get()

    @property
    def redaction(self) -> Redaction:
        """What hides the credentials in texts."""
        known = [*([self._known] if self._known else []), *self._others]
        names = frozenset(one.name.lower() for one in known)
        return Redaction(tuple(one.secret for one in known), names) if known else Redaction()
