"""A fit, checked against source and target: what `shape`, `violations` and `proof` work from.

Every value is there twice, as SQL for SQLite over the captured forms and as SQL for PostgreSQL over the source.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from towpath.checks import Decision, Finding, Severity
from towpath.errors import WrongUse
from towpath.fitting import postgres, sqlite
from towpath.fitting.language import BASE, JOINED, Node
from towpath.fitting.rules import RULES
from towpath.fitting.source import Source, SourceTable
from towpath.tables.schema import Table, quoted

CAPTURE = "capture"  # the name under which the capture is attached
MAPPED, DROPPED, USED, UNMAPPED, COMPUTED, LEFT = "mapped", "dropped", "used", "unmapped", "computed", "left"
FILLED, DEFAULTED, GENERATED, EMPTY, UNFILLED = "filled", "defaulted", "generated", "NULL", "unfilled"


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows to be counted on the capture: `condition` is SQLite's SQL within the part."""

    code: str
    condition: str
    message: str


@dataclass(frozen=True, slots=True)
class Value:
    """The value of one target column in one part."""

    column: str
    storage: str  # TEXT, INTEGER, REAL, BLOB, or NULL for nothing but NULLs
    sqlite: str
    postgres: str
    told: str  # for people: created_at as unix_seconds
    losses: tuple[Loss, ...] = ()
    origin: str = ""  # the column of the part's table that it is, converted or not; "" where it is something else
    watched: bool = False  # the column's declared type may change some values: violations counts them


@dataclass(frozen=True, slots=True)
class Taken:
    """One row of another table beside each row: a join (alias j) or a lookup (l0, l1 …)."""

    alias: str
    table: SourceTable
    match: str
    using: str


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one source table that go to one target table: one rule of mapping.yaml."""

    table: SourceTable
    values: tuple[Value, ...]
    taken: tuple[Taken, ...]
    occurrences: tuple[Node, ...]
    rows: Node | None  # None: all of them

    @property
    def condition(self) -> str:
        """SQLite's condition for the rows that go."""
        return f"({sqlite.expression(self.rows, list(self.occurrences))}) IS TRUE" if self.rows else "1"

    @property
    def postgres_condition(self) -> str:
        """PostgreSQL's condition for the rows that go."""
        return f"({postgres.expression(self.rows, list(self.occurrences))}) IS TRUE" if self.rows else "TRUE"

    @property
    def key(self) -> str:
        """SQLite's SQL of what names a source row, for people: `id=42`."""
        if not self.table.key:
            return f"'row ' || {BASE}.{quoted('towpath:rowid')}"
        pairs = [f"{_text(f'{name}=')} || {self.table.shown(name, BASE)}" for name in self.table.key]
        return " || ', ' || ".join(pairs)

    @property
    def sqlite_from(self) -> str:
        """FROM clause over the attached capture."""
        own = [] if self.table.key else [f"rowid AS {quoted('towpath:rowid')}"]
        for number, node in enumerate(self.occurrences):
            what, order = (sqlite.expression(part, []) for part in node.parts)
            name = quoted(f"{sqlite.OCCURRENCE}{number}")
            own.append(f"row_number() OVER (PARTITION BY {what} ORDER BY {order}) AS {name}")
        base = f"{CAPTURE}.{quoted(self.table.captured)} AS {BASE}"
        if own:
            base = f"(SELECT {BASE}.*, {', '.join(own)} FROM {base}) AS {BASE}"
        joins = [
            f" LEFT JOIN {CAPTURE}.{quoted(t.table.captured)} AS {t.alias}"
            f" ON {t.alias}.{quoted(t.match)} = {BASE}.{quoted(t.using)}"
            for t in self.taken
        ]
        return f" FROM {base}{''.join(joins)}"

    @property
    def postgres_from(self) -> str:
        """FROM clause over the source itself."""
        own = []
        for number, node in enumerate(self.occurrences):
            what, order = (_collated(postgres.expression(part, []), part) for part in node.parts)
            name = quoted(f"{postgres.OCCURRENCE}{number}")
            own.append(f"row_number() OVER (PARTITION BY {what} ORDER BY {order} NULLS FIRST) AS {name}")
        base = f"{self.table.sql} AS {BASE}"
        if own:
            base = f"(SELECT {BASE}.*, {', '.join(own)} FROM {base}) AS {BASE}"
        joins = []
        for t in self.taken:
            left = postgres.form(t.alias, t.table.column(t.match))
            right = postgres.form(BASE, self.table.column(t.using))
            joins.append(f" LEFT JOIN {t.table.sql} AS {t.alias} ON ({left}) = ({right})")
        return f" FROM {base}{''.join(joins)}"

    def joined(self) -> Taken | None:
        """The joined table, if the rule has one."""
        return next((t for t in self.taken if t.alias == JOINED), None)


@dataclass(frozen=True, slots=True)
class FittedTable:
    """One target table and the parts that fill it, in the order of mapping.yaml; none where it stays empty."""

    table: Table
    parts: tuple[Part, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are written, in the table's order: generated ones are not."""
        return tuple(column.name for column in self.table.stored)


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """What becomes of one source column; of a whole table where `column` is empty."""

    table: str
    column: str
    type: str
    outcome: str  # mapped, used, dropped, computed, left, unmapped
    into: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TargetAccount:
    """Where the values of one target column come from."""

    table: str
    column: str
    type: str
    outcome: str  # filled, defaulted, generated, NULL, unfilled; empty table: NULL
    by: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit that was checked.  It can be worked with when `findings` holds no refusal."""

    source: Source
    tables: tuple[FittedTable, ...]
    sources: tuple[SourceAccount, ...]
    targets: tuple[TargetAccount, ...]
    findings: tuple[Finding, ...]
    dropped: dict[str, dict[str, str]] = field(default_factory=dict)  # source table -> column -> reason
    left: dict[str, str] = field(default_factory=dict)  # source table -> reason

    def require_sound(self) -> None:
        """Raises WrongUse when a finding refuses the fit: a table whose rule is wrong would stay empty, unseen."""
        wrong = [f for f in self.findings if RULES[f.code].severity is Severity.REFUSE]
        if wrong:
            what = f"the fit is refused: {wrong[0].message}"
            raise WrongUse(what, object=wrong[0].object, code=wrong[0].code, next=RULES[wrong[0].code].advice)

    def table(self, name: str) -> FittedTable:
        """The target table of that name.  Raises KeyError."""
        for table in self.tables:
            if table.table.name.lower() == name.lower():
                return table
        raise KeyError(name)

    def parts_of(self, source: str) -> list[tuple[FittedTable, Part]]:
        """The parts that read the rows of a source table."""
        return [(table, part) for table in self.tables for part in table.parts if part.table.name == source]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted on the capture: findings, and the decisions that mapping.yaml took in fit and left."""

    findings: tuple[Finding, ...]
    decisions: tuple[Decision, ...]


def _collated(written: str, node: Node) -> str:
    return f'({written}) COLLATE "C"' if node.type == "text" else written


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
