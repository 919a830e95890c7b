"""What a PostgreSQL database declares, as values: relations, sequences, types, and everything else by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from towpath.postgresql.relations import Column, Constraint, Index, Table, View, flat, literal, quoted

__all__ = [
    "Catalog",
    "Column",
    "Constraint",
    "Domain",
    "Enum",
    "Function",
    "Index",
    "Object",
    "Other",
    "Sequence",
    "Table",
    "Trigger",
    "View",
    "flat",
    "literal",
    "quoted",
]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger that somebody made; those of foreign keys are not among them."""

    name: str
    table: str  # schema.name
    definition: str
    function: str  # schema.name
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Function:
    """One function, procedure or aggregate, extensions' own left out."""

    schema: str
    name: str
    arguments: str
    kind: str  # f function, p procedure, a aggregate, w window
    language: str
    definition: str  # "" for an aggregate

    @property
    def qualified(self) -> str:
        """`schema.name(arguments)`."""
        return f"{self.schema}.{self.name}({self.arguments})"


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence.  `last_value` and `is_called` move with the rows, so they are no part of the digest."""

    schema: str
    name: str
    type: str
    start: int
    minimum: int
    maximum: int
    increment: int
    cycle: bool
    cache: int
    owned_by: str | None  # schema.table.column, by serial or identity
    identity: bool
    last_value: int | None = None  # None: this user may not read it
    is_called: bool = False

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def next_value(self) -> int | None:
        """What nextval would give; None where `last_value` is not known."""
        if self.last_value is None:
            return None
        return self.last_value + self.increment if self.is_called else self.last_value


@dataclass(frozen=True, slots=True)
class Enum:
    """One enum; labels in their order, which is not that of the alphabet."""

    schema: str
    name: str
    labels: tuple[str, ...]

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain; its checks speak of VALUE."""

    schema: str
    name: str
    type: str  # what it is directly over, as format_type writes it
    base: str
    notnull: bool
    default: str | None
    checks: tuple[Constraint, ...]
    over: str | None = None  # schema.name of the domain below it

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else: a policy, a rule, an extension, a grant, a text search configuration …"""

    kind: str  # PostgreSQL's word: policy, rule, extension, grant, event trigger …
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Object:
    """One object of the database as `pg_identify_object` names it; extensions' own and TOAST left out."""

    kind: str
    name: str
    table: str = ""  # schema.name of the relation that it belongs to; a partition belongs to itself


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything a database declares."""

    database: str
    version: str
    version_number: int  # 180004
    encoding: str
    collation: str
    is_replica: bool
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    functions: tuple[Function, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    enums: tuple[Enum, ...] = ()
    domains: tuple[Domain, ...] = ()
    others: tuple[Other, ...] = ()
    objects: tuple[Object, ...] = ()
    large_objects: int = 0  # rows of pg_largeobject_metadata; no part of the digest
    replay_delay_seconds: float | None = None  # of a replica: age of the last replayed transaction
    deterministic: bool = True  # whether the database's collation compares equal texts only as equal

    def table(self, qualified: str) -> Table:
        """The table `schema.name`.  Raises KeyError."""
        for table in self.tables:
            if table.qualified == qualified:
                return table
        raise KeyError(qualified)

    def enum(self, qualified: str) -> Enum:
        """The enum `schema.name`.  Raises KeyError."""
        for enum in self.enums:
            if enum.qualified == qualified:
                return enum
        raise KeyError(qualified)

    def domain(self, qualified: str) -> Domain:
        """The domain `schema.name`.  Raises KeyError."""
        for domain in self.domains:
            if domain.qualified == qualified:
                return domain
        raise KeyError(qualified)

    @property
    def moving(self) -> tuple[Table, ...]:
        """The tables whose rows are captured: a partitioned one once, as the parent; no foreign ones."""
        return tuple(t for t in self.tables if t.kind in "rp" and t.partition_of is None)

    @property
    def identity(self) -> str:
        """What this source is, for gates: its database and what it declares."""
        return f"postgresql:{self.database}:{self.digest[:24]}"

    @property
    def digest(self) -> str:
        """SHA-256 of what is declared: rows, sequences' values and the server do not count.

        Partitions do not count either: their rows move with the parent, and many a database makes a new one each day.
        """
        return hashlib.sha256(orjson.dumps(list(self._declared()))).hexdigest()

    def _declared(self) -> Iterator[Any]:
        parts = {table.qualified for table in self.tables if table.partition_of}
        for table in self.tables:
            if table.qualified not in parts:
                yield replace(table, estimated_rows=0, readable=True, partitions=())
        yield from (replace(view, populated=True) for view in self.views)
        yield from (replace(sequence, last_value=None, is_called=False) for sequence in self.sequences)
        yield from (trigger for trigger in self.triggers if trigger.table not in parts)
        yield from (other for other in self.others if other.kind != "grant" or other.name not in parts)
        yield from (object for object in self.objects if object.table not in parts)
        for items in (self.functions, self.enums, self.domains):
            yield from items
