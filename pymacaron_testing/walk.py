"""A walk over the operations of a document: things are made, used, changed, deleted and asked for once more.

The same seed walks the same way as long as the target answers the same.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymacaron_testing.chain import Link, Place, Playback, Step, send_step
from pymacaron_testing.kinds import Kind, find_kind_of, find_parent
from pymacaron_testing.resources import normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite

_PARAMETER = re.compile(r"\{([^{}]+)\}")
_STOCK = 6
_SALT = 0x57A1
_MAX_LIVING = 6
_AFTERWARDS = 2
_COPIED_SHARE = 0.2
_PROVEN_SHARE = 0.7
_ENDING_SHARE = 0.3
_DELETED = {200, 204}


@dataclass(slots=True)
class _Node:
    """A thing of the walk. step: the one that made it. ended_by: the one that deleted it."""

    kind: Kind
    step: int
    ended_by: int | None = None


class Walk:
    """One walk; `steps` are all that were sent, in order, `playback` is what came of them."""

    def __init__(self, suite: Suite, seed: int) -> None:
        """Prepare to walk over the operations of *suite*'s document."""
        self.suite = suite
        self.steps: list[Step] = []
        self.playback = Playback()
        self._random = random.Random(seed)  # noqa: S311 - test data
        self._nodes: list[_Node] = []
        self._stock: dict[str, list[Case]] = {}
        self._proven: dict[str, list[Case]] = {}
        self._operations: list[Operation] = []
        self._first = 0
        self._visits: Counter[str] = Counter()

    def go(self, operations: list[Operation], count: int) -> Iterator[tuple[Step, Exchange]]:
        """Send up to about *count* requests of *operations* and yield each with its exchange.

        In each episode a new thing is made, a few operations act on it and on its parts, it is deleted, and a few more
        act on it. Raises: TargetLostError.
        """
        self._operations = operations
        roots = [kind for kind in self.suite.kinds if kind.creator in operations]
        sizes = [len(self._find_acting(root)) + 1 for root in roots]
        for number in range(count):
            if not roots or len(self.steps) >= count or number > len(self.steps):
                return
            is_first = number < len(roots)
            yield from self._run_episode(roots[number] if is_first else self._random.choices(roots, sizes)[0])

    def _run_episode(self, root: Kind) -> Iterator[tuple[Step, Exchange]]:
        assert root.creator is not None
        self._first = len(self._nodes)
        yield from self._visit(root.creator)
        acting = self._find_acting(root)
        for _ in acting:
            yield from self._visit(self._choose(acting))
        if root.deleter in self._operations and root.deleter is not None:
            yield from self._visit(root.deleter)
            for _ in range(_AFTERWARDS):
                yield from self._visit(self._choose(acting))

    def _find_acting(self, root: Kind) -> list[Operation]:
        return [operation for operation in self._operations if self._is_about(root, operation)]

    def _is_about(self, root: Kind, operation: Operation) -> bool:
        """Tell whether *operation* acts on a thing of kind *root*, on one of its parts, or makes one."""
        kind = self._find_owner_kind(operation)
        while kind is not None and kind is not root:
            kind = next((one for one in self.suite.kinds if one.item_path == kind.parent and kind.parent), None)
        return kind is root

    def _choose(self, operations: list[Operation]) -> Operation:
        """Return an operation, rather one that was seldom visited; what may end a thing comes less often."""
        changing = {operation.operation_id for kind in self.suite.kinds for operation in kind.operations}
        weights = []
        for operation in operations:
            is_safe = operation.method.upper() != "DELETE" and operation.operation_id in changing
            weights.append((1.0 if is_safe else _ENDING_SHARE) / (1 + self._visits[operation.operation_id]))
        return self._random.choices(operations, weights)[0]

    def _visit(self, operation: Operation) -> Iterator[tuple[Step, Exchange]]:
        self._visits[operation.operation_id] += 1
        owner_kind = self._find_owner_kind(operation)
        if owner_kind is not None and not any(node.kind is owner_kind for node in self._nodes):
            if owner_kind.creator is None or owner_kind.creator is operation:
                return
            yield from self._visit(owner_kind.creator)
        step = self._plan(operation, owner_kind)
        exchange = send_step(self.suite, step, self.playback) if step is not None else None
        if step is None or exchange is None:
            return
        self.steps.append(step)
        self._note(step, exchange)
        yield step, exchange

    def _find_owner_kind(self, operation: Operation) -> Kind | None:
        """Return the kind of the last thing that the path of *operation* names."""
        path = operation.path.rstrip("/")
        named = next((kind for kind in self.suite.kinds if kind.item_path.rstrip("/") == path and "}" in path), None)
        if named is not None and named.creator is operation:
            named = None  # a PUT that makes the thing that its path names
        return named or (find_parent(self.suite.kinds, path) if "}" in path else None)

    def _plan(self, operation: Operation, owner_kind: Kind | None) -> Step | None:
        node = self._pick(owner_kind) if owner_kind is not None else None
        case = self._draw(operation)
        if case is None or (_PARAMETER.search(operation.path) and node is None):
            return None
        number = len(self.steps)
        kind = find_kind_of(self.suite.kinds, operation)
        return Step(
            number=number,
            case=case,
            owner=node.step if node else None,
            makes=kind if kind is not None and kind.creator is operation else None,
            links=self._link(case, kind),
            ended_by=node.ended_by if node else None,
        )

    def _pick(self, kind: Kind) -> _Node | None:
        """Return a thing of *kind*: rather one of this episode, dead only where none lives; None without any."""
        recent = [node for node in self._nodes[self._first :] if node.kind is kind]
        living = [node for node in recent or self._nodes if node.kind is kind and node.ended_by is None]
        candidates = living or recent or [node for node in self._nodes if node.kind is kind]
        return self._random.choice(candidates[-_MAX_LIVING:]) if candidates else None

    def _draw(self, operation: Operation) -> Case | None:
        """Return a valid request: one that succeeded before, each in turn, or a random one."""
        key = operation.operation_id
        proven = self.suite.find_successes(operation)
        if proven and self._random.random() < _PROVEN_SHARE:
            if not self._proven.get(key):
                self._proven[key] = self._random.sample(proven, len(proven))
            return self._proven[key].pop()
        if key not in self._stock:
            drawn = self.suite.generator.draw(operation, _STOCK, salt=_SALT)
            self._stock[key] = [case for case in drawn if case.is_valid and not case.is_probe]
        return self._random.choice(self._stock[key]) if self._stock[key] else None

    def _link(self, case: Case, kind: Kind | None) -> dict[Place, Link]:
        """Return what the body takes over: keys of things that it refers to, sometimes a text of another thing."""
        body = self.suite.generator.values_of(case).get("body")
        prefix = (kind.body_wrapper,) if kind is not None and kind.body_wrapper else ()
        fields = body.get(prefix[0]) if prefix and isinstance(body, dict) else body
        if not isinstance(fields, dict):
            return {}
        links = {(*prefix, name): Link(step) for name, value in fields.items() if (step := self._refer(name, value))}
        texts = [name for name, value in fields.items() if isinstance(value, str) and (*prefix, name) not in links]
        others = [node for node in self._nodes if node.kind is kind]
        if texts and others and self._random.random() < _COPIED_SHARE:
            name, other = self._random.choice(texts), self._random.choice(others)
            if isinstance(self.playback.things[other.step].sent_fields.get(name), str):
                links[*prefix, name] = Link(other.step, name)
        return links

    def _refer(self, name: str, value: Json) -> int | None:
        """Return the step that made the thing that a property called ``owner_id`` may refer to."""
        plain = normalise(name)
        if not plain.endswith("id") or plain == "id":
            return None
        for node in reversed(self._nodes):
            key = self.playback.things[node.step].answered.get(node.kind.key_field)
            if node.ended_by is None and plain.removesuffix("id").endswith(node.kind.name) and type(key) is type(value):
                return node.step
        return None

    def _note(self, step: Step, exchange: Exchange) -> None:
        if step.makes is not None and step.number in self.playback.things:
            self._nodes.append(_Node(step.makes, step.number))
        is_deletion = any(kind.deleter is step.operation for kind in self.suite.kinds)
        if is_deletion and exchange.status in _DELETED:
            for node in self._nodes:
                if node.step == step.owner and node.ended_by is None:
                    node.ended_by = step.number
