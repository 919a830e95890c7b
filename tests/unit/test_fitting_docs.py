"""docs/fitting.md says what the code does: the conversions, the language, the forms of the rules."""

from __future__ import annotations

import pytest
import yaml
from helpers import markdown

from towpath.fitting import source as kinds
from towpath.fitting.conversions import CONVERSIONS, NAMES
from towpath.fitting.expressions import parse
from towpath.fitting.source import SourceColumn, SourceTable
from towpath.plan.fit import ColumnFit, TableFit

PAGE = markdown.ROOT / "docs" / "fitting.md"
TABLE = markdown.rows(markdown.text(PAGE), "conversion")
PIECES = markdown.rows(markdown.text(PAGE), "piece")
COLUMNS = {
    "id": kinds.INTEGER,
    "Odd Name": kinds.TEXT,
    "first": kinds.TEXT,
    "email": kinds.TEXT,
    "plan": kinds.TEXT,
    "born": kinds.DATE,
    "active": kinds.BOOLEAN,
    "settings": kinds.JSONB,
}


def plain(cell: str) -> str:
    return cell.strip().strip("`").replace("\\|", "|")


def test_the_table_has_every_conversion_once_in_order() -> None:
    assert [plain(row[0]) for row in TABLE] == list(NAMES)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: plain(row[0]))
def test_a_row_says_what_the_conversion_does(row: list[str]) -> None:
    name, takes, gives, impossible, loses = (plain(cell) for cell in row)
    mine = [conversion for (of, _), conversion in CONVERSIONS.items() if of == name]
    everything = {kind for _, kind in CONVERSIONS}
    if takes.startswith("everything"):
        without = set(takes.removeprefix("everything").removeprefix(" but ").split(", ")) - {""}
        assert {conversion.kind for conversion in mine} == everything - without
    else:
        assert {conversion.kind for conversion in mine} == set(takes.split(", "))
    assert {conversion.storage for conversion in mine} == {gives} or not gives
    assert any(conversion.impossible for conversion in mine) == bool(impossible)
    assert {conversion.loses for conversion in mine} - {""} == ({loses} - {""})
    assert all(bool(conversion.losing) == bool(conversion.loses) for conversion in mine)


@pytest.mark.parametrize("row", PIECES, ids=lambda row: row[0])
def test_each_example_is_in_the_language(row: list[str]) -> None:
    table = SourceTable(
        "public.t", "t", "t", tuple(SourceColumn(n, kind, kind) for n, kind in COLUMNS.items()), ("id",)
    )
    parse(plain(row[1]), table, None, "docs")


def test_the_rule_on_the_page_is_one() -> None:
    (block,) = markdown.blocks(PAGE, "yaml")
    (raw,) = yaml.safe_load(block.text)
    made = TableFit.model_validate(raw).rule()
    assert made.join is not None
    assert (made.source, made.target, made.columns["theme"].source) == ("public.users", "users", "settings.theme")
    keys = {plain(row[0]) for row in markdown.rows(markdown.text(PAGE), "key of a column")}
    assert keys == {field.alias or name for name, field in ColumnFit.model_fields.items()}
