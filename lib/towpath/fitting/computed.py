"""Generated columns that the target computes itself, against the values that the source computed (mode generate).

The rows of the shaped file hold what SQLite makes of the translated expression; the capture holds what PostgreSQL had
stored.  Nothing else compares the two: no value of a generated column is ever sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from towpath.checks import Check
from towpath.fitting.fitted import CAPTURE
from towpath.fitting.losses import opened
from towpath.fitting.rules import RULES, SAMPLES
from towpath.postgresql.generated import Generated, GeneratedTable
from towpath.tables.schema import Schema, literal, quoted

SHAPED = "shaped"


def computed(capture: Path, shaped: Path, generated: Generated, target: Schema) -> list[Check]:
    """FT404, one for each generated column that the target computes."""
    with closing(opened(capture)) as db:
        db.execute(f"ATTACH ? AS {SHAPED}", (f"{shaped.resolve().as_uri()}?mode=ro",))
        return [
            check
            for table in generated.tables
            for column in table.columns
            if column.computed
            for check in _column(db, table, column.name, target.table(table.name).primary_key)
        ]


def _column(db: apsw.Connection, table: GeneratedTable, name: str, key: tuple[str, ...]) -> Iterator[Check]:
    captured, shaped = (f"{file}.{quoted(table.name)}" for file in (CAPTURE, SHAPED))
    others = [quoted(column.name) for column in table.columns if not column.computed]
    if key:
        same = " AND ".join(f"c.{quoted(part)} = s.{quoted(part)}" for part in key)
        found = f"{captured} AS c JOIN {shaped} AS s ON {same} WHERE c.{quoted(name)} IS NOT s.{quoted(name)}"
        shown = f" || {literal(', ')} || ".join(f"c.{quoted(part)}" for part in key)
        keys = tuple(str(one) for (one,) in db.execute(f"SELECT {shown} FROM {found} LIMIT {SAMPLES}"))
    else:
        columns, keys = ", ".join([*others, quoted(name)]), ()
        found = f"(SELECT {columns} FROM {captured} EXCEPT SELECT {columns} FROM {shaped})"
    count = int(db.execute(f"SELECT count(*) FROM {found}").get)
    told = f"{count:,} rows with other values" if count else "in every row"
    yield RULES["FT404"].check(f"{table.source}.{name}", "what PostgreSQL computed", told, not count, keys)
