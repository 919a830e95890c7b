"""What the values of a database are: counted by storage class, measured, their dates told by form.

The values themselves are never kept, but for the smallest and largest number of a column; samples are keys.
`towpath.tables.profile` fills these in by one scan of each table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SAFE_INTEGER = 2**53  # beyond it a JavaScript number no longer holds every integer

DATE_FORMS: dict[str, str] = {
    "s": "YYYY-MM-DD HH:MM:SS.ffffff",
    "S": "YYYY-MM-DD HH:MM:SS",
    "m": "YYYY-MM-DD HH:MM:SS, other fraction",
    "M": "YYYY-MM-DD HH:MM",
    "T": "YYYY-MM-DDTHH:MM:SS",
    "Z": "with Z",
    "o": "with offset",
    "d": "YYYY-MM-DD",
    "h": "HH:MM:SS",
    "e": "epoch, seconds",
    "E": "epoch, milliseconds",
    "u": "epoch, microseconds",
    "f": "epoch, seconds with fraction",
    "j": "Julian day",
    "x": "other text",
    "i": "other integer",
    "r": "other real",
}
NAIVE_FORMS = tuple(DATE_FORMS[letter] for letter in "sSmMT")
DATED_FORMS = tuple(DATE_FORMS[letter] for letter in "sSmMTZodeEufj")


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column's census; counts are rows, lengths bytes of UTF-8."""

    name: str
    nulls: int = 0
    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    least_integer: int | None = None
    largest_integer: int | None = None
    beyond_safe: int = 0  # integers beyond ±2^53
    least_real: float | None = None  # finite ones
    largest_real: float | None = None
    infinities: int = 0
    longest_text: int = 0
    longest_blob: int = 0
    empty_texts: int = 0
    nul_texts: int = 0  # holding U+0000
    replaced_texts: int = 0  # holding U+FFFD: damaged before
    invalid_texts: int = 0  # not UTF-8
    boolean_texts: int = 0  # t, f, true, false, yes, no …; counted only where every text is one
    numeric_texts: int = 0  # numbers as text where the column's affinity is numeric
    dates: Mapping[str, int] = field(default_factory=dict)  # form -> rows, for columns that hold dates
    impossible_dates: int = 0  # such as 30 February
    unread_times: int = 0  # dated texts that SQLite's date functions answer with NULL
    json_numbers: int = 0  # documents with a number that a double rounds
    beyond_int64: int = 0  # reals in a column of integers that no integer of 64 bits is
    uuid_forms: Mapping[str, int] = field(default_factory=dict)  # form -> rows, where every text is a UUID
    samples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # kind -> up to five keys

    @property
    def values(self) -> int:
        """Rows that are not NULL."""
        return self.integers + self.reals + self.texts + self.blobs


@dataclass(frozen=True, slots=True)
class TableProfile:
    """One table's census."""

    name: str
    rows: int
    bytes: int  # of all values as SQLite holds them, without keys of indexes
    longest_row: int  # bytes
    longest_row_key: str
    long_rows: int  # rows over the target's limit
    long_row_keys: tuple[str, ...]
    broken: Mapping[str, int]  # lines of quick_check about NOT NULL and CHECK -> rows
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile:
        """The column of that name.  Raises KeyError."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise KeyError(f"{self.name}.{name}")


@dataclass(frozen=True, slots=True)
class Profile:
    """The census of a whole database."""

    encoding: str
    database_bytes: int
    tables: tuple[TableProfile, ...]

    def table(self, name: str) -> TableProfile:
        """The table of that name.  Raises KeyError."""
        for table in self.tables:
            if table.name.lower() == name.lower():
                return table
        raise KeyError(name)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """The profile as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """The profile that `to_json` wrote, also after a trip through a JSON file."""
        tables = []
        for table in data["tables"]:
            columns = tuple(
                ColumnProfile(**{**column, "samples": {k: tuple(v) for k, v in column["samples"].items()}})
                for column in table["columns"]
            )
            tables.append(TableProfile(**{**table, "columns": columns, "long_row_keys": tuple(table["long_row_keys"])}))
        return cls(data["encoding"], data["database_bytes"], tuple(tables))
