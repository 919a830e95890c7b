"""Named conversions (`as:`), as data: each with an expression for SQLite over the captured form, and one for PostgreSQL
over the source's own type.

`{v}` stands for the value.  `impossible`: a condition over the captured form under which the value has no such form;
the expression gives NULL there and the finding refuses it.  `losing`: a condition under which something of it is lost;
a decision and a waiver may accept it.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, replace
from typing import Any

import apsw

from towpath.fitting import postgres, source

TEXT, INTEGER, REAL, BLOB = "TEXT", "INTEGER", "REAL", "BLOB"
STORAGE = {
    source.BOOLEAN: INTEGER,
    source.INTEGER: INTEGER,
    source.REAL: REAL,
    source.FLOAT4: REAL,
    source.BYTEA: BLOB,
}
JSON_KINDS = (source.JSON, source.JSONB, source.ARRAY, source.CHAR_ARRAY)
MOMENTS = (source.TIMESTAMPTZ, source.TIMESTAMP)
REAL_FUNCTION = "towpath_real"  # digits -> the nearest double; SQLite's own reading of digits may be one off
ROUND_TRIP = "towpath_is_real"  # whether a double holds these digits


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion of one kind of value."""

    name: str
    kind: str
    storage: str  # the storage class of what comes out, where it is not NULL
    sqlite: str
    postgres: str
    impossible: str = ""
    losing: str = ""
    loses: str = ""  # what `losing` means, for people

    def applied(self, sqlite: str, postgres: str) -> Conversion:
        """The same conversion over two given values."""
        put = {name: getattr(self, name).replace("{v}", f"({sqlite})") for name in ("sqlite", "impossible", "losing")}
        return replace(self, **put, postgres=self.postgres.replace("{v}", f"({postgres})"))


_DIGITS = "[0-9][0-9]"
_MOMENT = f"{_DIGITS}{_DIGITS}-{_DIGITS}-{_DIGITS}T*"
_DAY = f"{_DIGITS}{_DIGITS}-{_DIGITS}-{_DIGITS}"
_NO_MOMENT = f"{{v}} NOT GLOB '{_MOMENT}'"
_USUAL = postgres.USUAL
_WHOLE = "(({v} NOT GLOB '*[^0-9]*' OR ({v} GLOB '-?*' AND substr({v}, 2) NOT GLOB '*[^0-9]*')) AND {v} <> '')"
_SMALL = "(length({v}) < 19)"
# the digits of a number split at the point; cents are exact in whole numbers only
_POINT = "iif(instr({v}, '.') = 0, length({v}) + 1, instr({v}, '.'))"
_CENTS = f"substr({{v}}, 1, {_POINT} - 1) || substr(substr({{v}}, {_POINT} + 1) || '00', 1, 2)"
_NO_NUMBER = "({v} GLOB '*[^0-9.-]*')"
_UNITS = (
    ("unix_seconds", "", "", 1, "<> '000000'", "its fraction of a second"),
    ("unix_milliseconds", " * 1000", " + CAST(substr({v}, 21, 3) AS INTEGER)", 1000, "", "its microseconds"),
    ("unix_microseconds", " * 1000000", " + CAST(substr({v}, 21, 6) AS INTEGER)", 1000000, "", ""),
)


def _default(kind: str) -> Conversion:
    form = "({v})::int" if kind == source.BOOLEAN else postgres.FORMS[kind]
    return Conversion("default", kind, STORAGE.get(kind, TEXT), "{v}", form)


def _unix(kind: str) -> list[Conversion]:
    out = []
    for name, times, rest, factor, _, loses in _UNITS:
        losing = {
            "unix_seconds": "substr({v}, 21, 6) <> '000000'",
            "unix_milliseconds": "substr({v}, 24, 3) <> '000'",
        }.get(name, "")
        out.append(
            Conversion(
                name,
                kind,
                INTEGER,
                f"CASE WHEN {_NO_MOMENT} THEN NULL ELSE unixepoch(substr({{v}}, 1, 19)){times}{rest} END",
                f"CASE WHEN {_USUAL} THEN floor(extract(epoch FROM {{v}}) * {factor})::bigint END",
                impossible=_NO_MOMENT,
                losing=losing,
                loses=loses,
            )
        )
    return out


def _moments(kind: str) -> list[Conversion]:
    local = postgres.LOCAL if kind == source.TIMESTAMPTZ else "{v}"
    zone = "Z" if kind == source.TIMESTAMPTZ else ""
    no = f"CASE WHEN {_NO_MOMENT} THEN NULL ELSE"
    return [
        *_unix(kind),
        replace(_default(kind), name="iso_text"),
        Conversion(
            "iso_milliseconds",
            kind,
            TEXT,
            f"{no} substr({{v}}, 1, 23) || '{zone}' END",
            f"CASE WHEN {_USUAL} THEN to_char({local}, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') || '{zone}' END",
            impossible=_NO_MOMENT,
            losing="substr({v}, 24, 3) <> '000'",
            loses="its microseconds",
        ),
        Conversion(
            "sqlite_datetime",
            kind,
            TEXT,
            f"{no} substr({{v}}, 1, 10) || ' ' || substr({{v}}, 12, 8) END",
            f"CASE WHEN {_USUAL} THEN to_char({local}, 'YYYY-MM-DD HH24:MI:SS') END",
            impossible=_NO_MOMENT,
            losing="substr({v}, 21, 6) <> '000000'",
            loses="its fraction of a second",
        ),
        Conversion(
            "date",
            kind,
            TEXT,
            f"{no} substr({{v}}, 1, 10) END",
            f"CASE WHEN {_USUAL} THEN to_char({local}, 'YYYY-MM-DD') END",
            impossible=_NO_MOMENT,
            losing="substr({v}, 12, 15) <> '00:00:00.000000'",
            loses="its time of day",
        ),
    ]


def _numbers(kind: str) -> list[Conversion]:
    numeric = "(({v})::numeric)"
    not_whole = f"({_NO_NUMBER} OR rtrim(substr({{v}}, {_POINT} + 1), '0') <> '' OR {_POINT} > 19)"
    not_cents = f"({_NO_NUMBER} OR rtrim(substr({{v}}, {_POINT} + 3), '0') <> '' OR {_POINT} > 17)"
    usual = f"{numeric} NOT IN ('NaN', 'Infinity', '-Infinity') AND abs({numeric})"
    # the same borders as in `impossible`: so many characters before the point, the sign among them
    within = f"{usual} < 1e{{most}} AND char_length(split_part({numeric}::text, '.', 1)) <= {{most}}"
    return [
        Conversion(
            "integer",
            kind,
            INTEGER,
            f"CASE WHEN {not_whole} THEN NULL ELSE CAST(substr({{v}}, 1, {_POINT} - 1) AS INTEGER) END",
            f"CASE WHEN {within.replace('{most}', '18')} AND {numeric} = trunc({numeric}) THEN {numeric}::bigint END",
            impossible=not_whole,
        ),
        Conversion(
            "cents",
            kind,
            INTEGER,
            f"CASE WHEN {not_cents} THEN NULL ELSE CAST({_CENTS} AS INTEGER) END",
            f"CASE WHEN {within.replace('{most}', '16')} AND {numeric} * 100 = trunc({numeric} * 100)"
            f" THEN ({numeric} * 100)::bigint END",
            impossible=not_cents,
        ),
        Conversion(
            "real",
            kind,
            REAL,
            f"{REAL_FUNCTION}({{v}})",
            f"CASE WHEN {usual} < 1e-310 THEN 0::float8 WHEN {usual} < 1e300 THEN {numeric}::float8 END",
            impossible=f"({REAL_FUNCTION}({{v}}) IS NULL)",
            losing=f"NOT {ROUND_TRIP}({{v}})",
            loses="digits that a double has no room for",
        ),
        replace(_default(kind), name="text"),
    ]


def _all() -> list[Conversion]:
    kinds = list(postgres.FORMS)
    out = [_default(kind) for kind in kinds]
    keeps_text = [k for k in kinds if STORAGE.get(k, TEXT) == TEXT and k not in (source.NUMERIC, source.MONEY)]
    out += [replace(_default(kind), name="text") for kind in keeps_text]
    for kind in MOMENTS:
        out += _moments(kind)
    for kind in (source.NUMERIC, source.MONEY):
        out += _numbers(kind)
    out += [replace(_default(kind), name="json_text") for kind in JSON_KINDS]
    whole = "({v})::bigint"
    no_integer = f"NOT ({_WHOLE} AND {_SMALL} AND CAST(CAST({{v}} AS INTEGER) AS TEXT) = {{v}})"
    for kind in (source.TEXT, source.CHAR):
        form = postgres.FORMS[kind]
        out.append(
            Conversion(
                "integer",
                kind,
                INTEGER,
                f"CASE WHEN {no_integer} THEN NULL ELSE CAST({{v}} AS INTEGER) END",
                f"CASE WHEN {form} ~ '^(0|-?[1-9][0-9]*)$' AND char_length({form}) < 19 THEN ({form})::bigint END",
                impossible=no_integer,
            )
        )
        truth = "{v} NOT IN ('true', 'false', 't', 'f', '1', '0')"
        out.append(
            Conversion(
                "boolean",
                kind,
                INTEGER,
                "CASE WHEN {v} IN ('true', 't', '1') THEN 1 WHEN {v} IN ('false', 'f', '0') THEN 0 END",
                f"CASE {form} WHEN 'true' THEN 1 WHEN 't' THEN 1 WHEN '1' THEN 1"
                " WHEN 'false' THEN 0 WHEN 'f' THEN 0 WHEN '0' THEN 0 END",
                impossible=truth,
            )
        )
    return [
        *out,
        replace(_default(source.INTEGER), name="integer"),
        Conversion("text", source.INTEGER, TEXT, "CAST({v} AS TEXT)", f"{whole}::text"),
        Conversion(
            "cents",
            source.INTEGER,
            INTEGER,
            "CASE WHEN {v} BETWEEN -1000000000000000 AND 1000000000000000 THEN {v} * 100 END",
            f"CASE WHEN {whole} BETWEEN -1000000000000000 AND 1000000000000000 THEN {whole} * 100 END",
            impossible="{v} NOT BETWEEN -1000000000000000 AND 1000000000000000",
        ),
        Conversion(
            "boolean",
            source.INTEGER,
            INTEGER,
            "CASE {v} WHEN 1 THEN 1 WHEN 0 THEN 0 END",
            f"CASE WHEN {whole} BETWEEN 0 AND 1 THEN {whole} END",
            impossible="{v} NOT IN (0, 1)",
        ),
        Conversion(
            "real",
            source.INTEGER,
            REAL,
            "CAST({v} AS REAL)",
            f"({whole})::float8",
            losing="{v} NOT BETWEEN -9007199254740992 AND 9007199254740992",
            loses="digits that a double has no room for",
        ),
        replace(_default(source.BOOLEAN), name="boolean"),
        Conversion("integer", source.BOOLEAN, INTEGER, "{v}", "({v})::int"),
        Conversion("text", source.BOOLEAN, TEXT, "CASE {v} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END", "({v})::text"),
        *(
            Conversion(
                "real",
                kind,
                REAL,
                "CASE WHEN typeof({v}) = 'real' THEN {v} END",
                f"nullif({postgres.FORMS[kind]}, 'NaN'::float8)",
                impossible="typeof({v}) = 'text'",
            )
            for kind in (source.REAL, source.FLOAT4)
        ),
        replace(_default(source.DATE), name="date"),
        Conversion(
            "unix_seconds",
            source.DATE,
            INTEGER,
            f"CASE WHEN {{v}} NOT GLOB '{_DAY}' THEN NULL ELSE unixepoch({{v}}) END",
            f"CASE WHEN {_USUAL} THEN ({{v}} - '1970-01-01'::date)::bigint * 86400 END",
            impossible=f"{{v}} NOT GLOB '{_DAY}'",
        ),
        replace(_default(source.UUID), name="uuid_text"),
        Conversion("uuid_hex", source.UUID, TEXT, "replace({v}, '-', '')", "encode(uuid_send({v}), 'hex')"),
        Conversion(
            "hex", source.BYTEA, TEXT, "CASE WHEN {v} IS NOT NULL THEN lower(hex({v})) END", "encode({v}, 'hex')"
        ),
    ]


CONVERSIONS: dict[tuple[str, str], Conversion] = {(c.name, c.kind): c for c in _all()}
NAMES: tuple[str, ...] = tuple(dict.fromkeys(name for name, _ in CONVERSIONS))


def conversions_of(kind: str) -> tuple[str, ...]:
    """The names of the conversions that take values of this kind."""
    return tuple(name for name, of in CONVERSIONS if of == kind)


def register(db: apsw.Connection) -> None:
    """Make the functions known that conversions call beside SQLite's own."""
    db.create_scalar_function(REAL_FUNCTION, _real, 1, deterministic=True)
    db.create_scalar_function(ROUND_TRIP, _is_real, 1, deterministic=True)


def _real(*arguments: Any) -> float | None:
    try:
        value = float(arguments[0])
    except (TypeError, ValueError):
        return None
    # PostgreSQL refuses to cast what a double rounds to 0: below a border above that, both sides say 0.
    tiny = abs(value) < 1e-309 and abs(decimal.Decimal(arguments[0])) < decimal.Decimal("1e-310")
    return (0.0 if tiny else value) if abs(value) < 1e300 else None


def _is_real(*arguments: Any) -> bool:
    value = _real(*arguments)
    return value is None or decimal.Decimal(repr(value)) == decimal.Decimal(str(arguments[0]))
