"""Whether somebody wrote to a file between look and carry: asked when the way back holds it and has written nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from towpath.tables.source import open_source
from towpath.workbench.file_origin import FileOrigin


@pytest.mark.parametrize("held", [True, False], ids=["the application has it open", "nobody has it open"])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_our_own_transaction_is_no_write_of_somebody_else(tmp_path: Path, mode: str, held: bool) -> None:
    path = tmp_path / "s.sqlite"
    application = apsw.Connection(str(path))
    application.pragma("journal_mode", mode)
    application.execute("CREATE TABLE t (a)")
    if not held:
        application.close()
    with closing(open_source(path, closed_cleanly=True)) as reader:
        origin: Any = SimpleNamespace(connection=reader, path=path)
        since = FileOrigin.version(origin)
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as ours:
            ours.execute("BEGIN IMMEDIATE")
            assert FileOrigin.version(origin) == since
            ours.execute("ROLLBACK")
        with closing(apsw.Connection(str(path))) as writer:
            writer.execute("INSERT INTO t VALUES (1)")
        assert FileOrigin.version(origin) != since
    application.close()
