"""YAML as people write it: single lines, and new rows put into a text that keeps every line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from towpath.plan.document import LARGEST, Refused, read_yaml
from towpath.plan.problems import refuse

_BY_HAND = "write the proposed rows into the file by hand"


def field(key: str, value: str) -> str:
    """`key: value` on one line; without a value, what whoever reads it must fill in."""
    if not value:
        return f"{key}:"
    style = None if value.isprintable() else '"'
    text = yaml.safe_dump([value], default_style=style, allow_unicode=True, width=float("inf"))
    return f"{key}: {text.removeprefix('- ').rstrip()}"


def comment(text: str) -> str:
    """A comment on one line."""
    return f"# {printable(text)}"


def printable(text: str) -> str:
    """A text on one line; what no terminal should get, and what YAML forbids even in comments, as \\u…."""
    return "".join(c if c.isprintable() and c != "\ufeff" else f"\\u{ord(c):04x}" for c in " ".join(text.split()))


def with_rows(text: str, file: str, rows: Sequence[Sequence[str]], notes: Sequence[Sequence[str]]) -> str:
    """The text of mapping.yaml with rows at the end of `decisions`, and notes (lines of comments) behind them.

    Every line that is there stays as it is, its line end too.  Raises PlanRefused where that is not possible, such as
    for decisions that stand in one line.
    """
    if not rows and not notes:
        return text
    before = _data(text, file)
    lines = together(rows, notes)
    made = _inserted(text, file, lines, bare=not rows)
    added = tuple(yaml.safe_load("\n".join(line for part in rows for line in part)) or ())
    wanted = {**before, "decisions": (*before.get("decisions", ()), *added)} if added else before
    if len(made) > LARGEST or _data(made, file) != wanted:
        raise refuse("PL006", file, "decisions", "cannot be continued without changing what is there", _BY_HAND)
    return made


def together(rows: Sequence[Sequence[str]], notes: Sequence[Sequence[str]]) -> list[str]:
    """Rows and notes as lines, an empty one above each note."""
    lines = [line for part in (*rows, *(["", *note] for note in notes)) for line in part]
    return lines if rows else lines[1:]


def _data(text: str, file: str) -> dict[str, Any]:
    try:
        return dict(read_yaml(text, file).data or {})
    except Refused as refused:
        raise refuse(refused.code, file, refused.key, refused.what, _BY_HAND, refused.line) from None


def _inserted(text: str, file: str, lines: Sequence[str], *, bare: bool) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    node = next((value for key, value in pairs if key.value == "decisions"), None)
    if node is None:
        head = [] if bare else ["decisions:"]
        return _spliced(text, len(text), [*head, *(line if bare else f"  {line}" for line in lines)])
    if not node.value and node.flow_style:  # decisions: []
        if not bare:
            text = text[: node.start_mark.index] + text[node.end_mark.index :]
        return _spliced(text, _line_end(text, node.start_mark.index), [f"  {line}" for line in lines])
    if node.flow_style:
        what, step = "stands in one line, between brackets", "write one `- code: …` row below the other"
        raise refuse("PL006", file, "decisions", what, step, node.start_mark.line + 1)
    indent = " " * node.start_mark.column
    end = _last(node).end_mark
    at = _line_end(text, end.index) if end.column else end.index
    while indent and text[at:].lstrip("\r\n").startswith(
        f"{indent}#"
    ):  # a comment of the rows, maybe after empty lines
        at = _line_end(text, text.index("#", at))
    return _spliced(text, at, [f"{indent}{line}" for line in lines])


def _last(node: yaml.Node) -> yaml.Node:
    """The last node that ends where its text ends: a block ends only where the next thing begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return node


def _line_end(text: str, at: int) -> int:
    """Where the line after the one of `at` begins."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _spliced(text: str, at: int, lines: Sequence[str]) -> str:
    """The text with these lines at a line's beginning, and an empty line above them where something stands there."""
    end = "\r\n" if "\r\n" in text else "\n"
    before, after = text[:at], text[at:]
    if before and not before.endswith("\n"):
        before += end
    gap = end if before.strip("\ufeff \r\n") else ""
    return f"{before}{gap}{''.join(line.rstrip() + end for line in lines)}{after}"
