"""Which table a finding's object belongs to, and what the source consists of: the names of three schemas in one place.

Findings of a server name schema.table, its census names tables as the capture does, and findings about a fit name the
target's tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from towpath.fitting.fitted import Fitted
from towpath.fitting.source import source_of
from towpath.workbench.complexity import Size
from towpath.workbench.server_origin import ServerOrigin
from towpath.workbench.workbench import Workbench


def sizes(bench: Workbench, fitted: Fitted | None = None) -> Callable[[str], Size | None]:
    """A function from the object of a finding to the table of the census that it is, or that it is a part of."""
    known = {table.name.lower(): Size(table.name, table.rows, table.bytes) for table in bench.profile.tables}
    names = dict(known)
    if isinstance(bench.origin, ServerOrigin):
        captured = {table.name: table.captured.lower() for table in source_of(bench.origin.catalog).tables}
        names |= {name.lower(): known[own] for name, own in captured.items() if own in known}
        for table in fitted.tables if fitted is not None else ():
            own = next((captured[part.table.name] for part in table.parts), "")
            if own in known:
                names.setdefault(table.table.name.lower(), known[own])

    def table_of(object: str) -> Size | None:
        parts = object.lower().split(".")
        return next((names[name] for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in names), None)

    return table_of


def consists_of(bench: Workbench) -> Mapping[str, int]:
    """How many objects of each kind the source has; a cache and queued jobs are no objects of it."""
    if isinstance(bench.origin, ServerOrigin):
        return Counter(item.kind for item in bench.origin.catalog.objects)
    schema = bench.schema
    own = {"virtual": "virtual table", "table": "table"}
    counted = Counter(own[table.kind] for table in schema.tables if table.kind in own)
    counted["index"] = sum(len(table.indexes) for table in schema.moving)
    counted["view"], counted["trigger"] = len(schema.views), len(schema.triggers)
    return +counted


def on_table(bench: Workbench, table: str) -> Mapping[str, int]:
    """The triggers, views and virtual tables that belong to one table of the census."""
    table_of = sizes(bench)
    if isinstance(bench.origin, ServerOrigin):
        there = [(item.kind, item.table) for item in bench.origin.catalog.objects if item.table]
    else:
        there = [("trigger", trigger.table) for trigger in bench.schema.triggers]
        there += [("virtual table", one.name) for one in bench.schema.tables if one.kind == "virtual"]
    return Counter(kind for kind, name in there if (size := table_of(name)) is not None and size.name == table)
