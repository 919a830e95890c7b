"""Defaults of columns in SQLite's words: rules as data for functions, the captured form for constants."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from towpath.postgresql.catalog import Column, literal
from towpath.postgresql.expressions import Unknown, moment, translate
from towpath.postgresql.types import rule_for

UUID = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)
NOW = {
    "timestamptz": "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')",
    "timestamp": "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000')",
    "date": "(date('now'))",
    "time": "(strftime('%H:%M:%f', 'now'))",
}
COMPUTED = ("integer", "real", "boolean", "text")  # forms in which SQLite's operators give what PostgreSQL's give
MOMENTS = (
    r"(now|transaction_timestamp|statement_timestamp|clock_timestamp)\(\)|CURRENT_(TIMESTAMP|DATE|TIME)|LOCALTIME.*"
)
UUIDS = r"(\w+\.)?(gen_random_uuid|uuidv4|uuid_generate_v4)\(\)"
_CAST = re.compile(r'^(.*?)((?:::[\w. "]+(?:\([\d,]+\))?[\w ]*(?:\[\])*)+)$', re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SEQUENCE = re.compile(r"^nextval\('(.*)'::regclass\)$")


@dataclass(frozen=True, slots=True)
class Default:
    """The default in SQLite's words; `sql` is None where there is none any more."""

    sql: str | None
    code: str = ""
    reason: str = ""


def sequence_of(default: str | None) -> str | None:
    """The sequence, as schema.name, that a default takes its numbers from."""
    found = _SEQUENCE.match(default or "")
    return found.group(1).replace('"', "").replace("''", "'") if found else None


def default_for(column: Column) -> Default:
    """Translate the default of a column that is not fed by a sequence."""
    if column.default is None:
        return Default(None)
    text = column.default.strip()
    form = rule_for(column).form
    found = _CAST.match(text)
    bare = found.group(1) if found else text
    while bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1]
    if bare.upper() == "NULL":
        return Default(None)
    if re.fullmatch(UUIDS, bare) and form == "uuid":
        return Default(UUID, "PG313", "a random uuid made by randomblob")
    if re.fullmatch(MOMENTS, bare) and form in NOW:
        return Default(NOW[form], "PG313", "the time of the insert, milliseconds instead of microseconds")
    made = _constant(bare, column, form)
    if made is not None:
        return Default(made) if made == bare else Default(made, "PG313", f"{text} written as {made}")
    if form not in COMPUTED:
        return Default(None, "PG314", f"{text} is left out")
    try:
        return Default(f"({translate(text, {}).sql})", "PG313", f"{text} written for SQLite")
    except Unknown as unknown:
        return Default(None, "PG314", f"{text}: {unknown}")


def _constant(bare: str, column: Column, form: str) -> str | None:
    if bare in ("true", "false") and form == "boolean":
        return "1" if bare == "true" else "0"
    quoted = len(bare) > 1 and bare[0] == bare[-1] == "'" and "'" not in bare[1:-1].replace("''", "")
    value = bare[1:-1].replace("''", "'") if quoted else bare
    if not quoted and not _NUMBER.fullmatch(bare):
        return _array(bare) if form == "array" else None
    if form in ("integer", "real"):
        return value if _NUMBER.fullmatch(value) else None
    if form == "decimal":
        return literal(_scaled(value, column.type)) if _NUMBER.fullmatch(value) else None
    if form == "bytes":
        return f"x'{value[2:]}'" if re.fullmatch(r"\\x([0-9a-f]{2})*", value) else None
    if not quoted:
        return None
    if form == "array":
        return _array(value)
    return literal(moment(value, form))


def _scaled(value: str, type: str) -> str:
    """A number with as many digits after the point as its type gives it."""
    found = re.search(r",(\d+)\)", type)
    whole, _, part = value.partition(".")
    if found is None or len(part) > int(found.group(1)):
        return value
    return f"{whole}.{part.ljust(int(found.group(1)), '0')}" if int(found.group(1)) else whole


def _array(text: str) -> str | None:
    """`{a,b}` or ARRAY['a'::text, …] of plain words as JSON; None where it is not that plain."""
    plain = re.fullmatch(r"\{([^{}\"\\]*)\}", text)
    listed = re.fullmatch(r"ARRAY\[(.*)\]", text, re.DOTALL)
    if plain:
        items = plain.group(1).split(",") if plain.group(1) else []
    elif listed:
        found = re.findall(r"'((?:[^']|'')*)'(?:::[\w ]+)?|(-?\d+(?:\.\d+)?)", listed.group(1))
        items = [one.replace("''", "'") or number for one, number in found]
    else:
        return None
    if any(item.upper() == "NULL" for item in items):
        return None
    numbers = bool(items) and all(_NUMBER.fullmatch(item) for item in items)
    body = ",".join(item if numbers else json.dumps(item, ensure_ascii=False) for item in items)
    return literal(f"[{body}]")
