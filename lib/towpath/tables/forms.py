"""Which columns hold dates or booleans as text, and the letter of each value's form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import apsw

from towpath.tables.schema import Column, Table, quoted

LOOKED_AT = 1_000  # first rows of a table, to find dates in columns whose name and type do not say so
BOOLEAN_WORDS = ("t", "f", "true", "false", "yes", "no", "y", "n", "on", "off")
_NAME = re.compile(r"(date|time|_at$|_on$|At$|On$|stamp|created|updated|modified|deleted|deadline|expires|birth)")
_TYPE = re.compile(r"DATE|TIME", re.IGNORECASE)

_DATE = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_MINUTE = "[0-2][0-9]:[0-5][0-9]"
_TIME = _MINUTE + ":[0-6][0-9]"
_SIX = "[0-9]" * 6
_HEX = "[0-9a-fA-F]" * 8 + "*"
DATED = f"{_DATE}[ T]{_MINUTE}*"
UUIDS = {  # form -> SQL condition over a value of 32 or 36 hexadecimal digits and dashes
    "with dashes": "length({0}) = 36 AND {0} COLLATE BINARY = lower({0})",
    "without dashes": "length({0}) = 32 AND {0} COLLATE BINARY = lower({0})",
    "in capitals": "{0} COLLATE BINARY <> lower({0})",
}
_LONG_NUMBER = re.compile(rb"[0-9][0-9.]{15,}(?:[eE][-+]?[0-9]+)?")
_AS_ZEROS = bytes.maketrans(b"123456789.", b"0" * 10)
_SIXTEEN = b"0" * 16
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def long_number(document: bytes) -> bool:
    """Whether a JSON document holds a number, outside of its strings, that a double gives back as another one."""
    return digits_in(document) and any(map(_rounded, _LONG_NUMBER.findall(_STRING.sub(b'""', document))))


def _rounded(number: bytes) -> bool:
    text = number.decode()
    try:
        return Decimal(text) != Decimal(repr(float(text)))
    except (ValueError, InvalidOperation):
        return False  # no number: 1.2.3


def digits_in(texts: bytes) -> bool:
    """Whether sixteen digits and points stand in a row anywhere: ten times as fast as the expression that is meant."""
    return _SIXTEEN in texts.translate(_AS_ZEROS)


_ZONES = ("*[+-][0-9][0-9]:[0-9][0-9]", "*[+-][0-9][0-9][0-9][0-9]", "*:*[+-][0-9][0-9]")


@dataclass(frozen=True, slots=True)
class Clues:
    """Names of columns that are worth a closer look."""

    dated: frozenset[str]
    boolean: frozenset[str]
    documents: frozenset[str]  # JSON
    uuids: frozenset[str]


def clues(db: apsw.Connection, table: Table, readable: Sequence[Column]) -> Clues:
    """Columns that hold dates (by type, by name, or by their first values), booleans written as words, JSON, UUIDs."""
    dated = {c.name for c in readable if _TYPE.search(c.declared) or _NAME.search(c.name)}
    documents = {c.name for c in readable if "JSON" in c.declared.upper()}
    boolean, uuids = set(), set()
    names = [column.name for column in readable]
    words = ", ".join(f"'{word}'" for word in BOOLEAN_WORDS)
    for start in range(0, len(names), 300):
        group = names[start : start + 300]
        parts = []
        for name in group:
            value = quoted(name)
            parts += [
                f"sum({value} GLOB '{_DATE}*')",
                f"sum(typeof({value}) = 'text' AND lower({value}) IN ({words}))",
                f"sum(typeof({value}) = 'text')",
                f"sum({value} GLOB '{{*' OR {value} GLOB '[[]*')",
                f"sum({value} GLOB '{_HEX}' AND length({value}) IN (32, 36) AND {value} NOT GLOB '*[^-0-9a-fA-F]*')",
            ]
        # with a collation of its own, because a subquery asks for the column's, which only the application may have
        listed = ", ".join(f"{quoted(name)} COLLATE BINARY AS {quoted(name)}" for name in group)
        sql = f"SELECT {', '.join(parts)} FROM (SELECT {listed} FROM {quoted(table.name)} LIMIT {LOOKED_AT})"
        found = db.execute(sql).fetchall()[0]
        for at, name in enumerate(group):
            dates, spoken, texts, opened, hexadecimal = (value or 0 for value in found[5 * at : 5 * at + 5])
            if dates:
                dated.add(name)
            if texts and spoken == texts:
                boolean.add(name)
            if opened:
                documents.add(name)
            if texts and hexadecimal == texts:
                uuids.add(name)
    return Clues(frozenset(dated), frozenset(boolean), frozenset(documents), frozenset(uuids))


def letter(value: str, dated: bool) -> str:
    """SQL that yields one letter for the value: its storage class, or its form where the column holds dates.

    Letters: n null, b blob, - empty text, t text, i integer, r real, and those of `census.DATE_FORMS`.
    """
    empty = f"{value} COLLATE BINARY = ''"
    if not dated:
        return (
            f"CASE typeof({value}) WHEN 'text' THEN iif({empty}, '-', 't') WHEN 'integer' THEN 'i'"
            " WHEN 'real' THEN 'r' WHEN 'null' THEN 'n' ELSE 'b' END"
        )
    zoned = " OR ".join(f"{value} GLOB '{zone}'" for zone in _ZONES)
    return (
        f"CASE typeof({value}) WHEN 'text' THEN CASE"
        f" WHEN {value} GLOB '{_DATE} {_TIME}.{_SIX}' THEN 's'"
        f" WHEN {value} GLOB '{_DATE} {_TIME}' THEN 'S'"
        f" WHEN {value} GLOB '{_DATE}' THEN 'd'"
        f" WHEN {value} GLOB '{_DATE}[ T]{_MINUTE}*' THEN CASE"
        f" WHEN {value} GLOB '*[Zz]' THEN 'Z' WHEN {zoned} THEN 'o'"
        f" WHEN length({value}) = 16 THEN 'M'"
        f" WHEN substr({value}, 11, 1) = 'T' THEN 'T' WHEN {value} GLOB '{_DATE} {_TIME}.[0-9]*' THEN 'm' ELSE 'x' END"
        f" WHEN {value} GLOB '{_TIME}*' THEN 'h' WHEN {empty} THEN '-' ELSE 'x' END"
        # 1973 to 2286 in seconds, milliseconds, microseconds; Julian days of the years 1 to 9999
        f" WHEN 'integer' THEN CASE WHEN {value} COLLATE BINARY BETWEEN 100000000 AND 9999999999 THEN 'e'"
        f" WHEN {value} COLLATE BINARY BETWEEN 100000000000 AND 9999999999999 THEN 'E'"
        f" WHEN {value} COLLATE BINARY BETWEEN 100000000000000 AND 9999999999999999 THEN 'u' ELSE 'i' END"
        f" WHEN 'real' THEN CASE WHEN {value} COLLATE BINARY BETWEEN 1721425.5 AND 5373484.5 THEN 'j'"
        f" WHEN {value} COLLATE BINARY BETWEEN 100000000 AND 9999999999 THEN 'f' ELSE 'r' END"
        f" ELSE substr(typeof({value}), 1, 1) END"
    )


def boolean_condition(column: Column) -> str:
    """SQL that is true where the column holds a boolean written as a word."""
    words = ", ".join(f"'{word}'" for word in BOOLEAN_WORDS)
    return f"typeof({quoted(column.name)}) = 'text' AND lower({quoted(column.name)}) IN ({words})"
