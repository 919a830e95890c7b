"""A phase that leaves a step out does not pass: every code it must report has a rule, and missing ones fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from towpath.objects import RULES as OBJECTS
from towpath.plan.rules import RULES as PLAN
from towpath.tables.acceptance import RULES as ACCEPTANCE
from towpath.tables.rules import RULES as TABLES
from towpath.workbench.required import ALWAYS, WHEN_APPROVED, required
from towpath.workbench.rules import RULES as JOINTS

KNOWN = OBJECTS.keys() | PLAN.keys() | ACCEPTANCE.keys() | TABLES.keys() | JOINTS.keys()


def test_every_notebook_names_what_it_must_report(root: Path) -> None:
    phases = {
        json.loads(path.read_text())["metadata"]["towpath"]["phase"] for path in (root / "notebooks").glob("*.ipynb")
    }
    assert phases == ALWAYS.keys()
    assert all(required(phase, approved=True) for phase in phases)


@pytest.mark.parametrize("phase", sorted(ALWAYS))
def test_every_required_code_has_a_rule(phase: str) -> None:
    assert set(required(phase, approved=True)) <= KNOWN


@pytest.mark.parametrize("phase", sorted(WHEN_APPROVED))
def test_a_dry_run_need_not_report_what_it_would_write(phase: str) -> None:
    assert set(WHEN_APPROVED[phase]).isdisjoint(required(phase, approved=False))
    assert set(WHEN_APPROVED[phase]) <= set(required(phase, approved=True))
