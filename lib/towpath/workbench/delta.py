"""What a target still lacks: rows as a delta that is ready to be sent, and of a list of files what the bucket does not
hold, whatever an attempt that was cut off did of an earlier list."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from towpath import objects
from towpath.tables import virtual
from towpath.tables.changes import TableChanges
from towpath.tables.delta import write_delta
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest
from towpath.tables.schema import Named
from towpath.workbench.state import State
from towpath.workbench.workbench import Workbench


def row_delta(bench: Workbench, base: State, final: Exporter, found: dict[str, TableChanges]) -> Manifest:
    """Write the changes down beside the last snapshot, ready to be sent to what holds `base`."""
    tables_of = {trigger.name.lower(): trigger.table for trigger in final.schema.triggers}
    triggers = [Named(t.name, t.sql, tables_of[t.name.lower()]) for t in bench.conversion.triggers]
    again = [s for t in final.schema.tables if t.kind == "virtual" for s in virtual.after_statements(t)]
    return write_delta(final, found, base.manifest, triggers, bench.run.plan.hash, bench.origin.recorded(), again)


def file_delta(bench: Workbench, wanted: objects.Manifest) -> objects.Delta:
    """The objects to put and to delete, so that the bucket holds `wanted`.

    Each object that differs between any two lists of this run is asked for in the bucket.  One that is not what any of
    the lists says is somebody else's: it stays in the delta without a licence to replace it, and is refused there.
    """
    ours = _known(bench, wanted)
    new = {entry.key: entry for entry in wanted if entry.key in ours}
    bucket = objects.Bucket(bench.s3, bench.params.r2_bucket)
    put: list[objects.Entry] = []
    delete: list[objects.Entry] = []
    replaces: dict[str, str] = {}
    for key, etag in bucket.etags(sorted(ours)):
        if key not in new:
            if etag is not None:
                delete.append(ours[key].get(etag) or next(iter(ours[key].values())))
        elif etag != new[key].etag:
            put.append(new[key])
            if etag in ours[key]:
                replaces[key] = etag
    return objects.Delta(tuple(put), tuple(delete), MappingProxyType(replaces), wanted.objects - len(put), asked=True)


def _known(bench: Workbench, wanted: objects.Manifest) -> dict[str, dict[str, objects.Entry]]:
    """Key → ETag → entry, for every object in which any list of this run differs from the first."""
    *later, first = [state.objects for state in bench.states()]
    found: dict[str, dict[str, objects.Entry]] = {}

    def know(entries: Iterable[objects.Entry]) -> None:
        for entry in entries:
            found.setdefault(entry.key, {})[entry.etag] = entry

    for manifest in (*later, wanted):
        delta = objects.delta(first, manifest)
        know((*delta.put, *delta.delete))
    know(entry for entry in first if entry.key in found)
    return found
