"""How fast captured rows are shaped into a target schema and proved by PostgreSQL, against the same engines unhindered.

    python tests/benchmarks/fitting.py [--rows 200000] [--rounds 3]

The workload is that of `postgresql.py`, every column in its captured form.  Limits, measured in one run:

    copy      SQLite copies every captured table by INSERT … SELECT, without types, keys and indexes
    sorted    the server's own COPY of the plain rows, sorted by their keys, to /dev/null: no text made, nothing sent
    shape     the shaped file: the target's own tables, every value through its rule
    violations every constraint of the target asked of a copy of its own
    proof     PostgreSQL's text of every page, digests compared

Ratios count, not seconds: parts of a round take turns, and a ratio is the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import psycopg
from postgresql import TABLES  # the benchmark beside this one

from towpath.fitting.account import fit, same_names
from towpath.fitting.adopt import run_migrations
from towpath.fitting.losses import opened
from towpath.fitting.proof import prove
from towpath.fitting.shape import shape
from towpath.fitting.source import source_of
from towpath.fitting.violations import violations
from towpath.local.postgresql import Postgresql, start_postgresql
from towpath.postgresql.capture import capture
from towpath.postgresql.catalog import Catalog, quoted
from towpath.postgresql.convert import convert
from towpath.postgresql.snapshot import Snapshot
from towpath.tables.export import Exporter


def main() -> int:
    """Measure, print one line for each kind of work and the ratios, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        server = start_postgresql(Path(folder, "postgresql"), ends_with_us=True)
        try:
            with psycopg.connect(server.url("postgres"), password=server.password, autocommit=True) as connection:
                connection.execute(TABLES.format(rows=given.rows).encode())
            rounds = measure(server, Path(folder), given.rounds)
        finally:
            server.stop()
    for work in rounds[0]:
        seconds = statistics.median(taken[work] for taken in rounds)
        print(f"{work:<10} {seconds:7.2f} s {given.rows / seconds / 1000:8.1f} k rows/s")
    for words, over, under in (
        ("shaping takes {} of what SQLite takes to copy the rows as they are", "shape", "copy"),
        ("looking for violations takes {} of the same", "violations", "copy"),
        ("the proof takes {} of what the server takes to sort and copy the plain rows", "proof", "sorted"),
    ):
        ratios = [taken[over] / taken[under] for taken in rounds]
        print(words.format(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"))
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def measure(server: Postgresql, folder: Path, rounds: int) -> list[dict[str, float]]:
    """Seconds of each kind of work over all tables, by round."""
    url, captured = server.url("postgres"), folder / "capture.sqlite"
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        capture(snapshot, catalog, captured)
        made = convert(catalog)
        target = run_migrations([("1", made.migration_tables()), ("2", made.migration_after())]).schema
        source = source_of(catalog)
        fitted = fit(source, target, same_names(source, target))
        path = folder / "shaped" / "snapshot.sqlite"
        shape(captured, target, fitted, path)
        out = []
        with (
            closing(Exporter(path)) as exporter,
            closing(psycopg.connect(url, password=server.password, autocommit=True)) as owner,
        ):
            manifest = exporter.export("bench", {})
            for number in range(rounds):
                again = folder / f"shape{number}" / "snapshot.sqlite"
                taken = {
                    "copy": _seconds(lambda: _copy(captured, folder, catalog)),
                    "shape": _seconds(lambda at=again: shape(captured, target, fitted, at)),
                    "violations": _seconds(lambda: violations(captured, target, fitted, folder)),
                    "sorted": _seconds(lambda: _sorted(owner, catalog)),
                }
                start = time.perf_counter()
                assert prove(snapshot, fitted, manifest, exporter.db, exporter.relations).equal
                out.append({**taken, "proof": time.perf_counter() - start})
        return out


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _copy(captured: Path, folder: Path, catalog: Catalog) -> None:
    path = folder / "copy.sqlite"
    with closing(opened(captured, str(path))) as db:
        db.execute("PRAGMA main.journal_mode = OFF; PRAGMA main.synchronous = OFF").fetchall()
        _each(db, catalog)
    path.unlink()


def _each(db: apsw.Connection, catalog: Catalog) -> None:
    for table in catalog.moving:
        db.execute(f"CREATE TABLE main.{quoted(table.flat)} AS SELECT * FROM capture.{quoted(table.flat)}")


def _sorted(owner: psycopg.Connection, catalog: Catalog) -> None:
    for table in catalog.moving:
        keys = ", ".join(
            f'{quoted(key)}::text COLLATE "C"' if table.column(key).base == "uuid" else quoted(key)
            for key in table.primary_key
        )
        owner.execute(
            f"COPY (SELECT * FROM {table.from_sql} ORDER BY {keys}) TO '{os.devnull}' (FORMAT binary)".encode()
        )


if __name__ == "__main__":
    raise SystemExit(main())
