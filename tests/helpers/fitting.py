"""A small source in PostgreSQL, a target schema, and a fit: carried from the one to the other, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import psycopg

from towpath.checks import Comparison, Finding
from towpath.fitting.account import fit
from towpath.fitting.adopt import Migrations, read_migrations
from towpath.fitting.fitted import Counted, Fitted
from towpath.fitting.losses import losses
from towpath.fitting.proof import prove
from towpath.fitting.shape import Shaped, shape
from towpath.fitting.source import source_of
from towpath.fitting.spec import ColumnRule, Fit, TableRule
from towpath.fitting.violations import violations
from towpath.local.postgresql import Postgresql
from towpath.postgresql.capture import capture
from towpath.postgresql.snapshot import Snapshot
from towpath.sensitive import NOTHING, Sensitive
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest


def rule(source: str, target: str, columns: dict[str, ColumnRule | str], **more: object) -> TableRule:
    """A table rule; a text for a column is the source column's name."""
    made = {name: ColumnRule(source=one) if isinstance(one, str) else one for name, one in columns.items()}
    return TableRule(source, target, made, **more)  # type: ignore[arg-type]


@dataclass
class Passage:
    """What a fit needs, in a folder: the capture, the target's schema, the fit."""

    snapshot: Snapshot
    folder: Path
    migrations: Migrations
    fitted: Fitted

    @property
    def captured(self) -> Path:
        return self.folder / "capture.sqlite"

    def losses(self) -> Counted:
        return losses(self.captured, self.fitted)

    def violations(self) -> tuple[Finding, ...]:
        return violations(self.captured, self.migrations.schema, self.fitted)

    def shape(self) -> Shaped:
        return shape(self.captured, self.migrations.schema, self.fitted, self.folder / "out" / "snapshot.sqlite")

    def prove(self, fitted: Fitted | None = None) -> Comparison:
        """Export the shaped file and prove it, by another fit than it was shaped with if one is given."""
        exporter = Exporter(self.folder / "out" / "snapshot.sqlite")
        with closing(exporter):
            manifest: Manifest = exporter.export("plan", {})
            return prove(self.snapshot, fitted or self.fitted, manifest, exporter.db, exporter.relations)


@contextmanager
def passage(
    server: Postgresql,
    url: str,
    folder: Path,
    source: str,
    target: str,
    rules: Fit,
    *,
    whole: bool = True,
    sensitive: Sensitive = NOTHING,
) -> Iterator[Passage]:
    """Make the source, capture it, read the target's schema and fit the two."""
    with psycopg.connect(url, password=server.password, autocommit=True) as db:
        db.execute(source.encode())
    folder.mkdir(exist_ok=True)
    (folder / "migrations").mkdir(exist_ok=True)
    (folder / "migrations" / "0001_init.sql").write_text(target, encoding="utf-8")
    migrations = read_migrations(folder / "migrations")
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        capture(snapshot, catalog, folder / "capture.sqlite")
        fitted = fit(source_of(catalog, sensitive), migrations.schema, rules)
        assert not whole or codes(fitted.findings) <= {"FT104"}, fitted.findings
        yield Passage(snapshot, folder, migrations, fitted)


def codes(findings: Sequence[Finding]) -> set[str]:
    """The codes of findings."""
    return {finding.code for finding in findings}


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    """The rows of a query on a SQLite file."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        return list(db.execute(sql))


def change(path: Path, sql: str) -> None:
    """Change a SQLite file behind everybody's back."""
    path.chmod(0o644)
    with closing(apsw.Connection(str(path))) as db:
        db.execute(sql)
