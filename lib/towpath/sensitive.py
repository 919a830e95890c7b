"""Columns whose values nobody shall read in a record: what is shown of them instead.

The values move and are proved like all others.  Only where one would be shown (a key of a finding, both sides of a
difference, the range of a census) a digest stands for it: equal values have equal digests, so that a reader can follow
one through the record.  A digest hides no value that can be guessed: who knows an e-mail address can find it.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

DIGITS = 8  # hexadecimal: enough to follow a value, too few to be one


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Patterns `table.column` with * and ?, compared without case; none: everything may be shown."""

    patterns: tuple[str, ...] = ()

    def holds(self, table: str, column: str) -> bool:
        """True for a column that a pattern names.  A table of a schema, `stats.daily`, also answers to its own name."""
        return any(self.named_by(pattern, table, column) for pattern in self.patterns)

    @staticmethod
    def named_by(pattern: str, table: str, column: str) -> bool:
        """Whether this pattern names the column."""
        names = {f"{name}.{column}".lower() for name in (table, table.rpartition(".")[2])}
        return any(fnmatch.fnmatchcase(name, pattern.lower()) for name in names)

    def unmatched(self, columns: Iterable[tuple[str, str]]) -> list[str]:
        """The patterns that name none of these columns (table, column)."""
        known = list(columns)
        return [one for one in self.patterns if not any(self.named_by(one, *column) for column in known)]


NOTHING = Sensitive()


def digest(value: bytes) -> str:
    """What is shown instead of a value: `sha256:1a2b3c4d… (12 bytes)`."""
    return f"sha256:{hashlib.sha256(value).hexdigest()[:DIGITS]}… ({len(value)} bytes)"


def digest_of(text: str) -> str:
    """The same of a text."""
    return digest(text.encode("utf-8", "surrogatepass"))
