"""Every rule is a row of the documentation, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath.checks import Severity
from towpath.objects import RULES


def documented(root: Path) -> dict[str, list[str]]:
    """Rows of docs/checks.md by code."""
    found: dict[str, list[str]] = {}
    for line in (root / "docs/checks.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0].startswith("OB"):
            found[cells[0]] = cells
    return found


def test_every_rule_is_documented(root: Path) -> None:
    assert set(RULES) <= set(documented(root)), "other rooms may add codes of their own that begin with OB"


@pytest.mark.parametrize("code", RULES)
def test_a_rule_and_its_row_agree(code: str, root: Path) -> None:
    rule, cells = RULES[code], documented(root)[code]
    assert len(cells) == 5
    assert cells[1:3] == [rule.title, str(rule.severity)]
    assert cells[3]
    assert rule.advice in cells[4]


@pytest.mark.parametrize("code", RULES)
def test_a_rule_that_asks_for_a_decision_offers_one(code: str) -> None:
    rule = RULES[code]
    assert bool(rule.choices) is (rule.severity is Severity.DECIDE)
    assert set(rule.lossy) <= set(rule.choices)
    assert rule.surface == "objects"
