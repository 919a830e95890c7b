"""What mapping.yaml and waivers.yaml do not answer for stops Personality Spark before anything is written.

Every planted thing of her old side (legacy/planted.py) is named here by the phase that meets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from helpers.project import Ran
from helpers.spark import Spark, planted, spark

COUNTED = {plant.name: plant.count for plant in planted.PLANTED}
EMPTY: tuple[dict[str, int], dict[str, bytes], list[str]] = ({}, {}, [])
# Name in planted.py -> code and object of the check that must name it.
DECIDED = {
    "arrays that do not begin at one": ("PG205", "public.quiz_results.tags"),
    "a card without its file": ("OB201", "shares/"),
    "a file without its row": ("OB202", "shares/"),
    "a pickled job": ("JO202", "celery"),
    "a malformed job": ("JO201", "analytics"),
}
REPORTED = {
    "a rate that is no number": ("PG201", "public.quiz_analytics.completion_rate"),
    "purchases for ever": ("PG203", "public.purchases.valid_until"),
    "numbers beyond 2^53 inside JSON": ("PG206", "public.quiz_results.results"),
}
LOST = {
    "accounts made within a second": ("FT201", "users.created_at"),
    "logins within a second": ("FT201", "users.last_login"),
    "results within a second": ("FT201", "quiz_results.created_at"),
    "a rate that is no number": ("FT206", "public.quiz_analytics"),
}
REFUSED = {
    "usernames that repeat": ("FT302", "users.handle"),
    "results without a type": ("FT301", "quiz_results.quiz_type"),
}
UNDONE = {("FT300", "rows"), ("TB401", "0001_tables.sql")}  # rows would break constraints; nothing was written
KEPT = {"durations of months", "keys that end within a minute"}  # moves as text; has ended, or falls to a rule


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark(tmp_path_factory.mktemp("mapping") / "spark") as made:
        yield made


@pytest.fixture
def mapping(project: Spark) -> Iterator[Callable[..., None]]:
    """Write another mapping.yaml, and waivers.yaml; both are put back at the end."""
    kept = {path: path.read_text(encoding="utf-8") for path in map(project.runbook, ("mapping.yaml", "waivers.yaml"))}

    def write(change: Callable[[dict[str, Any]], None], waived: Callable[[dict[str, Any]], bool]) -> None:
        book, waivers = (yaml.safe_load(text) for text in kept.values())
        change(book)
        project.runbook("mapping.yaml").write_text(yaml.safe_dump(book, sort_keys=False), encoding="utf-8")
        left = [waiver for waiver in waivers if waived(waiver)]
        project.runbook("waivers.yaml").write_text(yaml.safe_dump(left), encoding="utf-8")

    yield write
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")


def columns(book: dict[str, Any], table: str) -> dict[str, Any]:
    """The rules of the columns of a target table."""
    (rule,) = [rule for rule in book["tables"]["fit"] if rule["to"] == table]
    return dict(rule)["columns"]


def failed(project: Spark, phase: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(check["code"], check["object"]): check for check in project.failed(phase)}


def names(check: dict[str, Any], count: int) -> bool:
    """Whether a check tells so many, and names as many of them by their keys as a check names."""
    told = count == 1 or re.search(rf"\b{count}\b", check["found"])
    return bool(told) and len(check["keys"]) == min(count, 5) and bool(check["next"])


def test_every_planted_thing_is_met_by_a_rule() -> None:
    assert {*DECIDED, *REPORTED, *LOST, *REFUSED, *KEPT} == COUNTED.keys()


def test_without_decisions_the_inventory_names_what_somebody_must_decide(
    project: Spark, mapping: Callable[..., None]
) -> None:
    mapping(lambda book: book.update(decisions=[]), lambda _: False)
    ran = project.phases("01-inventory", "02-schema")
    assert ran.code == 1, ran.text
    assert project.verdicts() == {"01-inventory": "FAIL"}, "02-schema did not begin"
    found = failed(project, "01-inventory")
    queues = {("JO203", "celery"), ("JO205", "celery"), ("JO205", "analytics")}  # reserved and scheduled: many
    assert found.keys() == {*DECIDED.values(), *queues}
    for name, at in DECIDED.items():
        # one card is missing, and its row names it twice: by path and by address
        count = 2 if name == "a card without its file" else COUNTED[name]
        assert names(found[at], count), found[at]
        assert f"add a decision for {at[0]} {at[1]} to mapping.yaml" in found[at]["next"]
    told = {(c["code"], c["object"]): c for c in project.result("01-inventory")["checks"] if c["verdict"] == "WARN"}
    for name, at in REPORTED.items():
        assert str(COUNTED[name]) in told[at]["found"]
        assert len(told[at]["keys"]) == COUNTED[name]
    assert project.held() == EMPTY


def stopped(project: Spark) -> Ran:
    """01-inventory passes, 02-schema does not, and nothing was written."""
    ran = project.phases("01-inventory", "02-schema")
    assert ran.code == 1, ran.text
    assert project.verdicts() == {"01-inventory": "PASS", "02-schema": "FAIL"}
    assert project.held() == EMPTY
    return ran


def test_without_rules_for_them_the_schema_names_what_is_lost_and_what_the_target_would_refuse(
    project: Spark, mapping: Callable[..., None]
) -> None:
    def careless(book: dict[str, Any]) -> None:
        book["decisions"] = [one for one in book["decisions"] if not one["code"].startswith("FT")]
        columns(book, "users")["handle"] = "username"
        columns(book, "quiz_results")["quiz_type"] = "quiz_type"
        columns(book, "saved_quizzes")["slug"] = {"expression": "CASE WHEN slug = '' THEN slug ELSE 'saved' END"}

    mapping(careless, lambda waiver: not waiver["code"].startswith("FT"))
    stopped(project)
    found = failed(project, "02-schema")
    dropped = {("FT205", "public.users.updated_at"), ("FT205", "public.saved_quizzes.updated_at")}
    elsewhere = [at for at in found if at[0] == "FT302" and at not in REFUSED.values()]
    assert [object.partition(".")[0] for _, object in elsewhere] == ["saved_quizzes"], "its partial unique index"
    assert found.keys() == {*LOST.values(), *REFUSED.values(), *dropped, *elsewhere, *UNDONE}
    for name, at in {**LOST, **REFUSED}.items():
        assert len(found[at]["keys"]) == COUNTED[name], found[at]
    for at, condition in (
        (REFUSED["usernames that repeat"], "users WHERE lower(username) IN ('river_stone', 'ada')"),
        (REFUSED["results without a type"], "quiz_results WHERE quiz_type IS NULL"),
    ):
        rows = project.ask(f"SELECT id::text FROM {condition}")
        assert set(found[at]["keys"]) == {f"id='{row[0]}'" for row in rows}, "the rows of the source, by their keys"


def test_a_column_without_a_rule_is_named(project: Spark, mapping: Callable[..., None]) -> None:
    mapping(lambda book: columns(book, "saved_quizzes").pop("slug"), lambda _: True)
    ran = stopped(project)
    found = failed(project, "02-schema")
    only = {("FT101", "public.saved_quizzes.slug"), ("FT103", "saved_quizzes.slug"), ("FT100", "fit")}
    assert found.keys() - {("FT105", "saved_quizzes")} == only | UNDONE, (
        "a source without a rule, a target without a value"
    )
    assert "map it to a target column" in found["FT101", "public.saved_quizzes.slug"]["next"]
    assert "FT10" in ran.text
