"""One tiny state for each check of the way back into a PostgreSQL source: exactly this one fails."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fires import fires, not_passed
from helpers.fitting import rule
from helpers.return_trip import ReturnTrip

from towpath.checks import Check
from towpath.errors import CannotFinish
from towpath.fitting.looking import Looked
from towpath.fitting.spec import ColumnRule, Constant, Fit
from towpath.local.postgresql import Postgresql
from towpath.runs.attempt import Run
from towpath.workbench.server_back import ServerBack
from towpath.workbench.server_fit import ServerFit

SOURCE = "CREATE TABLE t (id int PRIMARY KEY, a numeric(4, 2) CHECK (a < 50)); INSERT INTO t VALUES (1, 1);"
TARGET = "CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL, b TEXT, c INTEGER);"
COLUMNS: dict[str, ColumnRule | str] = {
    "id": "id",
    "a": ColumnRule(source="a", form="real"),
    "b": ColumnRule(constant=Constant("x")),
    "c": ColumnRule(expression="id + 1"),
}


@pytest.fixture
def trip(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> ReturnTrip:
    rules = Fit((rule("public.t", "t", COLUMNS, follows={"c": "it is the next number"}),))
    return ReturnTrip.begin(postgresql_server, postgresql_url, tmp_path / "trip", SOURCE, TARGET, rules)


def judged(looked: dict[str, Looked]) -> set[str]:
    """What the way back says of changes."""
    checks: list[Check] = []
    run: Any = SimpleNamespace(add=checks.extend)
    run.check = partial(Run.check, run)
    bench: Any = SimpleNamespace(run=run)
    back = ServerBack(bench, None)  # type: ignore[arg-type]
    back._looked = looked
    relation = SimpleNamespace(key=("id",), hides=lambda _: False)
    before: Any = SimpleNamespace(relations={"t": relation})
    back._judge(before)
    assert not_passed(checks) <= {"CU208", "CU209"}
    assert {check.code for check in checks} == {"CU208", "CU209"}
    return not_passed(checks)


@fires("CU208")
def test_a_change_without_a_way_back(trip: ReturnTrip) -> Iterable[str]:
    trip.write("UPDATE t SET b = 'y'")
    return judged(trip.look())


@fires("CU209")
def test_a_value_that_its_column_has_no_room_for(trip: ReturnTrip) -> Iterable[str]:
    trip.write("UPDATE t SET a = 0.125")
    return judged(trip.look())


@fires("CU210")
def test_a_row_that_the_source_refuses(trip: ReturnTrip) -> Iterable[str]:
    trip.write("UPDATE t SET a = 60")
    with pytest.raises(CannotFinish) as caught:
        trip.carry(trip.look())
    return [caught.value.code]


@fires("CU211")
def test_a_cell_that_does_not_follow(trip: ReturnTrip) -> Iterable[str]:
    trip.write("UPDATE t SET c = 5")
    with pytest.raises(CannotFinish) as caught:
        trip.carry(trip.look())
    return [caught.value.code]


@fires("CU212")
def test_a_column_that_takes_no_other_value(trip: ReturnTrip) -> Iterable[str]:
    fit: Any = SimpleNamespace(turning=trip.turning)
    return not_passed(ServerFit._way_back(fit))
