"""docs/checks.md and the rules in the code are the same list."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest
from helpers import markdown

import towpath
from towpath.checks import Rule, Severity
from towpath.workbench.registry import registry

PAGE = markdown.ROOT / "docs" / "checks.md"
HEADER = ("code", "title", "severity", "what it looks for", "what to do")
CODE = re.compile(r"(RD|PL|RN|TB|PG|FT|OB|KE|JO|PA|RT|TR|CU)\d{3}")
LIB = markdown.ROOT / "lib" / "towpath"


def rules() -> list[Rule]:
    """Every rule of every module that has a RULES of them, each once."""
    found: dict[int, Rule] = {}
    for module in pkgutil.walk_packages(towpath.__path__, "towpath."):
        if module.name == "towpath.__main__":
            continue
        held = getattr(importlib.import_module(module.name), "RULES", None)
        for rule in held.values() if isinstance(held, dict) else ():
            if isinstance(rule, Rule):
                found[id(rule)] = rule
    return list(found.values())


def codes_in(path: Path) -> set[str]:
    """The codes that stand as whole texts in a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if CODE.fullmatch(text)}


RULES = {rule.code: rule for rule in rules()}
ROWS = markdown.rows(markdown.text(PAGE), *HEADER[:1])


def test_no_two_rules_share_a_code() -> None:
    counted = Counter(rule.code for rule in rules())
    assert [code for code, number in counted.items() if number > 1] == []
    assert len(counted) > 130


def test_the_registry_knows_the_rules_of_every_room() -> None:
    assert {code: entry.rule for code, entry in registry().items()} == RULES
    rooms = {path.parent.name for path in LIB.glob("*/*.py")}
    assert {entry.room for entry in registry().values()} <= rooms


@pytest.mark.parametrize("code", sorted(RULES))
def test_a_rule_says_what_its_answers_lose(code: str) -> None:
    rule = RULES[code]
    assert set(rule.lossy) <= set(rule.choices)
    assert bool(rule.choices) == (rule.severity is Severity.DECIDE)
    assert bool(rule.loses) == bool(rule.lossy)
    assert rule.default not in rule.lossy


def test_each_code_has_exactly_one_row() -> None:
    assert Counter(row[0] for row in ROWS) == Counter(list(RULES))


def test_every_table_of_the_page_has_the_same_columns() -> None:
    headers = [line for line in markdown.text(PAGE).splitlines() if line.startswith("| code ")]
    assert len(headers) > 5
    assert set(headers) == {f"| {' | '.join(HEADER)} |"}
    assert {len(row) for row in ROWS} == {len(HEADER)}


@pytest.mark.parametrize("code", sorted(RULES))
def test_a_row_says_what_its_rule_says(code: str) -> None:
    rule = RULES[code]
    _, title, severity, looks_for, what_to_do = next(row for row in ROWS if row[0] == code)
    assert (title, severity) == (rule.title, str(rule.severity))
    assert looks_for
    assert what_to_do.startswith(rule.advice)
    if rule.choices:
        assert f"decide: {', '.join(rule.choices)}" in what_to_do
        assert f"; default: {rule.default or 'none'}" in what_to_do
    if rule.lossy:
        assert f"(needs a waiver: {', '.join(rule.lossy)})" in what_to_do
        assert what_to_do.endswith(f"; loses: {rule.loses}")


def test_every_code_in_the_library_is_a_rule() -> None:
    strangers = {
        f"{path.relative_to(LIB)} {code}" for path in LIB.rglob("*.py") for code in codes_in(path) if code not in RULES
    }
    assert strangers == set()


def test_every_rule_is_used_beyond_its_own_definition() -> None:
    # the conditions of 00-ready hold rule and question in one row
    elsewhere: set[str] = set()
    for path in LIB.rglob("*.py"):
        words = CODE.finditer(path.read_text(encoding="utf-8"))
        counted = Counter(found.group() for found in words)
        defines = path.name in ("rules.py", "acceptance.py")
        elsewhere |= {code for code, number in counted.items() if number > (1 if defines else 0)}
    assert sorted(set(RULES) - elsewhere) == []


def test_no_page_names_a_code_that_does_not_exist() -> None:
    for page in markdown.pages():
        named = {found.group() for found in re.finditer(rf"\b{CODE.pattern}\b", markdown.text(page))}
        assert sorted(named - set(RULES)) == [], page
