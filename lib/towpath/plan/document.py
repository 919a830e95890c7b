"""Plain YAML: one document of maps, lists and scalars, with the line of every value.

Refused, because two readers could understand them differently or because strict JSON cannot hold them: anchors and
aliases, tags, merge keys, a key twice, keys that are no text, several documents, infinities and NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = tuple[str | int, ...]

LARGEST, DEEPEST = 1_000_000, 20


class Refused(Exception):  # turned into PlanRefused, with the file's name, by those who read files
    """Why a text is not plain YAML."""

    def __init__(self, what: str, next: str, *, key: str = "", line: int = 0, code: str = "PL006") -> None:
        super().__init__(what)
        self.what, self.next, self.key, self.line, self.code = what, next, key, line, code


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data (lists as tuples), and where each value stands."""

    file: str
    data: Any
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of a value, or of the nearest value around it; 0 when unknown."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0) if place else 0

    def strings(self) -> Iterator[tuple[Place, str]]:
        """Every text value with its place."""
        return ((place, value) for place, value in _leaves(self.data, ()) if isinstance(value, str))


def read_yaml(text: str, file: str, before: int = 0) -> Document:
    """Read plain YAML; `before` is the number of lines that stand before `text` in the file.  Raises Refused."""
    if len(text) > LARGEST:
        raise Refused(f"more than {LARGEST:,} characters", "split or shorten the file")
    try:
        _plain_events(text, before)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Place, int] = {}
        if node is not None:
            _walk(node, (), lines, before)
        data = _tuples(yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 + before if mark else 0
        raise Refused(f"not YAML: {error.problem or error.context}", "correct the line", line=line) from None
    except yaml.YAMLError:
        raise Refused("not YAML: it holds characters that YAML forbids", "save it as plain UTF-8 text") from None
    except (ValueError, OverflowError):
        raise Refused("a value is out of range (a date or a number)", "put it in quotes if it is a text") from None
    document = Document(file, data, lines)
    for place, value in _leaves(data, ()):
        if isinstance(value, float) and not math.isfinite(value):
            key = ".".join(map(str, place))
            step = "write a finite number; strict JSON cannot hold it"
            raise Refused("infinite or not a number", step, key=key, line=document.line(place))
    return document


def _plain_events(text: str, before: int) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        line = (mark.line if mark else 0) + 1 + before
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Refused("a second YAML document", "keep one document in the file", line=line)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Refused("anchors and aliases are not allowed", "write the value out", line=line)
        if getattr(event, "tag", None):
            raise Refused("tags (!…) are not allowed", "write the plain value", line=line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise Refused(f"nested deeper than {DEEPEST}", "write it flatter", line=line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], before: int) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            lines[(*place, number)] = item.start_mark.line + 1 + before
            _walk(item, (*place, number), lines, before)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1 + before
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise Refused("a key that is no text", "put the key in quotes", line=line)
            inner: Place = (*place, key.value)
            if inner in lines:
                what = f"the key stands twice (first in line {lines[inner]})"
                raise Refused(what, "keep one of them", key=key.value, line=line)
            lines[inner] = line
            _walk(value, inner, lines, before)


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*place, str(key)))
    elif isinstance(value, (tuple, list)):
        for number, item in enumerate(value):
            yield from _leaves(item, (*place, number))
    else:
        yield place, value
