"""How each named conversion is turned round, as data: PostgreSQL's SQL from a target cell to the source's own type.

`{v}` stands for the cell, as a bigint, a float8, a text or a bytea, by its storage class; `{t}` for the declared type
of the source column.  A cell that has no value on the other side becomes NULL there, or an error of PostgreSQL.  None
of these is believed: what comes out goes through the conversion once more, and must be the cell again, or say the same.

`same` is asked where one value can be spelled in several ways: `{v}` is the cell, `{p}` what came out of the
conversion, both texts.  JSON without spaces, a moment with three digits instead of six, a UUID in capitals.
"""

from __future__ import annotations

from dataclasses import dataclass

from towpath.fitting import postgres, source
from towpath.fitting.conversions import CONVERSIONS, JSON_KINDS, MOMENTS

ARRAYS = (source.ARRAY, source.CHAR_ARRAY)


@dataclass(frozen=True, slots=True)
class Inverse:
    """One conversion turned round."""

    sql: str
    same: str = ""  # "": only the very cell is the same


_PLAIN = "({v})::{t}"
_TRUTH = "CASE {v} WHEN 1 THEN TRUE WHEN 0 THEN FALSE END"
_ELEMENTS = (
    "CASE WHEN {v} IS NOT NULL THEN (SELECT coalesce(array_agg(element ORDER BY number), '{{}}')"
    " FROM json_array_elements_text(({v})::json) WITH ORDINALITY AS elements (element, number)) END"
).replace("{{}}", "{}")
_SECONDS = "'epoch'::timestamptz + ({v} / {f}) * interval '1 second'"
_REST = " + mod({v}, {f}) * ({m} * interval '1 microsecond')"


# What PostgreSQL reads as a moment is more than one: "now", "tomorrow", a day of Julius Caesar's calendar.
_DAY, _TIME = "[0-9]{4,6}-[0-9]{2}-[0-9]{2}", "[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
_UTC, _ZONE = "Z|[+-]00(:?00)?", "Z|[+-][0-9]{2}(:?[0-9]{2})?"


def _both(type: str) -> str:
    return f"({{p}})::{type} = ({{v}})::{type}"


def _moment_in(zone: str, type: str) -> str:
    """Equal moments, both of them in ISO 8601; a type without zone would drop any but UTC without a word."""
    return f"CASE WHEN {{v}} ~ '^{_DAY}({_TIME} ?({zone})?)?$' THEN {_both(type)} ELSE FALSE END"


_SAME = {
    source.UUID: _both("uuid"),
    source.JSONB: _both("jsonb"),
    **dict.fromkeys(ARRAYS, _both("jsonb")),
    source.TIMESTAMPTZ: _moment_in(_ZONE, "timestamptz"),
    source.TIMESTAMP: _moment_in(_UTC, "timestamp"),
    source.DATE: _moment_in(_UTC, "timestamp"),
    source.NUMERIC: _both("numeric"),
    source.INTERVAL: "(({p})::interval)::text = (({v})::interval)::text",
    source.INET: _both("inet"),
}
_TYPES = {
    source.BOOLEAN: _TRUTH,
    source.FLOAT4: "(({v})::text)::{t}",  # by its digits: a double has more of them than the type
    source.MONEY: "(({v})::numeric)::{t}",
    **dict.fromkeys(ARRAYS, f"({_ELEMENTS})::{{t}}"),
}


def _default(kind: str) -> Inverse:
    return Inverse(_TYPES.get(kind, _PLAIN), _SAME.get(kind, ""))


def _unix(factor: int, kind: str) -> Inverse:
    moment = f"({_SECONDS}{_REST})".replace("{f}", str(factor)).replace("{m}", str(1_000_000 // factor))
    return Inverse(f"({moment} AT TIME ZONE 'UTC')::{{t}}" if kind == source.TIMESTAMP else f"{moment}::{{t}}")


def _all() -> dict[tuple[str, str], Inverse]:
    out = {("default", kind): _default(kind) for kind in postgres.FORMS}
    # other names for the captured form itself
    texts = [kind for kind in postgres.FORMS if ("text", kind) in CONVERSIONS]
    out |= {("text", kind): _default(kind) for kind in texts}
    out |= {("json_text", kind): _default(kind) for kind in JSON_KINDS}
    out |= {("iso_text", kind): _default(kind) for kind in MOMENTS}
    out |= {("uuid_text", source.UUID): _default(source.UUID), ("date", source.DATE): _default(source.DATE)}
    out |= {("integer", source.INTEGER): _default(source.INTEGER)}
    out |= {(name, source.BOOLEAN): _default(source.BOOLEAN) for name in ("boolean", "integer")}
    for kind in MOMENTS:
        out |= {(name, kind): _default(kind) for name in ("iso_milliseconds", "sqlite_datetime", "date")}
        for name, factor in (("unix_seconds", 1), ("unix_milliseconds", 1_000), ("unix_microseconds", 1_000_000)):
            out[name, kind] = _unix(factor, kind)
    for kind in (source.NUMERIC, source.MONEY):
        out["integer", kind] = Inverse("(({v})::numeric)::{t}")
        out["cents", kind] = Inverse("(round(({v})::numeric / 100, 2))::{t}")
        out["real", kind] = Inverse("((({v})::text)::numeric)::{t}")
    out |= {
        ("text", source.INTEGER): Inverse("(({v})::bigint)::{t}"),
        ("cents", source.INTEGER): Inverse("(CASE WHEN mod({v}, 100) = 0 THEN {v} / 100 END)::{t}"),
        ("boolean", source.INTEGER): Inverse(_PLAIN),
        ("real", source.INTEGER): Inverse("(CASE WHEN {v} = trunc({v}) THEN ({v})::bigint END)::{t}"),
        ("text", source.BOOLEAN): Inverse("CASE {v} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"),
        ("unix_seconds", source.DATE): Inverse("('1970-01-01'::date + (({v}) / 86400)::int)::{t}"),
        ("uuid_hex", source.UUID): Inverse(_PLAIN, "(({p})::uuid) = (({v})::uuid)"),
        ("hex", source.BYTEA): Inverse("(decode({v}, 'hex'))::{t}", "lower({v}) = {p}"),
    }
    for kind in (source.REAL, source.FLOAT4):
        out["real", kind] = _default(kind)
    for kind in (source.TEXT, source.CHAR):
        out["integer", kind] = Inverse("(({v})::text)::{t}")
    return out


INVERSES: dict[tuple[str, str], Inverse] = _all()

# Several values of the source become one of the target: which one it was, only the owner can say, in `back`.
CHOSEN: dict[tuple[str, str], Inverse] = {
    ("boolean", kind): Inverse("(CASE {v} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)::{t}")
    for kind in (source.TEXT, source.CHAR)
}
