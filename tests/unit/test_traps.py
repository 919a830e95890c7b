"""docs/traps.md answers every trap: with a code, with a mapping, or with the reason why it is out of scope."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from helpers import markdown
from helpers.markdown import ROOT

from towpath.workbench.registry import registry

PAGE = ROOT / "docs" / "traps.md"
SOURCES = {"SQLite", "PostgreSQL", "both", "files", "Redis", "Celery", "traffic", "all"}
ROWS = {row[0]: row[1:] for row in markdown.rows(markdown.text(PAGE), "id", "trap")}
KNOWN = dict(
    line.split(" ", 1)
    for line in (ROOT / "tests" / "traps.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
SCOPE = re.compile(r"[Oo]ut of scope\b|out of scope for")


@cache
def names_in(name: str) -> frozenset[str]:
    """The functions of a module below tests/."""
    tree = ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_trap_has_its_row_and_no_row_is_of_another() -> None:
    assert list(ROWS) == list(KNOWN)
    assert len(KNOWN) > 100
    assert all(re.fullmatch(r"T-(NUM|TIM|TXT|OBJ|R2|KV|QUE|NET|GOV)-\d\d", id) for id in KNOWN)


@pytest.mark.parametrize("id", KNOWN)
def test_a_row_is_an_answer(id: str) -> None:
    trap, source, answer, codes, where, tests = ROWS[id]
    assert trap
    assert source in SOURCES
    assert len(answer.split()) > 1
    for code in markdown.code(codes):
        assert code in registry(), code
    for module in markdown.code(where):
        assert (ROOT / "lib" / "towpath" / module).is_file(), module
    for test in markdown.code(tests):
        file, _, name = test.partition("::")
        assert name in names_in(file), test
    if not markdown.code(codes) and not markdown.code(where):
        assert answer.startswith("out of scope: "), "no code and no mapping: say that it is out of scope, and why"
    assert markdown.code(tests) or SCOPE.search(answer), "an answer is shown by a test"


def test_the_index_of_codes_is_that_of_the_rows() -> None:
    listed = {row[0]: row[1].split(", ") for row in markdown.rows(markdown.text(PAGE), "code", "traps")}
    named: dict[str, list[str]] = {}
    for id, row in ROWS.items():
        for code in markdown.code(row[3]):
            named.setdefault(code, []).append(id)
    assert listed == named
    assert list(listed) == sorted(listed)
