"""Generated columns of PostgreSQL: what D1 computes is what PostgreSQL had stored, or the column becomes ordinary."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.moves import move
from helpers.postgresql import run

from towpath.cloudflare.d1 import D1
from towpath.local.postgresql import Postgresql

EXPRESSIONS = {  # type and expression -> D1 computes it
    ("integer", "i * 2 - 1"): True,
    ("integer", "i % 3"): True,
    ("bigint", "abs(i)"): True,
    ("boolean", "i > 0"): True,
    ("text", "t || '/' || t"): True,
    ("integer", "length(t)"): True,
    ("text", "coalesce(t, 'none')"): True,
    ("text", "CASE WHEN i > 0 THEN t ELSE 'minus' END"): True,
    ("double precision", "d * d"): True,
    ("real", "f * f"): False,
    ("double precision", "f * f"): False,
    ("real", "d::real"): False,
    ("double precision", "(d::real)::double precision"): False,
    ("numeric", "i + 0.50"): False,
    ("numeric(12,2)", "i * 2"): False,
    ("numeric", "n * 2"): False,
    ("text", "upper(t)"): False,
    ("date", "at::date"): False,
}
ROWS = """INSERT INTO t (id, i, t, d, f, n, at) VALUES (1, 5, 'é x', 0.1, 0.1, 1.10, '2024-02-29 23:59:59'),
  (2, -7, '', 1e30, 3e18, 0, '2024-01-01'), (3, 0, NULL, 1/3.0, 1/3.0, 2.50, 'infinity'),
  (4, NULL, 'a', 0, 0, 3, NULL)"""


COLUMNS = "id integer PRIMARY KEY, i integer, t text, d double precision, f real, n numeric, at timestamp"


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=" ".join)
def test_a_generated_column_arrives_with_its_values(
    expression: tuple[str, str], postgresql_server: Postgresql, postgresql_url: str, d1: D1, tmp_path: Path
) -> None:
    kind, sql = expression
    made = f"CREATE TABLE t ({COLUMNS}, g {kind} GENERATED ALWAYS AS ({sql}) STORED)"
    run(postgresql_server, postgresql_url, f"{made}; {ROWS}")
    moved = move(postgresql_server, postgresql_url, tmp_path, d1)
    assert moved.failed == []
    column = moved.generated.table("public.t").columns[-1]
    assert (column.computed, "PG317" in column.codes) == (EXPRESSIONS[expression], not EXPRESSIONS[expression])
    assert [c.object for c in moved.checks if c.code == "FT404"] == (["public.t.g"] if column.computed else [])
