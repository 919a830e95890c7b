"""Columns that nobody shall read: found by their patterns, and shown as digests wherever a value would be shown."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from helpers.fitting import passage, rule

from towpath.checks import Difference
from towpath.cloudflare.limits import PAID
from towpath.errors import TowpathError
from towpath.fitting.spec import ColumnRule, Fit, Join, Lookup
from towpath.local.postgresql import Postgresql
from towpath.plan.mapping import load_mapping
from towpath.postgresql.connection import connect
from towpath.postgresql.findings import find as find_in_server
from towpath.postgresql.reflect import read_catalog
from towpath.sensitive import Sensitive, digest_of
from towpath.tables import opened
from towpath.tables.findings import find
from towpath.tables.orphans import orphans
from towpath.tables.overlay import Overlay, relations
from towpath.tables.profile import profile
from towpath.tables.relation import keys
from towpath.tables.schema import reflect
from towpath.workbench.hidden import sensitive, stale
from towpath.workbench.references import Column, rows

SECRET = "s3cr3t-t0ken"
SHOWN = digest_of(SECRET)
SOURCE = f"""
CREATE TABLE people (id INTEGER PRIMARY KEY);
CREATE TABLE sessions (token TEXT PRIMARY KEY NOT NULL, big INTEGER, note TEXT, pin INTEGER, path TEXT,
    person INTEGER REFERENCES people (id));
INSERT INTO sessions VALUES ('{SECRET}', 9007199254740993, char(65533), 4711, 'a/b', 5);
"""


def marked(script: str, patterns: tuple[str, ...]) -> tuple[apsw.Connection, Sensitive]:
    db = apsw.Connection(":memory:")
    db.execute(script)
    return db, Sensitive(patterns)


@pytest.mark.parametrize(
    ("pattern", "table", "column", "found"),
    [
        ("users.email", "users", "email", True),
        ("Users.E*", "users", "EMAIL", True),
        ("*.email", "public.users", "email", True),
        ("users.email", "public.users", "email", True),
        ("public.users.email", "public.users", "email", True),
        ("public.users.email", "stats.users", "email", False),
        ("users.email", "users", "email_sent", False),
        ("user?.email", "users", "email", True),
    ],
)
def test_a_pattern_names_columns(pattern: str, table: str, column: str, found: bool) -> None:
    assert Sensitive((pattern,)).holds(table, column) is found


def test_a_digest_is_stable_and_says_the_length() -> None:
    assert digest_of("abc") == "sha256:ba7816bf… (3 bytes)"


def test_no_key_of_a_finding_and_no_number_of_the_census_is_a_value() -> None:
    db, hidden = marked(SOURCE, ("sessions.token", "sessions.pin"))
    schema = reflect(db, hidden)
    census = profile(db, schema)
    found = find(schema, census, orphans(db, schema), PAID)
    assert {finding.code for finding in found} >= {"TB201", "TB203", "TB215"}
    assert {sample for finding in found for sample in finding.samples} == {SHOWN}
    assert SECRET not in str(census.to_json())
    assert "4711" not in str(census.to_json())
    assert census.table("sessions").column("pin").integers == 1
    assert [row for row, _ in rows(db, schema, [Column("sessions", "path")])] == [f"sessions {SHOWN}"]


def test_without_a_pattern_they_are_shown() -> None:
    db, nothing = marked(SOURCE, ())
    schema = reflect(db, nothing)
    found = find(schema, profile(db, schema), orphans(db, schema), PAID)
    assert {sample for finding in found for sample in finding.samples} == {SECRET}


def differences(patterns: tuple[str, ...], change: str) -> list[Difference]:
    """What is said when the copy of SOURCE is changed."""
    (left, hidden), (right, _) = marked(SOURCE, patterns), marked(SOURCE, patterns)
    right.execute(change)
    schema = reflect(left, hidden)
    relation = relations(Overlay(schema, (), keys(left, schema)))["sessions"]
    sides = (opened.source_rows(db, relation, None, None) for db in (left, right))
    return opened.differences(relation, *sides)


def test_both_sides_of_a_difference_and_its_key_are_digests() -> None:
    (pin,) = differences(("sessions.token", "sessions.pin"), "UPDATE sessions SET pin = 4712")
    assert (pin.key, pin.column) == (SHOWN, "pin")
    assert (pin.expected, pin.found) == (f"integer {digest_of('4711')}", f"integer {digest_of('4712')}")


@pytest.mark.parametrize("change", ["DELETE FROM sessions", "UPDATE sessions SET token = 'other'"])
def test_a_row_that_is_missing_or_too_many_shows_digests(change: str) -> None:
    found = differences(("sessions.token",), change)
    assert SECRET not in str(found)
    assert f"token=text {SHOWN}" in found[0].expected
    assert "pin=integer 4711" in found[0].expected


def test_a_table_hides_what_its_source_hides() -> None:
    db, hidden = marked(SOURCE, ("sessions.token",))
    plain, secret = reflect(db).table("sessions"), reflect(db, hidden).table("sessions")
    assert [c.name for c in plain.hiding(secret).columns if c.sensitive] == ["token"]
    assert plain.hiding(secret) == plain, "what is shown is no part of what is declared"


def test_what_a_sensitive_column_goes_into_is_sensitive() -> None:
    rules = [
        rule(
            "public.users",
            "people",
            {
                "mail": "email",
                "handle": ColumnRule(expression="lower(email)"),
                "plan": ColumnRule(lookup=Lookup("public.plans", "code", "plan", "secret")),
                "theme": "settings.token",
                "name": "name",
            },
            join=Join("public.settings", "user_id", "id"),
        )
    ]
    found = sensitive(["users.email", "public.plans.secret", "settings.token", "stats.days.note"], rules)
    known = {column: found.holds("people", column) for column in ("mail", "handle", "plan", "theme", "name")}
    assert known == {"mail": True, "handle": True, "plan": True, "theme": True, "name": False}
    assert found.holds("stats_days", "note"), "the capture has no schemas"
    assert not found.holds("days_stats", "note")


def test_a_pattern_that_hides_nothing_fails() -> None:
    columns = [("users", "email"), ("stats_days", "note")]
    patterns = ["users.email", "users.pasword", "stats.days.note", "people.mail"]
    (check,) = stale(patterns, columns, [rule("public.users", "people", {"mail": "email"})])
    assert (check.code, check.object, str(check.verdict)) == ("PL001", "sensitive users.pasword", "FAIL")


@pytest.mark.parametrize("pattern", ["email", ".email", "users."])
def test_a_pattern_without_a_column_is_refused_before_anything_runs(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "mapping.yaml").write_text(f"sensitive: ['{pattern}']\n", encoding="utf-8")
    with pytest.raises(TowpathError, match=r"names no column: write table\.column"):
        load_mapping(tmp_path / "mapping.yaml", "mapping.yaml", "joan")


TARGET = "CREATE TABLE sessions (token TEXT PRIMARY KEY NOT NULL, big INTEGER, plan TEXT CHECK (plan <> 'none'));"
IN_SERVER = f"""CREATE TABLE sessions (token text PRIMARY KEY, big int8, plan text);
INSERT INTO sessions VALUES ('{SECRET}', 9007199254740993, 'none')"""


@pytest.mark.parametrize(("patterns", "shown"), [((), SECRET), (("sessions.token",), SHOWN)])
def test_a_server_names_no_value_either(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, patterns: tuple[str, ...], shown: str
) -> None:
    hidden = Sensitive(patterns)
    rules = Fit((rule("public.sessions", "sessions", {"token": "token", "big": "big", "plan": "plan"}),))
    with passage(postgresql_server, postgresql_url, tmp_path, IN_SERVER, TARGET, rules, sensitive=hidden) as made:
        (broken,) = made.violations()
    with closing(connect(postgresql_url, postgresql_server.secret)) as connection:
        found = find_in_server(read_catalog(connection), connection, sensitive=hidden)
    assert [finding.samples for finding in found if finding.code == "PG207"] == [(shown,)]
    assert broken.samples == (f"token={shown}" if patterns else f"token='{shown}'",)


def test_rows_that_a_fit_leaves_are_named_by_digests(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    plans = f"{IN_SERVER}; CREATE TABLE plans (code text PRIMARY KEY); INSERT INTO plans VALUES ('{SECRET}')"
    columns: dict[str, ColumnRule | str] = {"token": "token", "big": "big", "plan": "plan"}
    parked = rule("public.sessions", "sessions", columns, rows="big = 1", join=Join("public.plans", "code", "plan"))
    hidden = Sensitive(("sessions.token", "plans.code"))
    with passage(
        postgresql_server, postgresql_url, tmp_path, plans, TARGET, Fit((parked,)), whole=False, sensitive=hidden
    ) as made:
        found = {finding.code: finding.samples for finding in made.losses().findings}
    assert found["FT206"] == (f"token={SHOWN}",)
    assert found["FT208"] == (f"code={SHOWN}",)
