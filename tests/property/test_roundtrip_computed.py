"""Generated columns of PostgreSQL: what D1 computes is what PostgreSQL had stored, or the column becomes ordinary."""

from __future__ import annotations

import secrets
from pathlib import Path

import psycopg
import pytest
from helpers.moves import move

from towpath.cloudflare import Client
from towpath.cloudflare.d1 import D1
from towpath.local.postgresql import Postgresql
from towpath.postgresql import convert

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
  (2, -7, '', 1e300, 3.4e38, 0, '2024-01-01'), (3, 0, NULL, 1/3.0, 1/3.0, 2.50, 'infinity'),
  (4, NULL, 'a', 0, 0, 3, NULL)"""


def source(expression: tuple[str, str], rows: str = ROWS, key: str = "PRIMARY KEY") -> str:
    kind, sql = expression
    columns = "i integer, t text, d double precision, f real, n numeric, at timestamp"
    generated = f"g {kind} GENERATED ALWAYS AS ({sql}) STORED"
    return f"CREATE TABLE t (id integer {key}, {columns}, {generated}); {rows}"


def put(server: Postgresql, url: str, script: str) -> None:
    with psycopg.connect(url, password=server.password, autocommit=True) as db:
        db.execute(script.encode())


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=" ".join)
def test_a_generated_column_arrives_with_its_values(
    expression: tuple[str, str], postgresql_server: Postgresql, postgresql_url: str, d1: D1, tmp_path: Path
) -> None:
    rows = ROWS.replace("3.4e38", "3e18")  # its square is one that real can hold
    put(postgresql_server, postgresql_url, source(expression, rows.replace("1e300", "1e30")))
    moved = move(postgresql_server, postgresql_url, tmp_path, d1)
    assert moved.failed == []
    column = moved.generated.table("public.t").columns[-1]
    assert (column.computed, "PG317" in column.codes) == (EXPRESSIONS[expression], not EXPRESSIONS[expression])
    assert [c.object for c in moved.checks if c.code == "FT404"] == (["public.t.g"] if column.computed else [])


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_another_value_than_postgresqls_is_told(
    key: str,
    postgresql_server: Postgresql,
    postgresql_url: str,
    tmp_path: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A translator that errs, one that takes every `+` for a `-`."""
    put(postgresql_server, postgresql_url, source(("integer", "i + 1"), ROWS, key))
    real = convert.translate

    def fake_translate(sql: str, *given: object) -> object:
        return real(sql.replace("+", "-"), *given)  # type: ignore[arg-type]

    monkeypatch.setattr(convert, "translate", fake_translate)
    made = move(postgresql_server, postgresql_url, tmp_path, D1(client, f"trip-{secrets.token_hex(8)}"))
    (found,) = (check for check in made.checks if check.code == "FT404")
    assert (found.found, found.keys) == ("3 rows with other values", ("1", "2", "3") if "KEY" in key else ())
