"""Bad input, phase by phase: the run stops, says in one line what to do, and the target stays as it was.

What each rule looks for is proved in tests/unit; here real notebooks meet real input that nobody should move.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
import yaml
from helpers.attempts import Attempt, Did, commands, tried
from helpers.carry import make_source
from helpers.ports import free_port
from helpers.project import Project
from helpers.tiny import tiny

from towpath.local.runtime import API, S3

Fingerprint = tuple[dict[str, int], dict[str, bytes]]
TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a')"
DAC_OVERRIDE, DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24  # linux/capability.h, linux/prctl.h


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A tiny application, which would move well, and an empty target."""
    with tiny(tmp_path_factory.mktemp("bad") / "tiny") as made:
        yield made


@dataclass
class Held(Attempt):
    """An attempt, and what the target held before and after it."""

    before: Fingerprint
    after: Fingerprint

    def stops(self, code: int, *words: str) -> str:
        """Assert that it ended so, in one line with these words and a next step, and changed nothing; the line."""
        assert self.after == self.before, "the target is not what it was"
        return super().stops(code, *words)

    def check(self, code: str) -> dict[str, Any]:
        """The one failed check of that code."""
        (found,) = [check for (one, _), check in self.failed().items() if one == code]
        assert "\n" not in found["next"] + found["found"]
        return found


Try = Callable[..., Held]


def held(project: Project, do: Callable[[], Did]) -> Held:
    before = project.fingerprint()
    made = tried(project, do)
    return Held(made.code, made.said, made.results, before, project.fingerprint())


@pytest.fixture
def attempt(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Try]:
    """Run phases with some params changed, in this process; the params are put back at the end."""
    with commands(project, monkeypatch, capsys) as run:
        yield lambda *phases, **changed: held(project, lambda: run(*phases, **changed))


# -- a source that cannot be read in full


@contextmanager
def another_kind(path: Path) -> Iterator[None]:
    path.write_bytes(b"-- a dump, not a database\nCREATE TABLE t (id);\n" * 50)
    yield


@contextmanager
def truncated(path: Path) -> Iterator[None]:
    make_source(path, TABLE + ";" + "INSERT INTO t (body) VALUES (hex(zeroblob(3000)));" * 9).close()
    path.write_bytes(path.read_bytes()[:-4096])
    yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(make_source(path, TABLE)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def without_wal(path: Path) -> Iterator[None]:
    live = path.with_name("live.sqlite")
    with closing(make_source(live, "PRAGMA journal_mode = WAL; " + TABLE)):
        shutil.copy(live, path)
        yield


@contextmanager
def no_tables(path: Path) -> Iterator[None]:
    make_source(path, "CREATE TABLE t (id); DROP TABLE t").close()
    yield


SOURCES = {
    "not a SQLite file": (another_kind, "is not a SQLite file"),
    "a truncated one": (truncated, "cut short"),
    "locked by a writer": (locked, "locked"),
    "missing -wal": (without_wal, "bad.sqlite-wal is not there"),
    "zero tables": (no_tables, "zero tables"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_cannot_be_read(name: str, project: Project, attempt: Try) -> None:
    make, words = SOURCES[name]
    path = project.data / "bad.sqlite"
    path.unlink(missing_ok=True)
    with make(path):
        made = attempt("01-inventory", "02-schema", source_database="build/tiny/bad.sqlite")
    made.stops(2, "build/tiny/bad.sqlite: ", words, "Next: ")
    assert made.verdicts() == {"01-inventory": "INCOMPLETE"}


# -- declarations, values and files that D1 and R2 do not take

LONG = "/".join(["d" * 250] * 4) + "/" + "f" * 21
NFD = unicodedata.normalize("NFD", "straße-é.md")
WIDE = f"CREATE TABLE wide ({', '.join(f'c{number}' for number in range(101))});"
DECLARED = """
CREATE TABLE heavy (id INTEGER PRIMARY KEY, body BLOB);
INSERT INTO heavy VALUES (1, zeroblob(1999000)), (2, zeroblob(2000001));
CREATE TABLE "two words" (id INTEGER PRIMARY KEY, "it's" TEXT, "a ""quoted"" name" TEXT, "select" TEXT, "" TEXT);
CREATE TABLE "order" (id INTEGER PRIMARY KEY, "from" TEXT);
CREATE TABLE _cf_things (id INTEGER PRIMARY KEY);
CREATE TABLE attachments (id INTEGER PRIMARY KEY, storage_key TEXT);
"""
FINDINGS = {
    "a table with 101 columns": ("TB101", "wide"),
    "a row over 2,000,000 bytes": ("TB102", "heavy"),
    "identifiers with quotes, spaces, keywords, an empty name": ("TB104", 'two words.""'),
    "names _cf_*": ("TB103", "_cf_things"),
    "an attachment unreadable": ("OB101", "attachments/denied"),
    "a symlink out of the root": ("OB103", "attachments/out"),
    "a name over 1,024 bytes": ("OB108", f"attachments/{LONG}"),
    "two names equal after NFC": ("OB110", f"attachments/{unicodedata.normalize('NFC', NFD)}"),
}


@pytest.fixture(scope="module")
def inventory(project: Project) -> Held:
    """01-inventory over a source and a folder in which all of this stands, and no decision about any of it."""
    kept = {path: path.read_text(encoding="utf-8") for path in (project.params_file, project.runbook("mapping.yaml"))}
    waivers = project.runbook("waivers.yaml")
    kept[waivers] = waivers.read_text(encoding="utf-8")
    make_source(project.data / "declared.sqlite", WIDE + DECLARED).close()
    files = project.data / "bad" / "attachments"
    (files / LONG).parent.mkdir(parents=True)
    for name in ("denied", LONG, NFD, unicodedata.normalize("NFC", NFD)):
        (files / name).write_bytes(b"content")
    (files / "denied").chmod(0)
    (files / "out").symlink_to("/etc/hostname")
    mapping = yaml.safe_load(kept[project.runbook("mapping.yaml")])
    project.runbook("mapping.yaml").write_text(yaml.safe_dump({**mapping, "decisions": []}), encoding="utf-8")
    waivers.write_text("[]\n", encoding="utf-8")
    project.change_params(source_database="build/tiny/declared.sqlite", source_files="build/tiny/bad")
    try:
        return held(project, lambda: _as_anybody(project, "01-inventory", "02-schema"))
    finally:
        for path, text in kept.items():
            path.write_text(text, encoding="utf-8")


def _as_anybody(project: Project, *phases: str) -> Did:
    """`towpath run` by a user who may not read everything: root may, as in many CI images, until it gives that up."""

    def give_up() -> None:
        for capability in (DAC_OVERRIDE, DAC_READ_SEARCH) if os.geteuid() == 0 else ():
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    libc = ctypes.CDLL(None)
    words = project.words("run", "tiny", "--env", "local", *(word for phase in phases for word in ("--phase", phase)))
    done = project.do(*words, preexec_fn=give_up)
    return done.code, done.text


@pytest.mark.parametrize("name", FINDINGS)
def test_what_the_target_does_not_take_is_named_by_the_inventory(name: str, inventory: Held) -> None:
    code, object = FINDINGS[name]
    inventory.stops(1, "01-inventory: 9 checks failed")
    assert inventory.check(code)["object"] == object
    assert inventory.verdicts() == {"01-inventory": "FAIL"}, "02-schema did not begin"


def test_nothing_else_is_named_by_the_inventory(inventory: Held) -> None:
    """Names with quotes, spaces and keywords move as they are; a row just under the limit does."""
    checks = inventory.results["01-inventory"]["checks"]
    failed = {(check["code"], check["object"]) for check in checks if check["verdict"] == "FAIL"}
    unreferenced = {("OB202", "attachments/")}
    assert failed - unreferenced == set(FINDINGS.values())


# -- a target that is not there, not ours, or not the one that was looked at


def test_a_bucket_that_is_missing(attempt: Try) -> None:
    made = attempt("00-ready", "01-inventory", r2_bucket="nobody-made-it")
    made.stops(1, "RD007", "nobody-made-it")
    assert made.check("RD007")["next"]
    assert made.verdicts() == {"00-ready": "FAIL"}


def test_credentials_that_are_wrong(project: Project, attempt: Try) -> None:
    wrong = project.root / "build" / "wrong-key"
    wrong.write_text("not-the-key-of-this-bucket\n", encoding="utf-8")
    made = attempt("00-ready", "01-inventory", r2_secret_key="file:build/wrong-key")
    made.stops(1, "RD007")
    assert "not-the-key" not in json.dumps(made.results) + made.said
    assert made.verdicts() == {"00-ready": "FAIL"}


def test_a_runtime_that_is_not_up(attempt: Try) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    made = attempt("00-ready", "01-inventory", cloudflare_api=f"{base}{API}", r2_endpoint=f"{base}{S3}")
    made.stops(1, "RD006")
    assert "towpath local up" in made.check("RD006")["next"]
    assert made.check("RD007")["next"]
    assert made.verdicts() == {"00-ready": "FAIL"}


def test_a_target_that_is_not_empty(project: Project, attempt: Try) -> None:
    project.target("CREATE TABLE somebodys (id INTEGER PRIMARY KEY)")
    try:
        made = attempt("01-inventory", "02-schema")
    finally:
        project.target("DROP TABLE somebodys")
    made.stops(2, "the target is not empty: 1 tables (somebodys, …)", "name an empty database in d1_database_id")
    assert made.before[0] == {"somebodys": 0}
    assert made.verdicts() == {"01-inventory": "PASS", "02-schema": "INCOMPLETE"}


def test_a_target_that_is_not_the_one_approved(attempt: Try) -> None:
    approved = "d1:local/another r2:tiny-attachments another: 0 tables, 0 rows; 0 objects"
    made = attempt("01-inventory", "02-schema", approved_target=approved)
    made.stops(3, "PL012", "approved_target says", "d1:local/tiny-local", "look at the target before you approve it")
    assert made.verdicts() == {"01-inventory": "PASS", "02-schema": "INCOMPLETE"}


# -- a disk that takes no more


def test_a_disk_that_is_full_in_the_export(project: Project, attempt: Try) -> None:
    """A quota: no process of this run may write a file as large as the copy of the source."""
    database = "build/tiny/large.sqlite"
    shutil.copy(project.database, project.root / database)
    with closing(apsw.Connection(str(project.root / database))) as db:
        db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                   " INSERT INTO readings SELECT i, hex(randomblob(1500)) FROM n")  # fmt: skip
    changed = {"source_database": database, "d1_database_id": "tiny-disk"}
    assert attempt("01-inventory", "02-schema", **changed).code == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, hard))
    try:
        made = attempt("03-export", "04-import", **changed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    made.stops(2, "the disk is full or cannot be written", "free space for a copy of the source")
    assert made.verdicts() == {"03-export": "INCOMPLETE"}
    assert made.before[0]["tasks"] == 0
    assert not list((project.folder / "snapshot").iterdir())
    again = attempt("03-export", **changed)
    assert again.code == 0, "with room, the same phase passes"
