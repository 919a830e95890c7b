"""07-roll-back: what was written on the target since the cutover, carried back into the source, and the freeze lifted.

The other direction of the same path: what the target has otherwise than the last snapshot is found by pages, written
into the source in one transaction, and then every cell and every byte of both sides is compared again.  How the rows go
back is the source's own affair: `way_back`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from towpath import objects
from towpath.checks import Check, Comparison, Progress, Verdict
from towpath.errors import CannotFinish, WrongUse
from towpath.tables.acceptance import sequences
from towpath.tables.changes import TableChanges
from towpath.tables.compare import compare
from towpath.tables.export import Exporter
from towpath.tables.written import Conflict
from towpath.workbench import inventory
from towpath.workbench.crossing import Crossing
from towpath.workbench.cutover import Freeze, report_check
from towpath.workbench.state import State
from towpath.workbench.way_back import Found, Now
from towpath.workbench.workbench import Workbench

LISTED = "roll-back/objects.jsonl"
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Todo:
    """What the source lacks of what the target holds."""

    found: Found
    files: objects.Back

    @property
    def before(self) -> Exporter:
        """The source as it was when it was looked at."""
        return self.found.before

    @property
    def rows(self) -> Mapping[str, TableChanges]:
        """The rows to carry, by table."""
        return self.found.rows

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The rows that cannot be carried, because the source has changed them itself."""
        return self.found.conflicts

    @property
    def row_count(self) -> int:
        """Rows that were inserted, updated or deleted on the target."""
        return sum(change.count for change in self.rows.values())


def base(bench: Workbench) -> State:
    """The last state that the target held of the source.  Raises WrongUse where it held none of this run."""
    state = bench.state
    if not bench.has_begun(state):
        step = "nothing was written there: remove the maintenance switch, and the source goes on"
        raise WrongUse("the target holds no snapshot of this run", object=bench.run.phase, next=step)
    return state


def begin(bench: Workbench) -> Crossing:
    """The way back: asks whether this phase may write, and knows the steps that give traffic back."""
    bench.run.approve_write(bench.fingerprint)
    return Crossing(bench, "back")


def find(bench: Workbench, state: State, report: Progress) -> Todo:
    """Find what was written on the target, and what stands in its way; `report` counts rows."""
    rows = bench.way_back.find(state, report)
    folder = bench.run.source("source_files")
    listed = state.objects
    files = objects.find_back(listed, listed.prefixes, folder, bench.s3, bench.params.r2_bucket)
    todo = Todo(rows, files)
    bench.run.number("rows_to_carry_back", todo.row_count, "rows")
    bench.run.number("files_to_carry_back", files.count, "files")
    named = [f"{one.table} {one.key}: {one.why}" for one in todo.conflicts]
    report_check(bench, "CU201", "rows", "none in the way", counted(named), not named, named)
    named = [f"{key}: {why}" for key, why in files.conflicts]
    report_check(bench, "CU202", "files", "none in the way", counted(named), not named, named)
    return todo


def rows(bench: Workbench, todo: Todo, freeze: Freeze, report: Progress) -> int:
    """Write the rows into the source, in one transaction; `report` counts rows.  0 in a dry run."""
    if not freeze.approved:
        return 0
    refuse_failed(bench)
    done = bench.way_back.carry(todo.found, report)
    report_check(bench, "CU203", "rows", f"{todo.row_count:,} rows", f"{done:,} rows", done == todo.row_count)
    return done


def files(bench: Workbench, todo: Todo, freeze: Freeze, report: Progress) -> int:
    """Write the files into the folder; `report` counts bytes and removals.  0 in a dry run."""
    if not freeze.approved:
        return 0
    done = objects.carry_files_back(todo.files, bench.s3, bench.params.r2_bucket, report)
    report_check(bench, "CU204", "files", f"{todo.files.count:,} files", f"{done:,} files", done == todo.files.count)
    return done


def look_again(bench: Workbench, state: State) -> Now:
    """The source as it is after the way back, with what proves each page of it."""
    return bench.way_back.look_again(state)


def prove_rows(bench: Workbench, todo: Todo, now: Now, report: Progress) -> Comparison:
    """Every cell of both sides against each other; `report` counts rows.  In a dry run they may still differ."""
    found = compare(bench.d1, now.manifest, now.source.db, now.source.relations, report)
    bench.run.add(found.checks)
    bench.run.add(sequences(bench.d1, now.manifest))
    bench.keep_differences(found)
    count = "SELECT count(*) FROM pragma_foreign_key_check"
    was, left = (int(side.db.execute(count).get) for side in (todo.before, now.source))
    expected = f"{was:,} without a parent, as before" if was else "each has its parent"
    report_check(bench, "CU205", "references", expected, f"{left:,} without a parent", left <= was)
    return found


def prove_files(bench: Workbench, state: State, report: Progress) -> list[str]:
    """Every byte of both sides against each other; `report` counts bytes.  Returns what differs."""
    walked = inventory.walk(bench, report)
    entries = objects.entries(walked, state.decided, bench.run.mapping.objects.cache_control)
    manifest = objects.write(bench.run.output(LISTED), entries, state.objects.prefixes)
    bench.run.artefact(manifest.file)
    compared = objects.compare(manifest, bench.s3, bench.params.r2_bucket, report)
    # the headers of an object that the new application wrote are its own: a file has none
    unlike = [d for d in compared.differences if d.kind != "changed" or d.column in ("sha256", "size")]
    named = [f"{d.key}: {d.kind}" for d in unlike]
    equal = f"{manifest.objects:,} equal on both sides"
    report_check(bench, "CU206", "files", equal, counted(named) if named else equal, not named, named)
    return named


def lift(bench: Workbench, freeze: Freeze, crossing: Crossing) -> str:
    """Let the application accept writes again, once everything is proved; a dry run, or a failed check, leaves it."""
    failed = sum(check.verdict is Verdict.FAIL for check in bench.run.checks)
    switch = bench.run.source("source_maintenance_switch")
    if not freeze.approved:
        return "dry run: nothing was written, and the switch is as it was"
    if failed:
        report_check(bench, "CU207", "switch", "off", f"left on: {failed} checks above fail", False)
        crossing.stop(f"{failed} checks fail, so the source stays frozen")
        return "The source stays frozen."

    def open_old() -> str:
        switch.unlink(missing_ok=True)
        return "the maintenance switch is removed"

    crossing.does["open old"] = open_old
    crossing.knows["carried back"] = lambda: True  # proved above, and since the fence is shut nobody writes there
    crossing.worked("carry back", 0.0, "rows, files, keys and jobs, as the sections above say")
    crossing.to("to old seen")
    if not crossing.moves:
        open_old()
    report_check(bench, "CU207", "switch", "off", "off" if not switch.exists() else "on", not switch.exists())
    return "The source accepts writes again."


def refuse_failed(bench: Workbench) -> None:
    """Carry nothing back while a check fails.  Raises CannotFinish."""
    failed: list[Check] = [check for check in bench.run.checks if check.verdict is Verdict.FAIL]
    if failed:
        what = f"nothing was carried back, because {failed[0].code} {failed[0].object} fails: {failed[0].found}"
        step = f"{failed[0].next or 'see the checks'}; the source is still frozen"
        raise CannotFinish(what, object=bench.run.phase, next=step, code=failed[0].code)


def counted(named: list[str]) -> str:
    """How many there are, and the first of them."""
    more = f" and {len(named) - SHOWN:,} more" if len(named) > SHOWN else ""
    return f"{len(named):,}: {'; '.join(named[:SHOWN])}{more}" if named else "none"
