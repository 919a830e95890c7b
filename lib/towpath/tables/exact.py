"""The second look at a column: only where its tally says that something is there to count."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import apsw

from towpath.tables.census import DATE_FORMS, DATED_FORMS, SAFE_INTEGER, ColumnProfile
from towpath.tables.forms import DATED, UUIDS, boolean_condition
from towpath.tables.samples import ask, keys
from towpath.tables.schema import Table, quoted

if TYPE_CHECKING:
    from towpath.tables.profile import Tally

TEXT_LETTERS, INTEGER_LETTERS, REAL_LETTERS = "tsSmMTZodhx-", "ieEu", "rfj"
INT64 = 2**63  # the first integer that SQLite can only hold as a real
_SPACES = "char(9, 10, 11, 12, 13)"
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\n\v\f\r]*")


def exact(db: apsw.Connection, table: Table, tally: Tally, length: str) -> ColumnProfile:
    """The column's profile from its tally, with exact bounds, counts and keys.  `length`: SQL function, UTF-8 bytes."""
    column, name = tally.column, quoted(tally.column.name)
    integers, reals, texts = (tally.count(letters) for letters in (INTEGER_LETTERS, REAL_LETTERS, TEXT_LETTERS))
    blobs, nulls = tally.count("b"), tally.count("n")
    samples = dict(tally.samples)

    def over(expression: str, condition: str) -> Any:
        return ask(db, f"SELECT {expression} FROM {quoted(table.name)} WHERE {condition}")

    def count(kind: str, condition: str) -> int:
        found = int(over("count(*)", condition))
        if found:
            samples[kind] = keys(db, table, condition)
        return found

    def bounds(kind: str, present: int) -> tuple[Any, Any]:
        if not present:
            return None, None
        if present == integers + reals + texts + blobs and tally.least is not None:
            return tally.least, tally.largest
        where = f"typeof({name}) = '{kind}'"
        return over(f"min({name} COLLATE BINARY)", where), over(f"max({name} COLLATE BINARY)", where)

    least_integer, largest_integer = bounds("integer", integers)
    least_real, largest_real = bounds("real", reals)
    beyond = infinities = 0
    if integers and max(-least_integer, largest_integer) > SAFE_INTEGER:
        unsafe = f"{name} COLLATE BINARY NOT BETWEEN {-SAFE_INTEGER} AND {SAFE_INTEGER}"
        beyond = count("beyond_safe", f"typeof({name}) = 'integer' AND {unsafe}")
    if reals and (math.isinf(least_real) or math.isinf(largest_real)):
        infinite = f"typeof({name}) = 'real' AND {name} COLLATE BINARY IN (9e999, -9e999)"
        infinities = count("infinities", infinite)
        rest = f"typeof({name}) = 'real' AND NOT ({infinite})"
        least_real, largest_real = over(f"min({name} COLLATE BINARY)", rest), over(f"max({name} COLLATE BINARY)", rest)
    beyond_int64 = 0
    if reals and column.affinity == "INTEGER" and max(-(least_real or 0), largest_real or 0) >= INT64:
        beyond_int64 = count("beyond_int64", f"typeof({name}) = 'real' AND abs({name}) BETWEEN {INT64:.1f} AND 1e308")
    longest_text, longest_blob = (tally.longest, 0) if texts else (0, tally.longest)
    if texts and blobs:
        longest_text, longest_blob = (
            int(over(f"max({length}({name}))", f"typeof({name}) = '{kind}'")) for kind in ("text", "blob")
        )
    numeric = boolean = 0
    if texts and tally.numeric and column.affinity in ("INTEGER", "REAL", "NUMERIC"):
        db.create_scalar_function("towpath_is_number", _is_number, 1, deterministic=True)
        # GLOB first, in C: only texts without any other character are worth a call into Python
        likely = f"typeof({name}) = 'text'"
        likely += f" AND {name} COLLATE BINARY <> '' AND NOT {name} GLOB ('*[^-+.0-9eE ' || {_SPACES} || ']*')"
        numeric = count("numeric", f"{likely} AND towpath_is_number(CAST({name} AS BLOB))")
    if tally.boolean:
        spoken = int(over("count(*)", boolean_condition(column)))
        boolean = spoken if spoken == texts else 0
    dates, unread = {}, 0
    if tally.letters.get("o"):
        unread = count("unread", f"{name} GLOB '{DATED}' AND datetime({name}) IS NULL")
    uuids: dict[str, int] = {}
    if tally.uuids:
        counts = db.execute(
            f"SELECT {', '.join(f'sum({condition.format(name)})' for condition in UUIDS.values())}"
            f" FROM {quoted(table.name)} WHERE typeof({name}) = 'text'"
        ).fetchall()[0]
        uuids = {form: int(number) for form, number in zip(UUIDS, counts, strict=True) if number}
    if tally.dated:
        dates = {form: tally.letters[one] for one, form in DATE_FORMS.items() if tally.letters.get(one)}
        dates = dates if any(form in DATED_FORMS for form in dates) else {}
    if nulls and (column.notnull or column.key):
        # not IS NULL, which SQLite takes for false where the column says NOT NULL
        samples["null"] = keys(db, table, f"typeof({name}) = 'null'")
    if tally.impossible:
        day = f"substr({name}, 1, 10)"
        shape = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
        samples["impossible"] = keys(db, table, f"{name} GLOB '{shape}' AND date({day}) IS NOT {day}")
    if column.sensitive:
        least_integer = largest_integer = least_real = largest_real = None
    return ColumnProfile(
        name=column.name,
        nulls=nulls,
        integers=integers,
        reals=reals,
        texts=texts,
        blobs=blobs,
        least_integer=least_integer,
        largest_integer=largest_integer,
        beyond_safe=beyond,
        least_real=least_real,
        largest_real=largest_real,
        infinities=infinities,
        longest_text=longest_text,
        longest_blob=longest_blob,
        empty_texts=tally.count("-"),
        nul_texts=tally.texts.get("nul", 0),
        replaced_texts=tally.texts.get("replaced", 0),
        invalid_texts=tally.texts.get("invalid", 0),
        boolean_texts=boolean,
        numeric_texts=numeric,
        dates=dates,
        impossible_dates=tally.impossible,
        unread_times=unread,
        json_numbers=tally.texts.get("json", 0),
        beyond_int64=beyond_int64,
        uuid_forms=uuids,
        samples=samples,
    )


def _is_number(*values: Any) -> bool:
    return _NUMBER.fullmatch(values[0]) is not None
