"""Whether the rows that the target got can go back, cell by cell, before anything is written.

Each new or changed cell is turned round by PostgreSQL, and what comes out goes through the fit once more: it must be
the cell again.  A cell that says the same in other words is taken as the source will write it, and noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from towpath.fitting.language import BASE
from towpath.fitting.staging import INSERTED, Staged, cell_value, different, stage
from towpath.fitting.turned import CARRIED, FIXED, NONE, STAGED, Cell, Turned
from towpath.postgresql.connection import told
from towpath.postgresql.relations import quoted
from towpath.tables import opened
from towpath.tables.changes import TableChanges

NAMED = 5  # values of one table without a way back that are searched for one by one
OTHERWISE = "the source would give back another value"
KEY_OTHERWISE = "the source writes this key otherwise"
SAVEPOINT = "looking"


@dataclass(frozen=True, slots=True)
class Unfit:
    """One change that cannot be carried back."""

    key: str
    column: str  # "" for the whole row
    why: str


@dataclass
class Looked:
    """The changes of one table as the source will hold them, and what of them has no way back."""

    changes: TableChanges
    no_way: list[Unfit] = field(default_factory=list)  # by the rules
    no_value: list[Unfit] = field(default_factory=list)  # by the values
    spelled: dict[str, dict[int, tuple[str, str]]] = field(default_factory=dict)  # key -> cell: the target's, ours
    held: frozenset[str] = frozenset()  # keys of new rows under which the source has a row


def look(connection: psycopg.Connection, turned: Turned, changes: TableChanges) -> Looked:
    """Judge the changes of one table.  Nothing is written; the transaction is rolled back."""
    changes = _normal(changes)
    looked = Looked(changes, list(_without_a_way(turned, changes)))
    if turned.refused or not changes.count:
        return looked
    looked.no_value += _of_other_types(turned, changes)
    wrong = {one.key for one in (*looked.no_way, *looked.no_value)}
    sound = replace(
        changes,
        inserted={key: cells for key, cells in changes.inserted.items() if key not in wrong},
        updated={key: pair for key, pair in changes.updated.items() if key not in wrong},
        deleted=changes.deleted,
    )
    with told(turned.name):
        try:
            staged = stage(connection, turned, sound)
            found = _Question(connection, staged).ask(looked)
            looked.held = _held(connection, staged, {one.key for one in looked.no_value})
        finally:
            connection.rollback()
    looked.changes = _in_our_words(changes, looked, found)
    return looked


def _normal(changes: TableChanges) -> TableChanges:
    """Reals as one engine writes them, so that a cell that did not change is not taken for one that did."""
    return replace(
        changes,
        inserted={key: opened.normal(cells) for key, cells in changes.inserted.items()},
        updated={key: (opened.normal(was), opened.normal(now)) for key, (was, now) in changes.updated.items()},
    )


def _without_a_way(turned: Turned, changes: TableChanges) -> Iterator[Unfit]:
    if turned.refused:
        yield from (Unfit(k, "", turned.refused) for k in (*changes.inserted, *changes.updated, *changes.deleted))
        return
    none = [cell for cell in turned.cells if cell.way == NONE]
    for key in changes.inserted:
        if turned.no_new:
            yield Unfit(key, "", turned.no_new)
        for cell in none:
            yield Unfit(key, cell.name, f"{cell.value.told} has no way back")
    stays = {cell.number: cell for cell in turned.cells if cell.way in (NONE, FIXED)}
    for key, (before, after) in changes.updated.items():
        for number in sorted(different(before, after) & stays.keys()):
            yield Unfit(key, stays[number].name, f"{stays[number].value.told} has no way back")


def _of_other_types(turned: Turned, changes: TableChanges) -> Iterator[Unfit]:
    after = {**changes.inserted, **{key: cells for key, (_, cells) in changes.updated.items()}}
    for key, cells in after.items():
        for cell, text in zip(turned.cells, cells.split("|"), strict=True):
            try:
                cell_value(cell, text)
            except ValueError as error:
                yield Unfit(key, cell.name, str(error))


class _Question:
    """Asks PostgreSQL what each cell would come out as."""

    def __init__(self, connection: psycopg.Connection, staged: Staged) -> None:
        self.connection, self.staged, self.turned = connection, staged, staged.turned
        self.asked = [cell for cell in self.turned.cells if self._answerable(cell)]

    def _answerable(self, cell: Cell) -> bool:
        """Whether the cell is made of what a staged row holds; what is not is proved in the transaction."""
        return cell.way in (CARRIED, FIXED) and self.turned.comes_from_fills(cell.value)

    def ask(self, looked: Looked) -> list[tuple[str, int, str]]:
        """Cells that the source writes in other words: (key, number, its word).  What does not fit goes to `looked`."""
        if not self.asked:
            return []
        found: list[tuple[str, int, str]] = []
        skipped: list[int] = []
        while True:
            try:
                rows = self._run("", skipped)
                break
            except (psycopg.DataError, psycopg.IntegrityError):
                number, why = self._first_bad(skipped)
                looked.no_value.append(Unfit(self.staged.keys[number], "", why))
                skipped.append(number)
                if len(skipped) == NAMED:
                    return []
        for number, *answers in rows:
            key = self.staged.keys[number]
            for cell, (otherwise, same, word) in zip(self.asked, _threes(answers), strict=True):
                if otherwise and same and self.turned.key and cell.number not in self._key_cells:
                    found.append((key, cell.number, "t" + str(word).encode().hex().upper()))
                elif otherwise:
                    why = KEY_OTHERWISE if same and self.turned.key else OTHERWISE
                    looked.no_value.append(Unfit(key, cell.name, why))
        return found

    @property
    def _key_cells(self) -> set[int | None]:
        return {fill.cell for fill in self.turned.key}

    def _run(self, more: str, skipped: Sequence[int]) -> list[tuple[Any, ...]]:
        leave = f"n <> ALL (ARRAY[{', '.join(map(str, skipped))}]::bigint[])" if skipped else ""
        which = " AND ".join(filter(None, (more, leave)))
        values, told = [], []
        for cell in self.asked:
            p, number = f"made.p{cell.number}", cell.number
            guard = self.staged.changed(number)
            if self.turned.made_of(cell.value) - {number}:  # of cells that may stay, too: the transaction proves it
                guard = f"{STAGED}.kind = '{INSERTED}'"
            values.append(f"({cell.value.postgres})::{cell.type} AS p{number}")
            same = f"({cell.same.replace('{v}', cell.sql).replace('{p}', p)})" if cell.same else "FALSE"
            otherwise = f"({guard} AND {p} IS DISTINCT FROM {cell.sql})"
            told += [otherwise, f"CASE WHEN {otherwise} THEN {same} END", f"CASE WHEN {otherwise} THEN {p}::text END"]
        fills = ", ".join(f"{self.staged.filled(f)} AS {quoted(f.column.name)}" for f in self.turned.fills)
        rows = self.staged.rows(f" WHERE {which}" if which else "")
        sql = (
            f"SELECT {STAGED}.n, {', '.join(told)} FROM {rows}"
            f" CROSS JOIN LATERAL (SELECT {fills} OFFSET 0) AS {BASE}"
            f" CROSS JOIN LATERAL (SELECT {', '.join(values)} OFFSET 0) AS made"
            f" WHERE {STAGED}.kind <> 'd' AND ({' OR '.join(told[::3])})"
        )
        self.connection.execute(f"SAVEPOINT {SAVEPOINT}".encode())
        try:
            return self.connection.execute(sql.encode()).fetchall()
        except (psycopg.DataError, psycopg.IntegrityError):
            self.connection.execute(f"ROLLBACK TO {SAVEPOINT}".encode())
            raise

    def _first_bad(self, skipped: Sequence[int]) -> tuple[int, str]:
        low, high, why = 0, len(self.staged.keys), ""
        while high - low > 1 or not why:
            middle = (low + high + 1) // 2 if high - low > 1 else high
            try:
                self._run(f"n >= {low} AND n < {middle}", skipped)
                low = middle
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                high, why = middle, _without_value(error)
        return low, why


def _without_value(error: psycopg.Error) -> str:
    return (error.diag.message_primary or type(error).__name__).partition(': "')[0]


def _threes(answers: Sequence[Any]) -> Iterator[tuple[Any, Any, Any]]:
    yield from zip(answers[::3], answers[1::3], answers[2::3], strict=True)


def _held(connection: psycopg.Connection, staged: Staged, wrong: set[str]) -> frozenset[str]:
    if not staged.turned.key or not staged.counts[INSERTED]:
        return frozenset()
    bad = [str(number) for number, key in enumerate(staged.keys) if key in wrong]
    leave = f" AND n <> ALL (ARRAY[{', '.join(bad)}]::bigint[])" if bad else ""
    sql = f"SELECT {STAGED}.n FROM {staged.rows(f' WHERE kind = {INSERTED!r}{leave}')} JOIN "
    sql += f"{staged.turned.part.table.sql} AS {BASE} ON {staged.same_row(BASE)}"
    return frozenset(staged.keys[number] for (number,) in connection.execute(sql.encode()))


def _in_our_words(changes: TableChanges, looked: Looked, found: Sequence[tuple[str, int, str]]) -> TableChanges:
    inserted, updated = dict(changes.inserted), dict(changes.updated)
    for key, number, word in found:
        after = (inserted[key] if key in inserted else updated[key][1]).split("|")
        looked.spelled.setdefault(key, {})[number] = (after[number], word)
        after[number] = word
        if key in inserted:
            inserted[key] = "|".join(after)
        else:
            updated[key] = (updated[key][0], "|".join(after))
    updated = {key: (was, now) for key, (was, now) in updated.items() if was != now}
    return replace(changes, inserted=inserted, updated=updated)
