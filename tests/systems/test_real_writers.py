"""Databases that other programs write on this machine: made here, so that they are there wherever the tests run.

IPython's history, coverage's data, mypy's cache, Jupyter's signatures, and what Cloudflare's runtime keeps of its own
buckets: each was written by the program itself, not by us, and goes through the notebooks' own cells to a proof.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from helpers.carry import same_rows
from helpers.rehearsal import WAY, rehearse

from towpath.cloudflare import D1, Client
from towpath.local import Runtime
from towpath.tables.schema import reflect


def history(folder: Path, runtime: Runtime, r2: Any) -> Path:  # noqa: ARG001
    """IPython: AUTOINCREMENT, tables without a key of one column, timestamps."""
    file = folder / "history.sqlite"
    options = [f"--HistoryManager.hist_file={file}", "--HistoryManager.db_log_output=True", "--simple-prompt"]
    command = [sys.executable, "-m", "IPython", f"--ipython-dir={folder}", "--no-banner", *options]
    subprocess.run(command, input="x = 'Zoë'\nx\n", text=True, cwd=folder, check=True, capture_output=True)
    return file


def coverage(folder: Path, runtime: Runtime, r2: Any) -> Path:  # noqa: ARG001
    """coverage: foreign keys, blobs of line numbers, a UNIQUE that replaces."""
    from coverage import CoverageData

    data = CoverageData(str(folder / "coverage.sqlite"))
    data.set_context("a test")
    data.add_lines({"a.py": [1, 2, 3, 90], "é/b.py": [1]})
    data.add_file_tracers({"a.py": "a tracer"})
    data.write()
    data.close()
    return folder / "coverage.sqlite"


def mypy(folder: Path, runtime: Runtime, r2: Any) -> Path:  # noqa: ARG001
    """mypy: a text key, documents as blobs."""
    (folder / "one.py").write_text("def f(x: int) -> str:\n    return str(x)\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--sqlite-cache", "--cache-dir", "cache", "--config-file=", "one.py"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return next(path for path in sorted((folder / "cache").rglob("*.db")) if _rows(path))


def signatures(folder: Path, runtime: Runtime, r2: Any) -> Path:  # noqa: ARG001
    """Jupyter: signatures of notebooks, a composite index, a column of type text without a length."""
    from nbformat.sign import SQLiteSignatureStore

    store = SQLiteSignatureStore(str(folder / "signatures.sqlite"))
    for digest in ("0" * 64, "f" * 64):
        store.store_signature(digest, "sha256")
    store.close()
    return folder / "signatures.sqlite"


def buckets(folder: Path, runtime: Runtime, r2: Any) -> Path:
    """Cloudflare's runtime: what it keeps of its objects, foreign keys, triggers, WITHOUT ROWID."""
    r2.put_object(Bucket=runtime.bucket, Key="naïve/ä.txt", Body=b"\x00\xff", Metadata={"a": "b"})
    found = [path for path in sorted(runtime.state.folder.rglob("*R2*/*.sqlite")) if _rows(path)]
    for end in ("", "-wal"):
        if (beside := found[0].with_name(found[0].name + end)).exists():
            shutil.copyfile(beside, folder / f"bucket.sqlite{end}")
    r2.delete_object(Bucket=runtime.bucket, Key="naïve/ä.txt")
    return folder / "bucket.sqlite"


def _rows(path: Path) -> int:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        names = [name for name in names if not name.startswith(("sqlite_", "_cf_"))]
        return sum(db.execute(f'SELECT count(*) FROM "{name}"').get for name in names)


@pytest.mark.parametrize("write", [history, coverage, mypy, signatures, buckets])
def test_what_other_programs_write_arrives(
    write: Callable[[Path, Runtime, Any], Path], tmp_path: Path, runtime: Runtime, client: Client, r2_client: Any
) -> None:
    (tmp_path / "made").mkdir()
    source = write(tmp_path / "made", runtime, r2_client)
    moved = rehearse(tmp_path / "root", runtime, {"source_database": str(source)})
    assert moved.phases() == dict.fromkeys(WAY, "PASS"), moved.result("01-inventory")["error"]
    assert moved.numbers("05-validate")["rows"] == _rows(source) > 0
    d1 = D1(client, moved.params["d1_database_id"])
    with closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        assert [t.name for t in reflect(db).moving if not same_rows(db, d1, t)] == []
