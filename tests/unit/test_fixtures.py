"""Every code of docs/checks.md has a fixture that makes it fire, it alone or with those that come along by nature.

Two kinds of fixtures are known.  Tables: values that a test is parametrized over, each with the code that it is for;
read here from the test itself, so that none is counted that does not run.  And single tests under `helpers.fires`,
which compare what fired with what they are for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import markdown
from helpers.fires import FIRED

from towpath.workbench.registry import registry

# module, test, parameter: how the parameter says the code is `codes_of`'s matter
TABLES = (
    ("test_tables_rules", "test_exactly_this_rule_fires", "case"),
    ("test_tables_rules", "test_exactly_this_change_is_told", "case"),
    ("test_tables_rules", "test_the_proof_sees_a_fault", "code"),
    ("test_tables_acceptance", "test_one_fault_fails_its_own_checks", "case"),
    ("test_tables_reproved", "test_damage_is_named", "case"),
    ("test_postgresql_findings", "test_the_rule_fires", "code"),
    ("test_fires_server", "test_exactly_this_change_is_told", "code"),
    ("test_fires_plan", "test_exactly_this_is_wrong_with_the_files", "code"),
    ("test_fires_ready", "test_exactly_this_condition_is_not_met", "code"),
    ("test_fitting_rules", "test_what_is_wrong_between_the_declarations", "code"),
    ("test_fitting_rules", "test_what_the_rules_would_lose", "code"),
    ("test_fitting_rules", "test_what_the_target_would_refuse", "code"),
    ("test_objects_walk", "test_each_rule_finds_its_fixture_and_names_it", "code"),
    ("test_objects_closure", "test_each_rule_finds_its_fixture_and_nothing_else", "code"),
    ("test_objects_bucket", "test_each_rule_of_the_comparison_finds_its_damage", "code"),
    ("test_keys_rules", "test_exactly_this_rule_fires", "code"),
    ("test_keys_move", "test_what_was_done_to_the_namespace_is_found", "codes"),
    ("test_jobs_inventory", "test_exactly_this_rule_fires", "rule"),
    ("test_routes_rules", "test_exactly_this_is_found_in_the_source", "code"),
    ("test_jobs_move", "test_damage_is_named_and_nothing_else", "code"),
)
SINGLE = (
    "test_fires_back",
    "test_fires_way_back",
    "test_fires_phases",
    "test_fires_plan",
    "test_fires_server",
    "test_fires_server_back",
    "test_fitting_adopt",
    "test_fitting_computed",
    "test_fitting_proof",
    "test_fitting_rules",
    "test_jobs_inventory",
    "test_jobs_move",
    "test_keys_rules",
    "test_objects_bucket",
    "test_routes_rules",
    "test_tables_acceptance",
    "test_tables_fence",
    "test_parity_replay",
    "test_tables_rules",
    "test_workbench_names",
    "test_workbench_routes",
)
COUNTS = {"TB408", "TB411", "OB401", "KE403", "JO401"}  # a number differs where something is missing or too many


def codes_of(value: Any) -> set[str]:
    """The codes that one value of a table is for."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, list):
        return set(value)
    return {value.code} if hasattr(value, "code") else {code for code, *_ in value.fails}


def tabled(module: str, test: str, parameter: str) -> Iterator[set[str]]:
    """The codes of each value that a test is parametrized over."""
    marks = getattr(getattr(importlib.import_module(f"unit.{module}"), test), "pytestmark", [])
    for mark in marks:
        names = [name.strip() for name in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
        if mark.name == "parametrize" and parameter in names:
            for values in mark.args[1]:
                yield codes_of(values if len(names) == 1 else values[names.index(parameter)])


def fixtures() -> dict[str, list[str]]:
    """Every code with the tests that make it fire."""
    found: dict[str, list[str]] = {}
    for module, test, parameter in TABLES:
        for codes in tabled(module, test, parameter):
            for code in codes:
                if code in COUNTS or codes - COUNTS == {code}:
                    found.setdefault(code, []).append(f"{module}::{test}")
    for module in SINGLE:
        importlib.import_module(f"unit.{module}")
    for code, tests in FIRED.items():
        found.setdefault(code, []).extend(tests)
    return found


FOUND = fixtures()


@pytest.mark.parametrize(("module", "test", "parameter"), TABLES)
def test_a_table_is_read(module: str, test: str, parameter: str) -> None:
    assert list(tabled(module, test, parameter)), "the test is no longer parametrized over it"


def test_every_module_with_single_fixtures_is_read() -> None:
    using = {
        p.stem for p in (markdown.ROOT / "tests" / "unit").glob("test_*.py") if "\n@fires(" in p.read_text("utf-8")
    }
    assert using == set(SINGLE)


@pytest.mark.parametrize("code", sorted(registry()))
def test_a_code_has_a_fixture_that_makes_it_fire(code: str) -> None:
    assert FOUND.get(code), f"write a fixture for {code}: see helpers.fires"


def test_no_fixture_is_for_a_code_that_does_not_exist() -> None:
    assert sorted(set(FOUND) - set(registry())) == []
