"""Databases that others made, moved by the notebooks' own cells, with every finding that they have: no more, no fewer.

They lie beside the project (../shared/data, each with a SOURCE.md that says where it is from), not in it.  What each
holds stands in shared_findings.json: rows, findings that somebody should read (code, object, how many), and how many
notes there are of each code.  A person looked at each of them; docs/real-inputs.md says what was tried beside these.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from helpers.carry import same_rows
from helpers.postgresql import load
from helpers.project import HERE
from helpers.rehearsal import WAY, Rehearsal, rehearse

from towpath.cloudflare import D1, Client
from towpath.local import Runtime
from towpath.local.postgresql import Postgresql
from towpath.tables.schema import reflect

DATA = HERE.parent / "shared" / "data"
EXPECTED: dict[str, Any] = json.loads(Path(__file__).with_name("shared_findings.json").read_text(encoding="utf-8"))
SCRIPTS = {
    "postgresql/pagila": ("pagila-schema.sql", "pagila-data.sql"),
    "postgresql/pagila 2026": ("pagila-schema-2026.sql",),
    "postgresql/chinook": ("Chinook_PostgreSql.sql",),
    "postgresql/chinook serial": ("Chinook_PostgreSql_SerialPKs.sql",),
    "postgresql/world": ("world.sql",),
    "postgresql/iso-3166": ("iso-3166.sql",),
    "postgresql/fastapi-template": ("fst.sql",),
}
FILES = tuple(name for name in EXPECTED if name not in SCRIPTS)
NOTHING = "sqlite/wrangler-d1-export-fixture/db.sqlite3"  # no table of an application: refused before a phase
D1_FILE = "d1/conduit-hono/conduit_d1_local.sqlite"
PROOF = ("TB4", "PL", "OB", "FT3", "FT1", "PG324", "PG325", "TB32", "TB100")  # what passes in every move
real = pytest.mark.skipif(not DATA.is_dir(), reason="the databases of others lie beside the project, in ../shared/data")


def found(moved: Rehearsal) -> dict[str, Any]:
    """What the inventory and the schema say of a source, in the form of the file."""
    checks = [check for phase in WAY[:2] for check in moved.result(phase)["checks"]]
    checks = [check for check in checks if not check["code"].startswith(PROOF)]
    decided = {(one["code"], one["object"]) for one in moved.decisions}
    read: dict[str, dict[str, int]] = {}
    for check in checks:
        if check["verdict"] != "PASS" or (check["code"], check["object"]) in decided:
            number = re.match(r"[\d,]+", check["found"])
            read.setdefault(check["code"], {})[check["object"]] = int(number[0].replace(",", "")) if number else 1
    notes = Counter(c["code"] for c in checks if c["verdict"] == "PASS" and c["object"] not in read.get(c["code"], {}))
    rows = int(moved.numbers("01-inventory")["rows"])
    return {"rows": rows, "read": dict(sorted(read.items())), "notes": dict(sorted(notes.items()))}


def arrives(moved: Rehearsal) -> dict[str, str]:
    """Move it; what the inventory wants to be decided is answered with the first answer that there is."""
    verdict = moved.phase("01-inventory")
    while verdict != "PASS" and moved.decide_all("01-inventory"):
        verdict = moved.phase("01-inventory")
    return {"01-inventory": verdict, **moved.phases(*WAY[1:])}


def d1_of(moved: Rehearsal, client: Client) -> D1:
    return D1(client, moved.params["d1_database_id"])


@real
def test_no_database_is_left_out() -> None:
    endings = (".db", ".sqlite", ".sqlite3")
    there = {p.relative_to(DATA).as_posix() for p in DATA.rglob("*") if p.suffix in endings}
    assert there == {*FILES, NOTHING, D1_FILE}
    folders = {f"postgresql/{path.name}" for path in (DATA / "postgresql").iterdir()}
    assert folders == {name.split()[0] for name in SCRIPTS}
    assert EXPECTED.keys() == {*FILES, *SCRIPTS}


@real
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_others_arrives(name: str, tmp_path: Path, runtime: Runtime, client: Client) -> None:
    source = tmp_path / "source.sqlite"
    shutil.copy(DATA / name, source)
    source.chmod(0o644)
    moved = rehearse(tmp_path / "root", runtime, {"source_database": str(source)})
    assert arrives(moved) == dict.fromkeys(WAY, "PASS"), moved.result(WAY[-1])["error"]
    assert found(moved) == EXPECTED[name]
    with closing(apsw.Connection(str(moved.folder / "snapshot" / "snapshot.sqlite"))) as db:
        unlike = [t.name for t in reflect(db).moving if not same_rows(db, d1_of(moved, client), t)]
    assert unlike == []


@real
@pytest.mark.parametrize("made_of", ["its file", "its export"])
def test_a_d1_arrives_once_its_list_of_migrations_has_another_name(
    made_of: str, tmp_path: Path, runtime: Runtime, client: Client
) -> None:
    source = tmp_path / "source.sqlite"
    if made_of == "its file":
        shutil.copy(DATA / D1_FILE, source)
        source.chmod(0o644)
    else:
        with closing(apsw.Connection(str(source))) as db:
            db.execute((DATA / D1_FILE).with_name("conduit_export.sql").read_text(encoding="utf-8"))
    moved = rehearse(tmp_path / "root", runtime, {"source_database": str(source)})
    assert moved.phase("01-inventory") == "FAIL"
    (failed,) = moved.checks("01-inventory", "FAIL")
    assert (failed["code"], failed["object"]) == ("TB115", "d1_migrations")
    assert "rename it in the source" in failed["next"]
    with closing(apsw.Connection(str(source))) as db:
        db.execute("ALTER TABLE d1_migrations RENAME TO applied_migrations")
    assert arrives(moved) == dict.fromkeys(WAY, "PASS")
    with closing(apsw.Connection(str(source))) as db:
        assert [t.name for t in reflect(db).moving if not same_rows(db, d1_of(moved, client), t)] == []


@real
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_server_of_others_arrives(
    name: str, tmp_path: Path, runtime: Runtime, client: Client, postgresql_server: Postgresql, postgresql_url: str
) -> None:
    load(postgresql_server, postgresql_url, *(DATA / name.split()[0] / script for script in SCRIPTS[name]))
    password = f"file:{postgresql_server.folder / 'password'}"
    source = {"source_database": postgresql_url, "source_password": password, "source_closed_cleanly": False}
    moved = rehearse(tmp_path / "root", runtime, source)
    assert arrives(moved) == dict.fromkeys(WAY, "PASS"), moved.result(WAY[-1])["error"]
    assert found(moved) == EXPECTED[name]
    with psycopg.connect(postgresql_url, password=postgresql_server.password) as connection:
        assert unlike_the_server(connection, d1_of(moved, client)) == []


def unlike_the_server(connection: psycopg.Connection[Any], d1: D1) -> list[str]:
    """Columns of which D1 does not hold what psycopg reads: a reading that shares nothing with the product's.

    Integers, texts (char(n) without its padding), decimals with all digits, booleans and bytes; a table's other columns
    are proved by the product alone.
    """
    tables = connection.execute("""
        SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')""").fetchall()
    forms = {
        **dict.fromkeys(("int2", "int4", "int8", "text", "varchar"), "{}::text"),
        **dict.fromkeys(("numeric", "uuid"), "{}::text"),
        "bpchar": "rtrim({}::text, ' ')",
        "bool": "{}::int::text",
        "bytea": "upper(encode({}, 'hex'))",
    }
    wrong = []
    for oid, schema, table in tables:
        columns = connection.execute(
            "SELECT attname, typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
            (oid,),
        ).fetchall()
        flat = table if schema == "public" else f"{schema}_{table}"
        for column, kind in columns:
            if kind not in forms:
                continue
            cell = forms[kind].format(f'"{column}"')
            left = connection.execute(f'SELECT {cell}, count(*) FROM "{schema}"."{table}" GROUP BY 1'.encode())
            read = f'hex("{column}")' if kind == "bytea" else f'CAST("{column}" AS TEXT)'
            sql = f'SELECT iif("{column}" IS NULL, NULL, {read}), count(*) FROM "{flat}" GROUP BY 1'
            if sorted(map(repr, left)) != sorted(repr(tuple(row)) for row in d1.query(sql).rows):
                wrong.append(f"{schema}.{table}.{column}")
    return wrong
