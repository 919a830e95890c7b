"""Classes of faults in one cell: from a value to another one that looks, or converts, or compares almost alike."""

from __future__ import annotations

import math
import random
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

NUMBER = re.compile(r"-?\d+\.\d+")
MICRO = re.compile(r"(?<=:\d\d\.)\d{6}")
ZONE = re.compile(r"(?<=\.\d{6})(Z|[+-]\d\d:?\d\d)$")
MOMENT = re.compile(r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


@dataclass(frozen=True)
class Cell:
    """A value with its storage class; texts as their bytes."""

    kind: str  # null, integer, real, text, blob
    value: int | float | bytes | None = None

    @property
    def text(self) -> str | None:
        """The text, if it is one."""
        return self.value.decode() if self.kind == "text" and isinstance(self.value, bytes) else None

    @property
    def sql(self) -> str:
        """The value as a SQL expression of exactly this storage class."""
        if isinstance(self.value, bytes):
            hexed = f"x'{self.value.hex()}'"
            return f"CAST({hexed} AS TEXT)" if self.kind == "text" else hexed
        if isinstance(self.value, float):
            return repr(self.value).replace("inf", "9e999")
        return "NULL" if self.value is None else str(self.value)


NULL = Cell("null")
Change = Callable[[Cell, random.Random], Cell | None]  # None: the class does not fit this value


def said(text: str) -> Cell:
    """A text as a cell."""
    return Cell("text", text.encode())


def of_text(change: Callable[[str, random.Random], str | None]) -> Change:
    """A class that fits texts."""

    def changed(cell: Cell, rng: random.Random) -> Cell | None:
        new = None if cell.text is None else change(cell.text, rng)
        return None if new is None or new == cell.text else said(new)

    return changed


def of(kind: str, change: Callable[[object, random.Random], Cell | None]) -> Change:
    """A class that fits one storage class."""
    return lambda cell, rng: change(cell.value, rng) if cell.kind == kind else None


def _last_digit(cell: Cell, rng: random.Random) -> Cell | None:
    if cell.kind == "integer" and abs(int(cell.value or 0)) < 2**53:
        digits = str(cell.value)
        return Cell("integer", int(digits[:-1] + str((int(digits[-1]) + rng.randrange(1, 10)) % 10)))
    spelled = repr(cell.value) if cell.kind == "real" else cell.text
    if spelled is None or not NUMBER.fullmatch(spelled):
        return None
    new = spelled[:-1] + str((int(spelled[-1]) + rng.randrange(1, 10)) % 10)
    return Cell("real", float(new)) if cell.kind == "real" else said(new)


def _beyond(value: object, rng: random.Random) -> Cell | None:
    if not isinstance(value, int) or abs(value) < 2**53:
        return None
    new = value + rng.choice((-1, 1))
    return Cell("integer", new) if -(2**63) <= new < 2**63 else None


def _by_json(value: object, _: random.Random) -> Cell | None:
    if not isinstance(value, int) or int(float(value)) == value or float(value) >= 2**63:
        return None
    return Cell("integer", int(float(value)))


def _last_bit(value: object, rng: random.Random) -> Cell | None:
    assert isinstance(value, float)
    new = math.nextafter(value, rng.choice((-math.inf, math.inf)))
    return None if new == value or new == 0 else Cell("real", new)


def _short(value: object, digits: int) -> Cell | None:
    assert isinstance(value, float)
    new = float(f"{value:.{digits}g}")
    return None if new == value else Cell("real", new)


def _single(value: object, _: random.Random) -> Cell | None:
    assert isinstance(value, float)
    return _short(value, 7) if math.isfinite(value) else None


def _bit(value: object, rng: random.Random) -> Cell | None:
    assert isinstance(value, bytes)
    if not value:
        return None
    at = rng.randrange(len(value) * 8)
    changed = bytearray(value)
    changed[at // 8] ^= 1 << at % 8
    return Cell("blob", bytes(changed))


def _cut(value: object, _: random.Random) -> Cell | None:
    assert isinstance(value, bytes)
    return Cell("blob", value[:-1]) if value else None


def _blob_as_text(value: object, _: random.Random) -> Cell | None:
    assert isinstance(value, bytes)
    try:
        value.decode()
    except UnicodeDecodeError:
        return None
    return Cell("text", value)


def _one_character(text: str, rng: random.Random) -> str | None:
    if not text:
        return None
    at = rng.randrange(len(text))
    return text[:at] + rng.choice("xyzXYZ019_é") + text[at + 1 :]


def _exchanged(text: str, rng: random.Random) -> str | None:
    pairs = [i for i in range(len(text) - 1) if text[i] != text[i + 1]]
    if not pairs:
        return None
    at = rng.choice(pairs)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _microsecond(text: str, rng: random.Random) -> str | None:
    found = MICRO.search(text)
    if not found:
        return None
    new = (int(found[0]) + rng.choice((-1, 1))) % 10**6
    return f"{text[: found.start()]}{new:06}{text[found.end() :]}"


def _milliseconds(text: str, _: random.Random) -> str | None:
    return MICRO.sub(lambda found: found[0][:3], text) if MICRO.search(text) else None


def _zone(text: str, rng: random.Random) -> str | None:
    others = [zone for zone in ("+01:00", "-08:00", "+05:45") if not text.endswith(zone)]
    return ZONE.sub(rng.choice(others), text) if ZONE.search(text) else None


def _spelled_zone(text: str, _: random.Random) -> str | None:
    if text.endswith("Z"):
        return ZONE.sub("+00:00", text)
    return text[:-6] + "Z" if text.endswith("+00:00") else None


def _day_and_month(text: str, _: random.Random) -> str | None:
    return f"{text[:4]}-{text[8:10]}-{text[5:7]}{text[10:]}" if MOMENT.match(text) else None


def _case(text: str, rng: random.Random) -> str | None:
    places = [i for i, one in enumerate(text) if one.swapcase() != one and len(one.swapcase()) == 1]
    if not places:
        return None
    at = rng.choice(places)
    return text[:at] + text[at].swapcase() + text[at + 1 :]


def _integer_text(value: object, _: random.Random) -> Cell:
    return said(str(value))


def _mojibake(text: str, _: random.Random) -> str | None:
    try:
        return text.encode().decode("latin-1") if not text.isascii() else None
    except UnicodeDecodeError:
        return None


CELLS: dict[str, Change] = {
    "the last digit of a number": _last_digit,
    "an integer beyond 2^53, by one": of("integer", _beyond),
    "an integer rounded to a double": of("integer", _by_json),
    "the sign of an integer": of("integer", lambda v, _: Cell("integer", -v) if v and v != -(2**63) else None),  # type: ignore[operator]
    "the last bit of a real": of("real", _last_bit),
    "a real of fifteen digits": of("real", lambda v, _: _short(v, 15) if math.isfinite(v) else None),  # type: ignore[arg-type]
    "a real of single precision": of("real", _single),
    "text for an integer (5 → '5')": of("integer", _integer_text),
    "real for an integer (5 → 5.0)": of("integer", lambda v, _: Cell("real", float(v))),  # type: ignore[arg-type]
    "integer for a real (5.0 → 5)": of("real", lambda v, _: Cell("integer", int(v)) if v in (5.0, 100.0) else None),  # type: ignore[call-overload]
    "integer for a text ('5' → 5)": lambda c, _: Cell("integer", int(c.text)) if c.text in ("5", "007") else None,
    "text for a real": of("real", lambda v, _: said(repr(v))),
    "blob for a text": of("text", lambda v, _: Cell("blob", v)),  # type: ignore[arg-type]
    "text for a blob": of("blob", _blob_as_text),
    "NULL for the empty text": lambda c, _: NULL if c.text == "" else None,
    "the empty text for NULL": of("null", lambda *_: said("")),
    "NULL for a value": lambda c, _: None if c == NULL else NULL,
    "zero for NULL": of("null", lambda *_: Cell("integer", 0)),
    "the text NULL for NULL": of("null", lambda *_: said("NULL")),
    "NULL for the empty blob": of("blob", lambda v, _: None if v else NULL),
    "one bit of a blob": of("blob", _bit),
    "the last byte of a blob cut": of("blob", _cut),
    "a NUL behind a blob": of("blob", lambda v, _: Cell("blob", v + b"\0")),  # type: ignore[operator]
    "one character": of_text(_one_character),
    "two characters exchanged": of_text(_exchanged),
    "the last character cut": of_text(lambda t, _: t[:-1] if t else None),
    "upper for lower case, one letter": of_text(_case),
    "a space at the end": of_text(lambda t, _: t + " "),
    "a space at the beginning": of_text(lambda t, _: " " + t),
    "spaces at the ends stripped, a line feed added": of_text(lambda t, _: t.strip() + "\n"),
    "CR LF for a line feed": of_text(lambda t, _: t.replace("\n", "\r\n")),
    "a NUL at the end": of_text(lambda t, _: t + "\0"),
    "cut at its NUL": of_text(lambda t, _: t.split("\0", maxsplit=1)[0]),
    "NFD for NFC": of_text(lambda t, _: unicodedata.normalize("NFD", t)),
    "NFKC for compatibility characters": of_text(lambda t, _: unicodedata.normalize("NFKC", t)),
    "U+FFFD for a character": of_text(lambda t, r: t.replace(r.choice(t), "\ufffd", 1) if t else None),
    "UTF-8 read as Latin-1": of_text(_mojibake),
    "a byte order mark taken away": of_text(lambda t, _: t.replace("\ufeff", "")),
    "an invisible character": of_text(lambda t, r: t + r.choice("\u200b\u00ad\ufeff\u2060")),
    "the cells' separator inside a text": of_text(lambda t, _: t + "|"),
    "one microsecond": of_text(_microsecond),
    "microseconds cut to milliseconds": of_text(_milliseconds),
    "another zone": of_text(_zone),
    "no zone": of_text(lambda t, _: ZONE.sub("", t)),
    "Z for +00:00, or +00:00 for Z": of_text(_spelled_zone),
    "T for the space in a moment, or a space for T": of_text(
        lambda t, _: t[:10] + (" " if t[10] == "T" else "T") + t[11:] if MOMENT.match(t) else None
    ),
    "day and month exchanged": of_text(_day_and_month),
}
