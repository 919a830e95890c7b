"""Where something stands in an answer, and patterns of such places.

An answer is one tree: its status, its headers, its body as JSON, and for a write the rows that it changed.  A place is
the way from the root to a value, `("body", "items", 0, "id")`; people read and write it as `$.items[0].id`, `status`,
`header location` or `rows tasks.inserted[0].id`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from towpath.errors import WrongUse

Path = tuple[str | int, ...]
STATUS, HEADERS, BODY, ROWS = "status", "headers", "body", "rows"
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]\s'"*]+)|\[(?P<index>\d+)\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]|(?P<any>\[\*\]|\.\*)"""
)
_PLAIN = re.compile(r"[^.\[\]\s'\"*]+")
HEADER = re.compile(r"header ([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
CELL = re.compile(r"rows ([^.\s]+)\.([^.\s]+)")


class Missing:
    """The value of a place that is not there."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()


class _Any:
    def __repr__(self) -> str:
        return "*"


ANY: Final = _Any()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A place of which some steps may be any: `$.items[*].id`, `header location`, `rows tasks.id`, `rows *.id`."""

    text: str
    steps: tuple[str | int | _Any, ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read a pattern.  Raises WrongUse."""
        if found := HEADER.fullmatch(text):
            return cls(text, (HEADERS, found[1].lower()))
        if found := CELL.fullmatch(text):
            table, column = (ANY if part == "*" else part for part in found.groups())
            return cls(text, (ROWS, table, ANY, ANY, column))
        if not text.startswith("$"):
            raise _unreadable(text)
        steps: list[str | int | _Any] = [BODY]
        at = 1
        while at < len(text):
            step = _STEP.match(text, at)
            if step is None:
                raise _unreadable(text)
            steps.append(_step(step))
            at = step.end()
        return cls(text, tuple(steps))

    def matches(self, path: Path) -> bool:
        """Whether this very place is meant."""
        return len(path) == len(self.steps) and all(
            want is ANY or (want == step and type(want) is type(step))
            for want, step in zip(self.steps, path, strict=True)
        )

    def places(self, tree: Any) -> list[Path]:
        """The places of a tree that the pattern means."""
        found: list[Path] = [()]
        for step in self.steps:
            found = [(*path, name) for path in found for name in _below(at(tree, path), step)]
        return found


def _step(found: re.Match[str]) -> str | int | _Any:
    if found["any"]:
        return ANY
    if found["index"]:
        return int(found["index"])
    return str(json.loads(found["quoted"])) if found["quoted"] else found["name"]


def _below(value: Any, step: str | int | _Any) -> Iterator[str | int]:
    """The names or numbers under a value that one step of a pattern means."""
    if isinstance(value, dict):
        names = value if step is ANY else [step] if isinstance(step, str) and step in value else []
        yield from names
    elif isinstance(value, list):
        if step is ANY:
            yield from range(len(value))
        elif isinstance(step, int) and step < len(value):
            yield step


def at(tree: Any, path: Path) -> Any:
    """The value at a place, MISSING where there is none."""
    for step in path:
        if next(_below(tree, step), None) is None:
            return MISSING
        tree = tree[step]
    return tree


def plain(value: Any) -> str:
    """What stands in a tree and is no JSON, as a text: the default of json.dumps."""
    return value.hex() if isinstance(value, bytes) else repr(value)


def shown(path: Path) -> str:
    """A place as people write it."""
    root, *rest = path or ("",)
    if root == HEADERS and rest:
        return f"header {rest[0]}"
    if root == BODY:
        return "$" + _steps(rest)
    if root == ROWS:
        return f"rows {_steps(rest).removeprefix('.')}".rstrip()
    return str(root)


def _steps(path: list[str | int]) -> str:
    words = []
    for step in path:
        if isinstance(step, int):
            words.append(f"[{step}]")
        else:
            words.append(f".{step}" if _PLAIN.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]")
    return "".join(words)


def _unreadable(text: str) -> WrongUse:
    step = "write $.items[*].id, header NAME or rows TABLE.COLUMN"
    return WrongUse("it names no place in an answer", object=text, next=step)
