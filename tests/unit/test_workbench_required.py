"""A phase that leaves a step out does not pass: every code it must report has a rule, and missing ones fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from towpath.fitting.rules import RULES as FITTING
from towpath.jobs.rules import RULES as JOBS
from towpath.keys.rules import RULES as KEYS
from towpath.objects import RULES as OBJECTS
from towpath.parity.rules import RULES as PARITY
from towpath.plan.rules import RULES as PLAN
from towpath.routes.rules import RULES as ROUTES
from towpath.tables.acceptance import RULES as ACCEPTANCE
from towpath.tables.rules import RULES as TABLES
from towpath.traffic.rules import RULES as TRAFFIC
from towpath.workbench.required import ALWAYS, SURFACES, SURFACES_WHEN_APPROVED, WHEN_APPROVED, required
from towpath.workbench.rules import RULES as JOINTS

KNOWN = (
    FITTING.keys()
    | JOBS.keys()
    | KEYS.keys()
    | OBJECTS.keys()
    | PARITY.keys()
    | PLAN.keys()
    | ROUTES.keys()
    | ACCEPTANCE.keys()
    | TABLES.keys()
    | JOINTS.keys()
    | TRAFFIC.keys()
)
EVERYTHING = SURFACES.keys()


def test_what_a_system_lacks_is_not_asked_of_it() -> None:
    joan = required("05-validate", approved=True, surfaces={"generate", "file"})
    spark = required("05-validate", approved=True, surfaces={"adopt", "server", "cache", "jobs"})
    assert "KE403" not in joan
    assert "KE403" in spark
    assert SURFACES_WHEN_APPROVED.keys() <= SURFACES.keys()


@pytest.mark.parametrize("phase", ["06-cutover", "07-roll-back"])
def test_where_traffic_moves_a_phase_must_say_where_it_is_in_the_end(phase: str) -> None:
    assert "TR107" in required(phase, approved=True, surfaces={"traffic"})
    assert "TR107" not in required(phase, approved=False, surfaces={"traffic"})
    assert "TR107" not in required(phase, approved=True, surfaces={"file"})


def test_every_notebook_names_what_it_must_report(root: Path) -> None:
    phases = {
        json.loads(path.read_text())["metadata"]["towpath"]["phase"] for path in (root / "notebooks").glob("*.ipynb")
    }
    assert phases == ALWAYS.keys()
    assert all(required(phase, approved=True, surfaces=EVERYTHING) for phase in phases)


@pytest.mark.parametrize("phase", sorted(ALWAYS))
def test_every_required_code_has_a_rule(phase: str) -> None:
    assert set(required(phase, approved=True, surfaces=EVERYTHING)) <= KNOWN


@pytest.mark.parametrize("phase", sorted(WHEN_APPROVED))
def test_a_dry_run_need_not_report_what_it_would_write(phase: str) -> None:
    assert set(WHEN_APPROVED[phase]).isdisjoint(required(phase, approved=False, surfaces=EVERYTHING))
    assert set(WHEN_APPROVED[phase]) <= set(required(phase, approved=True, surfaces=EVERYTHING))
