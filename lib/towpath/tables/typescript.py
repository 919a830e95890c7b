"""Row types for the new Worker: what D1 answers for each table, as TypeScript interfaces.

D1 answers JSON: an INTEGER is a number (rounded beyond ±2^53: such a column is typed as text, to be read by
CAST(… AS TEXT)), a BLOB is an ArrayBuffer over the binding, an infinite REAL is null.
"""

from __future__ import annotations

import re

from towpath.tables.census import ColumnProfile, Profile
from towpath.tables.conversion import Conversion, TargetColumn, TargetTable
from towpath.tables.schema import affinity

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_RESERVED = frozenset(
    (
        "any",
        "bigint",
        "boolean",
        "never",
        "null",
        "number",
        "object",
        "string",
        "symbol",
        "undefined",
        "unknown",
        "void",
    )
)


def row_types(conversion: Conversion, profile: Profile | None = None) -> str:
    """TypeScript source with one interface per table, in the order of the schema.

    With `profile`, what the values are decides where the type leaves it open.  Equal inputs give equal text.
    """
    names = _interface_names([table.name for table in conversion.tables])
    parts = ["// Row types of the D1 database, made by Towpath from the schema it applied.  Do not edit.\n"]
    for table, name in zip(conversion.tables, names, strict=True):
        parts.append(_interface(table, name, profile))
    listed = "".join(f"  {_key(t.name)}: {n};\n" for t, n in zip(conversion.tables, names, strict=True))
    parts.append(f"/** Every table by its name in the database. */\nexport interface Tables {{\n{listed}}}\n")
    return "\n".join(parts)


def _interface(table: TargetTable, name: str, profile: Profile | None) -> str:
    lines = [f"/** A row of {_comment(table.name)}. */", f"export interface {name} {{"]
    optional = {c.name for c in table.source.columns if not c.notnull}
    added = {what.removeprefix("NOT NULL on ") for code, what in table.changes if code == "TB308"}
    rowid = table.source.rowid_alias or next((c.name for c in table.columns if c.code == "TB307"), None)
    for column in table.columns:
        census = profile.table(table.name).column(column.name) if profile is not None else None
        type_, note = _type(column, census)
        may_be_null = column.name in optional and column.name not in added and column.name != rowid
        if may_be_null and not type_.endswith("null"):
            type_ += " | null"
        if note:
            lines.append(f"  /** {note} */")
        lines.append(f"  {_key(column.name)}: {type_};")
    return "\n".join([*lines, "}\n"])


def _type(column: TargetColumn, census: ColumnProfile | None) -> tuple[str, str]:
    """The TypeScript type, and a note for the developer."""
    declared = column.source_type.upper()
    if census is not None and census.beyond_safe:
        return "string", f"integers beyond ±2^53: select CAST({_comment(column.name)} AS TEXT)"
    own = affinity(column.target_type)
    held = _held(census) if census is not None else set()
    if column.code == "TB304" and own == "INTEGER" and held <= {"number"}:
        return "0 | 1", "boolean"
    expected = {
        "TEXT": {"string"},
        "INTEGER": {"number"},
        "REAL": {"number"},
        "NUMERIC": {"number"},
        "BLOB": set[str](),
    }
    kinds = held | expected[own] if own != "NUMERIC" or not held else held
    if own == "BLOB" and not kinds:
        kinds = {"ArrayBuffer"} if column.target_type else {"string", "number", "ArrayBuffer"}
    note = ""
    if kinds == {"string"} and "JSON" in declared:
        note = "JSON text: JSON.parse"
    elif kinds == {"string"} and census is not None and census.dates:
        note = "date or time: " + ", ".join(census.dates)
    elif census is not None and census.infinities:
        return " | ".join([*sorted(kinds), "null"]), "holds infinite numbers, which D1 answers as null"
    return " | ".join(sorted(kinds)), note


def _held(census: ColumnProfile) -> set[str]:
    kinds = {"number": census.integers + census.reals, "string": census.texts, "ArrayBuffer": census.blobs}
    return {kind for kind, count in kinds.items() if count}


def _key(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    escaped = "".join(_escaped(character) for character in name)
    return f'"{escaped}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if ord(character) < 32 or character in "\u2028\u2029\x7f":
        return f"\\u{ord(character):04x}"
    return character


def _comment(text: str) -> str:
    """Text that cannot end a comment or begin a new line."""
    return "".join(c if c.isprintable() else " " for c in text).replace("*/", "* /")


def _interface_names(names: list[str]) -> list[str]:
    """PascalCase names that are identifiers, each once."""
    out: list[str] = []
    for name in names:
        words = [word for word in re.split(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])", name) if word]
        base = "".join(word[0].upper() + word[1:] for word in words) or "Unnamed"
        base = f"T{base}" if base[0].isdigit() else base
        base = f"{base}Row"
        candidate, number = base, 2
        while candidate in out or candidate.lower() in _RESERVED or candidate == "Tables":
            candidate, number = f"{base}{number}", number + 1
        out.append(candidate)
    return out
