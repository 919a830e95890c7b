"""Which columns of source and target are sensitive, from mapping.yaml alone."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator

from towpath.checks import Check, Verdict
from towpath.fitting.spec import ColumnRule, TableRule
from towpath.postgresql.relations import flat
from towpath.sensitive import Sensitive

_WORD = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


def sensitive(patterns: Iterable[str], rules: Iterable[TableRule]) -> Sensitive:
    """The patterns, as source, capture and target call the columns that they name.

    A column of the target is sensitive where a sensitive one of the source goes into it, in whatever way.
    """
    given = [name for pattern in patterns for name in (pattern, *_flat(pattern))]
    source = Sensitive(tuple(given))
    into = [
        f"{glob.escape(rule.target)}.{glob.escape(name)}"
        for rule in rules
        for name, column in rule.columns.items()
        if any(source.holds(*read) for read in _read(rule, column))
    ]
    return Sensitive((*given, *into))


def stale(patterns: Iterable[str], columns: Iterable[tuple[str, str]], rules: Iterable[TableRule]) -> list[Check]:
    """A check for each pattern that names no column (table, column) of the source, nor one of the target that the fit
    fills."""
    known = [*columns, *((rule.target, name) for rule in rules for name in rule.columns)]
    return [
        Check(
            code="PL001",
            surface="plan",
            object=f"sensitive {pattern}",
            expected="names a column",
            found="mapping.yaml names it, no table has it",
            verdict=Verdict.FAIL,
            next="correct the pattern, or remove it from mapping.yaml",
        )
        for pattern in patterns
        if not any(Sensitive((pattern, *_flat(pattern))).holds(*column) for column in known)
    ]


def _flat(pattern: str) -> tuple[str, ...]:
    """A pattern `schema.table.column` as a database without schemas would have it."""
    schema, _, rest = pattern.partition(".")
    table, dot, column = rest.partition(".")
    return (f"{flat(schema, table)}.{column}",) if dot else ()


def _read(rule: TableRule, column: ColumnRule) -> Iterator[tuple[str, str]]:
    """The columns of the source that a value is made of; in an expression any word may be one."""
    if column.lookup is not None:
        yield column.lookup.table, column.lookup.take
    names = [column.source] if column.source is not None else _WORD.findall(column.expression or "")
    for name in names:
        qualifier, _, own = name.rpartition(".")
        joined = rule.join is not None and qualifier == rule.join.table.rpartition(".")[2]
        yield rule.join.table if joined and rule.join is not None else rule.source, own
