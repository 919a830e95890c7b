"""Which type a column gets in D1: rules as data, and the one condition that guards them.

The condition: every value of the census keeps its storage class in a column of the new type, because the affinity of
the new type would change none of them (sqlite.org/datatype3.html §3).  A rule only prefers; what the values forbid is
passed over, down to the source's own affinity and, if not even that is safe, to no affinity at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from towpath.tables.census import ColumnProfile
from towpath.tables.schema import Column, affinity

CANONICAL = {"INTEGER": "INTEGER", "TEXT": "TEXT", "REAL": "REAL", "NUMERIC": "NUMERIC", "BLOB": "BLOB"}
SAME_TYPE, SHORTER, DATE, TEXTUAL, BOOLEAN, DECIMAL, MIXED, KEY = (
    *("", "TB301", "TB302", "TB303", "TB304", "TB305", "TB306", "TB307"),
)


@dataclass(frozen=True, slots=True)
class TypeRule:
    """A declared type, what it means, and which types to try, by what the column holds.

    `texts`, `integers`, `reals`: tried first where every value is of that class; `any`: tried in this order after it;
    `empty`: for a column without values, by what the new application is going to write.
    """

    pattern: str
    meaning: str
    code: str
    texts: str
    integers: str
    reals: str
    any: tuple[str, ...]
    empty: str


RULES: tuple[TypeRule, ...] = (
    TypeRule(r"BOOL(EAN)?|TINYINT\(1\)|BIT", "boolean", BOOLEAN, "TEXT", "INTEGER", "REAL", ("INTEGER",), "INTEGER"),
    TypeRule(r".*(DATE|TIME|INTERVAL).*", "date or time", DATE, "TEXT", "INTEGER", "REAL", ("NUMERIC",), "TEXT"),
    TypeRule(r"JSONB?", "JSON", TEXTUAL, "TEXT", "NUMERIC", "REAL", ("NUMERIC",), "TEXT"),
    TypeRule(r"UUID|GUID|UNIQUEIDENTIFIER", "UUID", TEXTUAL, "TEXT", "NUMERIC", "NUMERIC", ("NUMERIC",), "TEXT"),
    TypeRule(
        r"STRING.*|ENUM.*|SET\(.*|XML|CITEXT|INET|CIDR|MACADDR|NAME|HSTORE|TSVECTOR|.*\[\]",
        "text",
        TEXTUAL,
        "TEXT",
        "NUMERIC",
        "NUMERIC",
        ("NUMERIC",),
        "TEXT",
    ),
    TypeRule(
        r"(DECIMAL|NUMERIC|NUMBER|DEC)\(\s*\d+\s*(,\s*0\s*)?\)",
        "decimal without fraction",
        DECIMAL,
        "TEXT",
        "INTEGER",
        "REAL",
        ("NUMERIC",),
        "NUMERIC",
    ),
    TypeRule(
        r"(DECIMAL|NUMERIC|NUMBER|DEC)(\(.*\))?|.*MONEY",
        "decimal",
        DECIMAL,
        "TEXT",
        "NUMERIC",
        "REAL",
        ("NUMERIC",),
        "NUMERIC",
    ),
    TypeRule(
        r"(SMALL|BIG)?SERIAL\d?|OID|YEAR", "integer", SHORTER, "TEXT", "INTEGER", "NUMERIC", ("INTEGER",), "INTEGER"
    ),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The type a column gets; `code` is "" where the type stays as it is written."""

    type: str
    code: str
    reason: str


def keeps(target: str, source: Column, census: ColumnProfile) -> bool:
    """Whether every value keeps its storage class in a column of type `target`."""
    into = affinity(target)
    if into == "BLOB":
        return True
    if into == "TEXT":
        return census.integers == census.reals == 0
    if census.texts and (census.numeric_texts or source.affinity in ("TEXT", "BLOB")):
        return False  # a text that looks like a number would become one
    if into == "REAL":
        return census.integers == 0
    # INTEGER, NUMERIC: 5.0 would become 5, unless the source's affinity has done that already
    return census.reals == 0 or source.affinity in ("INTEGER", "NUMERIC")


def choose(column: Column, census: ColumnProfile) -> Chosen:
    """The target type of a column of an ordinary (not STRICT) table."""
    declared = " ".join(column.declared.upper().split())
    rule = _rule(declared, column.affinity)
    kinds = {"texts": census.texts, "integers": census.integers, "reals": census.reals, "blobs": census.blobs}
    held = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count) or "no value"
    if rule is not None:
        for wanted in _wanted(rule, census):
            if keeps(wanted, column, census):
                mixed = wanted == rule.any[0] == "NUMERIC" and census.values and rule.code != DECIMAL
                if wanted == declared:
                    return Chosen(column.declared, SAME_TYPE, "")
                return Chosen(
                    wanted, MIXED if mixed else rule.code, f"{column.declared} means {rule.meaning}; holds {held}"
                )
    own = CANONICAL[column.affinity]
    if not keeps(own, column, census):
        return Chosen("BLOB", MIXED, f"no affinity leaves its values as they are; holds {held}")
    if own == declared or (own == "BLOB" and not declared):
        return Chosen(column.declared, SAME_TYPE, "")
    if census.blobs == census.values > 0 and (own == "NUMERIC" or declared.endswith("POINT")):  # "POINT" holds an INT
        return Chosen("BLOB", SHORTER, f"{column.declared}: holds {held}")
    if own == "NUMERIC":  # a type name SQLite does not know
        for wanted, only in (("TEXT", census.texts), ("INTEGER", census.integers), ("REAL", census.reals)):
            if only and only == census.values and keeps(wanted, column, census):
                return Chosen(wanted, TEXTUAL if wanted == "TEXT" else SHORTER, f"{column.declared}: holds {held}")
        return Chosen(own, MIXED if census.values else SHORTER, f"{column.declared} has NUMERIC affinity; holds {held}")
    return Chosen(own, SHORTER, f"{column.declared} has {column.affinity} affinity; SQLite never enforced more of it")


def _rule(declared: str, own: str) -> TypeRule | None:
    found = next((rule for rule in RULES if re.fullmatch(rule.pattern, declared)), None)
    if found is None or own in ("TEXT", "REAL", "BLOB"):
        return None  # the affinity is what the name says
    return found


def _wanted(rule: TypeRule, census: ColumnProfile) -> tuple[str, ...]:
    if not census.values:
        return (rule.empty,)
    if census.texts + census.blobs == census.values and census.texts:
        return (rule.texts, *rule.any)
    if census.integers == census.values:
        return (rule.integers, *rule.any)
    if census.reals == census.values:
        return (rule.reals, *rule.any)
    return rule.any
