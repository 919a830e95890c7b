"""Rows from a PostgreSQL server: captured in one transaction, fitted into the target's schema, proved by the server.

The capture holds the source as it was; the shaped file beside it holds the rows as they must arrive, and is what all
later phases call the snapshot.  docs/decisions/0008 says why there are two.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from towpath.checks import Check, Comparison, Finding, Progress
from towpath.errors import BadInput
from towpath.fitting.adopt import adopted
from towpath.fitting.computed import computed
from towpath.fitting.fitted import Fitted
from towpath.fitting.proof import prove
from towpath.fitting.shape import Shaped
from towpath.postgresql.activity import written
from towpath.postgresql.capture import capture, open_capture
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.connection import connect
from towpath.postgresql.findings import find as find_in_server
from towpath.postgresql.reflect import read_catalog
from towpath.postgresql.rules import RULES as POSTGRESQL
from towpath.postgresql.snapshot import Snapshot
from towpath.tables import rules as table_rules
from towpath.tables.acceptance import RULES as ACCEPTANCE
from towpath.tables.acceptance import check, leaving_orphans
from towpath.tables.conversion import Account, Conversion
from towpath.tables.export import Exporter
from towpath.tables.findings import find
from towpath.tables.manifest import Manifest
from towpath.tables.orphans import Orphans
from towpath.tables.schema import Schema, reflect
from towpath.tables.snapshot import FILE
from towpath.workbench.references import Column, read_from
from towpath.workbench.server_fit import ServerFit, declared_by
from towpath.workbench.server_listing import enforced, listing
from towpath.workbench.state import AFTER, TABLES

if TYPE_CHECKING:
    from towpath.workbench.workbench import Workbench

STRUCTURE, CAPTURE = "inventory/schema.json", "inventory/capture.sqlite"
# What the census of a capture can say: declared types are PostgreSQL's, and its own findings speak of them.
VALUES = ("TB102", "TB106", "TB201", "TB205", "TB211")
COUNTERS_SECONDS = 11.0  # a session that is idle reports what it wrote after 10 (pgstat.c, PGSTAT_IDLE_INTERVAL)


class ServerOrigin:
    """A PostgreSQL database; see `towpath.workbench.origin.Origin`."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._snapshot: Snapshot | None = None
        self._shaped: Shaped | None = None
        self._captured = Path()
        self._findings: list[Finding] = []

    @property
    def name(self) -> str:
        """The server and its database."""
        return self.bench.params.source_database

    # -- the server

    @cached_property
    def catalog(self) -> Catalog:
        """What the database declares now."""
        with closing(self._connect()) as connection:
            return read_catalog(connection)

    def _connect(self) -> Any:
        return connect(self.name, self.bench.run.secret("source_password"))

    def _ask(self, sql: str) -> tuple[Any, ...]:
        with closing(self._connect()) as connection:
            (row,) = connection.execute(sql.encode()).fetchall()
        return tuple(row)

    @property
    def identity(self) -> str:
        """Server, database, and a digest of what it declares."""
        return self.catalog.identity

    @cached_property
    def bytes(self) -> int:
        """The database on disk, as often as the record will hold it: a capture and a shaped file beside each other."""
        return 2 * int(self._ask("SELECT pg_database_size(current_database())")[0])

    @property
    def pages(self) -> int | None:
        """The rows that the last statistics counted."""
        return sum(max(table.estimated_rows, 0) for table in self.catalog.moving) or None

    @property
    def unit(self) -> str:
        """Rows."""
        return "rows"

    def answers(self) -> str:
        """Version and tables."""
        return f"PostgreSQL {self.catalog.version}, {len(self.catalog.moving)} tables"

    def facts(self) -> list[tuple[str, str]]:
        """What the server says of itself."""
        found = self.catalog
        return [
            ("server", self.name),
            ("version", found.version),
            ("database", f"{found.database}, {self.bytes // 2:,} bytes"),
            ("encoding, collation", f"{found.encoding}, {found.collation}"),
            ("tables", f"{len(found.moving)}"),
            ("sequences, views, functions", f"{len(found.sequences)}, {len(found.views)}, {len(found.functions)}"),
        ]

    def recorded(self) -> dict[str, Any]:
        """The same for the manifest."""
        return dict(self.facts()) | {"taken_at": self._snapshot.taken_at if self._snapshot else ""}

    # -- the inventory

    @property
    def parts(self) -> str:
        """Rows."""
        return "rows"

    def look(self, report: Progress) -> list[Check]:
        """Read every row in one transaction into a file of the record; `report` counts rows."""
        path, limit, hidden = self.bench.run.output(CAPTURE), self.bench.limits.d1_row_bytes, self.bench.sensitive
        with self._new_snapshot() as snapshot:
            catalog = snapshot.read_catalog()
            found = capture(snapshot, catalog, path, report)
            self._findings = find_in_server(catalog, snapshot.reader(), row_bytes=limit, sensitive=hidden)
        self.bench.run.write_json(STRUCTURE, {"digest": catalog.digest, "tables": len(catalog.moving)})
        self.bench.run.artefact(path)
        failed = [f"{table.source}: {table.error}" for table in found.failed]
        told = "; ".join(failed[:5]) or f"{found.rows:,} rows of {len(found.tables)} tables"
        step = "grant SELECT on them to this user, or leave them out of the database"
        return [ACCEPTANCE["TB100"].check("source", "every row can be read", told, not failed, step=step)]

    def _new_snapshot(self) -> Snapshot:
        return Snapshot(self.name, self.bench.run.secret("source_password"))

    @cached_property
    def connection(self) -> apsw.Connection:
        """What the inventory captured."""
        db = open_capture(self.bench.run.input(CAPTURE))
        self.bench.on_close(db.close)
        return db

    @cached_property
    def schema(self) -> Schema:
        """What the capture declares: names and keys."""
        return reflect(self.connection, self.bench.sensitive)

    def listing(self) -> tuple[list[tuple[Any, ...]], str]:
        """Every table with what hangs on it; how many of everything else."""
        return listing(self.catalog)

    @property
    def enforced(self) -> str | None:
        """What PostgreSQL enforces by itself."""
        return enforced(self.catalog)

    def references(self, columns: Sequence[Column]) -> Sequence[Column]:
        """Columns of the target as the capture calls them, through the rules of mapping.yaml."""
        rules = self.bench.run.mapping.tables.fitted.tables
        return [found for column in columns for found in read_from(column, rules)]

    def judge(self, orphans: Sequence[Orphans]) -> None:  # noqa: ARG002 - PostgreSQL enforces its foreign keys
        """What the server declares and holds that D1 cannot, and what stays behind; sizes by the capture's census."""
        bench = self.bench
        bench.run.judge([*self._findings, *self.fit.left_behind], POSTGRESQL)
        values = find(self.schema, bench.profile, (), bench.limits)
        bench.run.judge([f for f in values if f.code in VALUES], table_rules.RULES, VALUES)

    def unchanged(self) -> Check:
        """Whether the database declares what the inventory saw."""
        before = self.bench.run.read_json(STRUCTURE)["digest"]
        same = before == self.catalog.digest
        told = "as the inventory saw it" if same else "changed since the inventory"
        return check("TB410", "source", "the schema that the inventory saw", told, same)

    # -- the fit

    @cached_property
    def fit(self) -> ServerFit:
        """How the rows go into a schema that somebody else wrote."""
        return ServerFit(self.bench, self.catalog)

    @property
    def fitted(self) -> Fitted:
        """The same as a value."""
        return self.fit.fitted

    def judge_fit(self, report: Progress) -> None:
        """Every column accounted for; what is lost; and every row that the target would refuse.  Counts rows."""
        self.fit.judge(self.bench.run.input(CAPTURE), report)

    @property
    def declared(self) -> Schema:
        """What the migrations declare."""
        return self.fit.target

    def conversion(self, schema: Schema) -> Conversion:  # noqa: ARG002
        """The target's schema: as its authors wrote it, or made from the server's; later as 02-schema wrote it down, so
        that nobody needs the server to prove the target."""
        if self.bench.run.phase <= "02-schema":
            return self.fit.conversion
        texts = [self.bench.run.input(name).read_text(encoding="utf-8") for name in (TABLES, AFTER)]
        return adopted(declared_by(texts))

    @property
    def accounts(self) -> Sequence[Account]:
        """What became of every object of the server, or of the migrations."""
        return self.fit.accounts

    # -- snapshots

    def take(self, folder: Path, report: Progress) -> Path:
        """Capture and shape one moment of the database; `report` counts rows.

        The transaction stays open until `prove` has asked the server itself.  Raises BadInput when the schema is not
        what the inventory saw, or rows break a constraint of the target; those are named among the checks.
        """
        run = self.bench.run
        self._snapshot = self._new_snapshot().__enter__()
        self.bench.on_close(self.let_go)
        catalog = self._snapshot.read_catalog()
        if catalog.digest != run.read_json(STRUCTURE)["digest"]:
            run.add([self.unchanged()])
            what, step = "the schema is not what the inventory saw", "begin again with 01-inventory"
            raise BadInput(what, object=self.name, next=step, code="TB410")
        self.__dict__["catalog"] = catalog
        path = folder / "capture.sqlite"
        captured = capture(self._snapshot, catalog, path, report)
        if captured.failed:
            step, first = "grant SELECT on it, then run the phase again", captured.failed[0]
            raise BadInput(first.error, object=first.source, next=step)
        self.__dict__.pop("fit", None)
        self._captured, self._shaped = path, self.fit.shape(path, folder / FILE)
        return self._shaped.path

    @property
    def parked(self) -> dict[str, int] | None:
        """Rows that no rule takes; they stand in parked.jsonl beside the snapshot."""
        return self._shaped.parked if self._shaped is not None else None

    def judge_snapshot(self, exporter: Exporter) -> None:
        """Rows read = rows shaped + rows parked; no row that the target would refuse."""
        run = self.bench.run
        assert self._shaped is not None
        run.add([self.unchanged(), *self._shaped.checks])
        run.check("FT300", "tables", "rows", "no row breaks a constraint of the target", "none does", True)
        run.add(leaving_orphans(exporter))
        if self.fit.generated is not None:
            run.add(computed(self._captured, self._shaped.path, self.fit.generated, self.fit.target))

    def prove(self, exporter: Exporter, manifest: Manifest, report: Progress) -> Comparison | None:
        """PostgreSQL's own values, through the mapping, against the exported pages; ends the transaction."""
        assert self._snapshot
        found = prove(self._snapshot, self.fit.filled()[0], manifest, exporter.db, exporter.relations, report)
        self.let_go()
        return found

    def let_go(self) -> None:
        """End the transaction that `take` has left open."""
        held, self._snapshot = self._snapshot, None
        if held is not None:
            held.__exit__(None, None, None)

    # -- the freeze

    def version(self) -> tuple[int, ...]:
        """The next transaction's number, whether one is open that has written, and what the counters say."""
        with closing(self._connect()) as connection:
            return written(connection)

    def unwritten(self, since: tuple[int, ...]) -> bool:
        """Whether nobody wrote since.

        A new transaction may be the server's own, which analyses tables by itself: then the counters decide, once every
        session must have reported.
        """
        end = time.monotonic() + COUNTERS_SECONDS
        while (now := self.version()) != since:
            if now[1:] != since[1:]:
                return False
            if time.monotonic() >= end:
                return True
            time.sleep(0.5)
        return True
