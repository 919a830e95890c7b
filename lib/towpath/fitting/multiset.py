"""Tables without a key, on the way back: rows are counted, not named; a changed row is one that left and one that came.

What the target names its rows by (their place in the file) says nothing in the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from towpath.fitting.language import BASE
from towpath.fitting.staging import DELETED, Staged
from towpath.fitting.turned import STAGED
from towpath.tables import opened
from towpath.tables.changes import TableChanges


def as_multiset(changes: TableChanges) -> TableChanges:
    """The same changes as rows that came and rows that left; what left and came again has not changed."""
    came = list(changes.inserted.items()) + [(key, after) for key, (_, after) in changes.updated.items()]
    left = list(changes.deleted.items()) + [(key, before) for key, (before, _) in changes.updated.items()]
    there, gone = Counter(cells for _, cells in came), Counter(cells for _, cells in left)
    return replace(
        changes, inserted=dict(_most(came, there - gone)), updated={}, deleted=dict(_most(left, gone - there))
    )


def remaining(written: TableChanges, before: Iterable[str], now: Iterable[str]) -> tuple[TableChanges, int]:
    """What of `written` the source still lacks, and how many rows it has changed itself.

    `written` is a multiset's; `before` and `now` are the source's rows at the last snapshot and as they are.
    """
    was, here = (Counter(map(opened.normal, rows)) for rows in (before, now))
    came, left = Counter(written.inserted.values()), Counter(written.deleted.values())
    own_came, own_left = here - was, was - here
    foreign = (own_came - came).total() + (own_left - left).total()
    return replace(
        written,
        inserted=dict(_most(written.inserted.items(), came - own_came)),
        deleted=dict(_most(written.deleted.items(), left - own_left)),
    ), foreign


def _most(rows: Iterable[tuple[str, str]], allowed: Counter[str]) -> Iterable[tuple[str, str]]:
    rest = Counter(allowed)
    for key, cells in rows:
        if rest[cells] > 0:
            rest[cells] -= 1
            yield key, cells


def delete_equal(one: Staged) -> str:
    """SQL that deletes as many rows as are staged of each content, whichever of them."""
    part = one.turned.part
    values = ", ".join(f"({cell.value.postgres})::{cell.type}" for cell in one.turned.cells)
    cells = ", ".join(f"({cell.sql})::{cell.type}" for cell in one.turned.cells)
    mine = f"SELECT {BASE}.tableoid AS t, {BASE}.ctid AS c, ROW({values})::text AS content"
    mine += f"{part.postgres_from} WHERE {part.postgres_condition}"
    numbered = f"SELECT t, c, content, row_number() OVER (PARTITION BY content) AS number FROM ({mine}) AS mine"
    wanted = f"SELECT ROW({cells})::text AS content, count(*) AS wanted FROM {one.rows()}"
    wanted += f" WHERE {STAGED}.kind = '{DELETED}' GROUP BY 1"
    return (
        f"DELETE FROM {part.table.sql} AS {BASE} USING (SELECT t, c FROM ({numbered}) AS numbered"
        f" JOIN ({wanted}) AS wanted USING (content) WHERE number <= wanted) AS gone"
        f" WHERE {BASE}.ctid = gone.c AND {BASE}.tableoid = gone.t"
    )
