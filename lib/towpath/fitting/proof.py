"""The proof through the mapping: PostgreSQL says every cell itself."""

from __future__ import annotations

SETTINGS = (
    "SET datestyle TO 'ISO, YMD'",
    "SET timezone TO 'UTC'",
    "SET intervalstyle TO 'iso_8601'",
    "SET extra_float_digits TO 1",
    "SET bytea_output TO 'hex'",
    "SET lc_monetary TO 'C'",
)
