"""A D1 database that is equal to its source, and the faults that can be done to its rows.

Each fault's names are worked out from the source's rows, never from what the comparison says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from helpers.carry import Carried, after_statements, table_statements

from mutation.cells import CELLS, Change
from mutation.harness import Fault, Maker
from mutation.held import Held, changed, read
from mutation.rows import ROWS
from towpath.checks import Check, Difference
from towpath.cloudflare.errors import D1Error
from towpath.tables.acceptance import constraints, schema_present, sequences
from towpath.tables.compare import compare
from towpath.tables.reproved import reproved
from towpath.tables.schema import quoted


class Tables:
    """A D1 database that is equal to its source, and what can be done to its rows."""

    def __init__(self, group: str, carried: Carried) -> None:
        self.group, self.carried, self.d1 = group, carried, carried.d1
        self.held = {name: read(carried, name, i) for i, name in enumerate(carried.exporter.relations)}
        for held in self.held.values():
            names = [f"{name} AS c{i}" for i, name in enumerate(held.names)]
            self.d1.batch([f"CREATE TABLE {held.copy} AS SELECT {', '.join(names)} FROM {quoted(held.name)}"])
        self._pending: list[str] = []
        self._refused = False
        self.makers: dict[str, Maker] = {name: self._cell(name, change) for name, change in CELLS.items()}
        for name, make in ROWS.items():
            self.makers[name] = self._row(name, make)

    # -- the target's side

    def seed(self, fault: Fault) -> bool:
        """Undo the fault before and do this one, in one transaction; False if the probe answers as before."""
        statements = [*self._pending, fault.probe, *map(str, fault.seed), fault.probe]
        try:
            answers = self.d1.batch(statements)
        except D1Error as error:
            if not error.about_the_statement:
                raise
            self._refused = True  # by a constraint: nothing of the batch was kept
            return False
        first = answers[len(self._pending)].rows
        self._pending, self._refused = [], False
        return first != answers[-1].rows

    def undo(self, fault: Fault) -> None:
        """Undo it together with the next seed."""
        if not self._refused:
            self._pending = [str(statement) for statement in fault.undo]

    def look(self, fault: Fault | None, whole: bool) -> tuple[list[Check], Collection[Difference]]:
        """The comparison of 05-validate over the tables touched, or everything that it asks about a database."""
        if fault is None and self._pending:
            self.d1.batch(self._pending)
            self._pending = []
        made = self.carried
        manifest = made.manifest
        if fault is not None and not whole:
            manifest = replace(manifest, tables=tuple(t for t in manifest.tables if t.name in fault.tables))
        found = compare(self.d1, manifest, made.exporter.db, made.exporter.relations)
        return [*found.checks, *(around(made) if whole else ())], found.differences

    # -- making faults

    def _cell(self, kind: str, change: Change) -> Maker:
        places = [
            (held, row, column)
            for held in self.held.values()
            for row in held.rows
            for column in held.columns
            if (new := change(row.cells[column.name], random.Random(0))) is not None and held.takes(column, new)
        ]

        def make(rng: random.Random) -> Fault | None:
            if not places:
                return None
            held, row, column = rng.choice(places)
            new = change(row.cells[column.name], rng)
            if new is None or not held.takes(column, new):
                new = change(row.cells[column.name], random.Random(0))
            assert new is not None
            return changed(kind, held, {row.at: (row, {column.name: new})})

        return make

    def _row(self, kind: str, make: Callable[[str, Held, random.Random], Fault | None]) -> Maker:
        def made(rng: random.Random) -> Fault | None:
            tables = list(self.held.values())
            rng.shuffle(tables)
            return next(filter(None, (make(kind, held, rng) for held in tables)), None)

        return made


def around(made: Carried, *, again: bool = True) -> Iterator[Check]:
    """What 05-validate asks around the rows; `again`: and of every row what the schema promises of it."""
    yield from constraints(made.d1, [table.name for table in made.exporter.schema.moving])
    yield from sequences(made.d1, made.manifest)
    statements = [*table_statements(made.exporter), *after_statements(made.exporter)]
    yield from schema_present(made.d1, statements)
    if again:
        yield from reproved(made.d1, made.manifest, made.exporter.db, made.exporter.relations, statements)
