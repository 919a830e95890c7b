"""What a reader of a notebook sees of the surfaces' values: tables, side by sides, charts."""

from __future__ import annotations

import html
from collections.abc import Sequence

from towpath import objects, show
from towpath.checks import Comparison, Verdict
from towpath.cloudflare.prices import Estimate
from towpath.tables.census import ColumnProfile, Profile
from towpath.tables.changes import TableChanges
from towpath.tables.conversion import KEPT, Account, Conversion
from towpath.tables.load import Loaded
from towpath.tables.manifest import Manifest
from towpath.tables.orphans import Orphans
from towpath.workbench import going_on
from towpath.workbench.cutover import ChangedFiles, Sent
from towpath.workbench.fitness import Fit
from towpath.workbench.load import Work
from towpath.workbench.rollback import Todo
from towpath.workbench.workbench import Workbench


def source_facts(bench: Workbench) -> show.Shown:
    """What the source says of itself."""
    return show.table(bench.origin.facts(), ("Fact", "Value"), "The source", numeric=())


def schema_objects(bench: Workbench) -> show.Shown:
    """Every table with what hangs on it."""
    rows, title = bench.origin.listing()
    return show.table(rows, ("Table", "Kind", "Columns", "Primary key", "Foreign keys", "Indexes", "Triggers"), title)


def census(profile: Profile) -> show.Shown:
    """The census, one row a column, what is remarkable in words."""
    rows = [
        (table.name, c.name, c.nulls, c.integers, c.reals, c.texts, c.blobs, _range(c), _remarkable(c))
        for table in profile.tables
        for c in table.columns
    ]
    columns = ("Table", "Column", "NULL", "Integer", "Real", "Text", "Blob", "Range or longest", "Remarkable")
    title = f"Census of {profile.rows:,} rows: how every value is stored"
    return show.table(rows, columns, title, numeric=("NULL", "Integer", "Real", "Text", "Blob"))


def _range(c: ColumnProfile) -> str:
    if c.least_integer is not None:
        return f"{c.least_integer:,} … {c.largest_integer:,}"
    if c.texts or c.blobs:
        return f"up to {max(c.longest_text, c.longest_blob):,} bytes"
    return f"{c.least_real:g} … {c.largest_real:g}" if c.least_real is not None else ""


def _remarkable(c: ColumnProfile) -> str:
    words = [
        (c.beyond_safe, "beyond ±2^53"),
        (c.infinities, "infinite"),
        (c.nul_texts, "with NUL"),
        (c.invalid_texts, "not UTF-8"),
        (c.replaced_texts, "with U+FFFD"),
        (c.numeric_texts, "numbers as text"),
        (c.impossible_dates, "impossible dates"),
    ]
    said = [f"{count:,} {what}" for count, what in words if count]
    forms = [f"{count:,} × {form}" for form, count in sorted(c.dates.items(), key=lambda item: -item[1])]
    return "; ".join([*said, *forms])


def foreign_keys(bench: Workbench, found: Sequence[Orphans]) -> show.Shown:
    """Every foreign key with the rows that break it, the broken ones first; a server enforces its own."""
    if (enforced := bench.origin.enforced) is not None:
        return sentence(enforced)
    rows = [
        (o.object, o.parent, o.count, ", ".join(o.keys) or "", o.problem)
        for o in sorted(found, key=lambda o: (-o.count, o.object))
    ]
    broken = sum(o.count for o in found)
    title = f"{len(found)} foreign keys; {broken} rows name a parent that is not there"
    return show.table(rows, ("Reference", "Parent", "Rows without parent", "Keys", "Problem"), title)


def files(inventory: objects.Inventory, closure: objects.Closure) -> show.Shown:
    """The files by content type."""
    rows = [(kind or "unknown", count, size) for kind, count, size in inventory.types()]
    title = (
        f"{inventory.objects:,} files, {inventory.bytes:,} bytes; {closure.rows:,} rows name files, "
        f"{closure.named:,} files are named by a row"
    )
    return show.table(rows, ("Content type", "Files", "Bytes"), title)


def limits(found: Sequence[Fit]) -> show.Shown:
    """How near the source comes to every limit, the nearest first."""
    rows = [
        (
            f.limit.title,
            f.measured,
            f.allowed,
            f.limit.unit,
            f"{f.share:.2g} %",
            "OVER" if f.share > 100 else "",
            f.object,
        )
        for f in sorted(found, key=lambda f: -f.share)
    ]
    over = sum(f.share > 100 for f in found)
    title = f"{len(found)} limits of D1 and R2; {over or 'none'} exceeded"
    columns = ("Limit", "Largest here", "Allowed", "Unit", "Share", "", "Where")
    return show.table(rows, columns, title, numeric=("Largest here", "Allowed", "Share"))


def month(estimate: Estimate) -> show.Shown:
    """What a month of keeping it costs."""
    kept = ", ".join(f"{line.dimension} {line.cost:.2f} USD" for line in estimate.lines)
    free = "within the free plan's allowances" if estimate.fits_free else "more than the free plan keeps"
    total = f"Keeping it costs {estimate.usage_cost:.2f} USD a month on the paid plan beyond its allowances"
    total = f"{total} ({kept}); {free}."
    return sentence(f"{total} Reads and writes depend on traffic and are not guessed here.")


def cost(estimate: Estimate) -> show.Shown:
    """What the load takes of the free plan's allowances, as a chart with its numbers."""
    allowances = [
        show.Allowance(f"{line.dimension} (per {line.period})", line.measured, line.included_free, line.unit)
        for line in estimate.lines
    ]
    over = [line.dimension for line in estimate.lines if not line.fits_free]
    said = f"over the free allowance: {', '.join(over)}" if over else "everything within the free allowances"
    alt = f"Bars: the load against the free plan's allowances; {said}"
    return show.usage_chart("The load against the free plan", alt, allowances)


def cost_lines(estimate: Estimate) -> show.Shown:
    """The same against the paid plan, with its cost."""
    rows = [(x.dimension, x.measured, x.unit, x.included_paid, x.cost, x.free_days) for x in estimate.lines]
    columns = ("Dimension", "Measured", "Unit", "Included, paid plan", "Cost beyond it, USD", "Days on the free plan")
    title = f"Paid plan: {estimate.usage_cost:.2f} USD beyond its allowances; free plan: {estimate.free_days} days"
    return show.table(rows, columns, title)


def account(accounts: Sequence[Account]) -> show.Shown:
    """What became of every object of the source, what changed first."""
    ordered = sorted(accounts, key=lambda a: (a.outcome == KEPT, a.kind, a.name))
    rows = [(a.kind, a.name, a.outcome, ", ".join(a.codes), a.reason) for a in ordered]
    counts = {o: sum(a.outcome == o for a in accounts) for o in ("kept", "changed", "dropped")}
    title = " + ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return show.table(
        rows, ("Kind", "Object", "Outcome", "Codes", "Reason"), f"{title} = {len(rows)} objects", numeric=()
    )


def columns_changed(conversion: Conversion) -> show.Shown:
    """Every column whose declared type changed, and why."""
    rows = [
        (table.name, c.name, c.source_type or "none", c.target_type or "none", c.code, c.reason)
        for table in conversion.tables
        for c in table.columns
        if c.code
    ]
    if not rows:
        return sentence("No column changes its declared type.")
    columns = ("Table", "Column", "Source type", "D1 type", "Code", "Why")
    return show.table(
        rows, columns, f"{len(rows)} columns change their declared type; none changes a value", numeric=()
    )


def side_by_side(bench: Workbench, conversion: Conversion) -> show.Shown:
    """The whole schema, source beside target; an adopted one beside its migrations."""
    left = "Source" if bench.origin.fitted is None else "Migrations"
    before = "\n\n".join(table.source.sql for table in conversion.tables)
    after = "\n\n".join(table.sql for table in conversion.tables)
    return show.sql_side_by_side(before, after, "CREATE TABLE, as it is and as it will be", (left, "D1"))


def manifest(made: Manifest) -> show.Shown:
    """A snapshot, table by table."""
    chunks = {name: [c for c in made.chunks if c.table == name] for name in (t.name for t in made.tables)}
    rows = [
        (
            t.name,
            t.rows,
            made.parked.get(t.name, 0),
            len(t.pages),
            len(chunks[t.name]),
            sum(c.size for c in chunks[t.name]),
            ", ".join(part.strip('"') for part in t.key),
        )
        for t in made.tables
    ]
    columns = ("Table", "Rows", "Parked", "Pages", "Chunks", "Bytes of SQL", "Paged by")
    title = f"Snapshot {made.id}: {made.rows:,} rows in {len(made.chunks):,} chunks, tables in load order"
    return show.table(rows, columns, title)


def sentence(text: str) -> show.Shown:
    """One sentence."""
    return show.Shown(f"<p>{html.escape(text)}</p>", text)


def work(found: Work) -> show.Shown:
    """What an import is about to do."""
    todo = f"{found.rows:,} rows in {found.chunks:,} chunks, {found.files:,} files"
    return sentence(f"Approved: {todo} may be sent." if found.approved else f"Dry run: {todo} would be sent.")


def loaded(done: Loaded | None) -> show.Shown:
    """What a load did."""
    if done is None:
        return sentence("Dry run: no row was sent.")
    if done.skipped and not done.chunks:
        return sentence(f"Already done: all {done.skipped:,} chunks have their receipts; nothing was sent.")
    there = f"; {done.skipped:,} were there already" if done.skipped else ""
    chunks = "1 chunk" if done.chunks == 1 else f"{done.chunks:,} chunks"
    return sentence(f"{chunks} with {done.rows:,} rows sent in {done.seconds:.1f} s{there}.")


@going_on.shown
def sent(done: Sent | None) -> show.Shown:
    """What a cutover sent of the rows."""
    return loaded(done.loaded if done else None)


def uploaded(done: objects.Uploaded | None) -> show.Shown:
    """What an upload did."""
    if done is None:
        return sentence("Dry run: no file was sent.")
    if done.skipped and not done.sent:
        return sentence(f"Already done: all {done.skipped:,} objects are there and equal; nothing was sent.")
    return sentence(f"{done.sent:,} objects sent ({done.bytes_sent:,} bytes), {done.skipped:,} were there already.")


@going_on.shown
def applied(done: objects.Applied | None) -> show.Shown:
    """What a cutover changed among the files."""
    if done is None:
        return sentence("Dry run: no file was sent or removed.")
    files = done.uploaded
    if not (files.objects or done.deleted or done.gone):
        return sentence("No file changed: nothing was sent.")
    if not (files.sent or done.deleted or done.kept or files.conflicting):
        return sentence(
            f"Already done: {files.skipped:,} objects are there and equal, {done.gone:,} are gone; nothing was sent."
        )
    there = f"{files.skipped:,} were there already" if files.skipped else "none was there already"
    return sentence(f"{files.sent:,} objects sent ({files.bytes_sent:,} bytes), {done.deleted:,} deleted; {there}.")


@going_on.shown
def files_changed(found: ChangedFiles) -> show.Shown:
    """What changed among the files, and how that was found out."""
    delta = found.delta
    said = f"{len(delta.put):,} objects to put, {len(delta.delete):,} to delete, {delta.unchanged:,} as they are"
    return sentence(f"{said}: {found.read:,} files read now, {found.unread:,} as they were when they were last read.")


@going_on.shown
def comparison(found: Comparison) -> show.Shown:
    """Differences by name with both values; the tables that are equal, in one sentence."""
    rows = [(d.object, d.key, d.column or "(whole row)", d.kind, d.expected, d.found) for d in found.differences]
    looked = ", ".join(f"{count:,} {what}" for what, count in found.compared.items())
    if not rows:
        return sentence(f"No difference in {looked}.")
    title = f"{len(rows)} differences in {looked}"
    return show.table(rows, ("Object", "Key", "Column", "Kind", "Expected", "Found"), title, numeric=())


@going_on.shown
def changes(found: dict[str, TableChanges]) -> show.Shown:
    """What changed in each table since the snapshot."""
    rows = [(n, len(c.inserted), len(c.updated), len(c.deleted)) for n, c in found.items() if c.count]
    total = sum(c.count for c in found.values())
    title = f"{total:,} rows changed in {len(rows)} of {len(found)} tables since the snapshot"
    return show.table(rows, ("Table", "Inserted", "Updated", "Deleted"), title)


def checks(bench: Workbench) -> show.Shown:
    """Every check of this phase."""
    failed = sum(check.verdict is Verdict.FAIL for check in bench.run.checks)
    return show.check_table(bench.run.checks, "Checks of this phase" if not failed else f"{failed} checks fail")


def way_back(todo: Todo) -> show.Shown:
    """What the new application wrote, table by table, and what stands in the way of carrying it back."""
    rows: list[tuple[str | int, ...]] = [
        (name, len(c.inserted), len(c.updated), len(c.deleted), sum(one.table == name for one in todo.conflicts))
        for name, c in todo.rows.items()
        if c.count or any(one.table == name for one in todo.conflicts)
    ]
    files = todo.files
    rows.append(("files, new or changed", "", len(files.fetch), len(files.remove), len(files.conflicts)))
    title = f"Written on the target since the cutover: rows {todo.row_count:,}, files {files.count:,}"
    counts = ("Inserted", "Updated", "Deleted", "In the way")
    return show.table(rows, ("Where", *counts), title, numeric=counts)
