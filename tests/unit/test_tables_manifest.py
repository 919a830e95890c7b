"""Manifest and chunks: what is cut or changed after it was written is told in one line, and nothing of it is sent."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.carry import CLAIM, make_source, prepare
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.tables import load, target
from towpath.tables.manifest import (
    NAME,
    Chunk,
    ChunkWriter,
    Manifest,
    Page,
    TableEntry,
    read_chunk,
    read_manifest,
    statements,
)

SCRIPT = """
CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT, score REAL);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO t SELECT i, hex(i * 7919) || ' it''s ' || i, i / 3.0 FROM n;
"""

NAMES = st.text(min_size=0, max_size=8)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
COUNTS = st.integers(0, 2**63 - 1)
BOUNDS = st.none() | NAMES
PAGES = st.builds(Page, BOUNDS, BOUNDS, COUNTS, COUNTS, st.sampled_from(["text", "hex", "cells"]), DIGESTS, DIGESTS)
TABLES = st.builds(
    TableEntry,
    NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
    st.lists(NAMES, max_size=2).map(tuple),
    st.booleans(),
    COUNTS,
    st.lists(NAMES, max_size=2).map(tuple),
    st.lists(PAGES, max_size=3).map(tuple),
)
FILES = st.sampled_from(["000.chunks", "links-001.chunks", "together.chunks"])
CHUNKS = st.builds(Chunk, NAMES, NAMES, NAMES, COUNTS, FILES, COUNTS, COUNTS, COUNTS, DIGESTS)
MANIFESTS = st.builds(
    Manifest,
    NAMES,
    NAMES,
    DIGESTS,
    DIGESTS,
    st.dictionaries(NAMES, st.none() | st.booleans() | COUNTS | NAMES, max_size=3),
    st.lists(TABLES, max_size=3).map(tuple),
    st.lists(CHUNKS, max_size=3).map(tuple),
    st.dictionaries(NAMES, COUNTS, max_size=2),
    st.dictionaries(NAMES, COUNTS, max_size=2),
)


@given(made=MANIFESTS)
@settings(deadline=None, max_examples=60)
def test_a_manifest_survives_its_file(made: Manifest, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("m")
    made.write(folder)
    assert read_manifest(folder) == made
    assert [p.name for p in folder.iterdir()] == [NAME]


@pytest.fixture
def snapshot(tmp_path: Path) -> tuple[Path, Manifest]:
    make_source(tmp_path / "s.sqlite", SCRIPT).close()
    exporter, made = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    exporter.close()
    return tmp_path / "run", made


def refusal(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_manifest(folder)
    assert "\n" not in caught.value.line
    assert "03-export again" in caught.value.next
    return caught.value.line


def test_a_snapshot_without_a_manifest_did_not_come_to_its_end(snapshot: tuple[Path, Manifest]) -> None:
    (snapshot[0] / NAME).unlink()
    assert "did not come to its end" in refusal(snapshot[0])


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1, -2])
def test_a_cut_manifest(snapshot: tuple[Path, Manifest], kept: float) -> None:
    path = snapshot[0] / NAME
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else int(kept)])
    assert "damaged" in refusal(snapshot[0])


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"null", b'"x"', b'{"format": 2}', b'{"format": 1}', b'{"format": 1, "tables": [1]}']
)
def test_another_file_in_its_place(snapshot: tuple[Path, Manifest], content: bytes) -> None:
    (snapshot[0] / NAME).write_bytes(content)
    assert "manifest" in refusal(snapshot[0])


def test_no_byte_of_a_manifest_that_means_something_changes_unseen(snapshot: tuple[Path, Manifest]) -> None:
    folder, made = snapshot
    content = (folder / NAME).read_bytes()
    seeded = random.Random(5)
    seen: list[str] = []
    for place in [*range(0, len(content), 7), *range(40)]:
        changed = bytearray(content)
        changed[place] ^= 1 << seeded.randrange(8)
        (folder / NAME).write_bytes(bytes(changed))
        try:
            assert read_manifest(folder) == made  # white space between the values
        except BadInput as error:
            seen.append(error.line)
    assert len(seen) > len(content) // 14
    assert not any("\n" in line for line in seen)


def test_every_changed_or_missing_byte_of_a_chunk_is_seen(snapshot: tuple[Path, Manifest]) -> None:
    folder, made = snapshot
    (chunk,) = made.chunks
    path = folder / chunk.file
    content, body = path.read_bytes(), read_chunk(folder, chunk)
    seen: list[str] = []
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(changed))
        try:
            assert read_chunk(folder, chunk) == body  # a bit that the decompressor does not read
        except BadInput as error:
            seen.append(error.line)
    assert len(seen) > len(content) * 0.95
    assert all(chunk.id in line and "\n" not in line for line in seen)
    for kept in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(BadInput, match="nothing of this chunk was sent"):
            read_chunk(folder, chunk)
    path.unlink()
    with pytest.raises(BadInput, match="No such file"):
        read_chunk(folder, chunk)


def test_a_frame_that_promises_a_terabyte_is_not_believed(snapshot: tuple[Path, Manifest]) -> None:
    folder, made = snapshot
    (chunk,) = made.chunks
    frame = b"\x28\xb5\x2f\xfd" + bytes([0b11100000]) + (1 << 40).to_bytes(8, "little") + bytes([1, 0, 0])
    (folder / chunk.file).write_bytes(frame)
    with pytest.raises(BadInput, match="nothing of this chunk was sent"):
        read_chunk(folder, replace(chunk, bytes=len(frame)))


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "swapped"])
def test_of_a_damaged_chunk_nothing_is_sent(d1: D1, snapshot: tuple[Path, Manifest], damage: str) -> None:
    folder, made = snapshot
    (chunk,) = made.chunks
    path = folder / chunk.file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    if damage == "gone":
        path.unlink()
    elif damage == "swapped":  # a sound chunk of other rows in the same place
        ChunkWriter(folder, "x").append("other", "t", "rows", 1, ChunkWriter(folder, "x").pack([b'{"sql":"SELECT 1"}']))
        path.write_bytes((folder / "other").read_bytes())
    else:
        path.write_bytes(bytes(content) if damage == "flip" else bytes(content[:-9]))
    target.apply_migration(d1, "0001.sql", ["CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT, score REAL)"], CLAIM)
    with pytest.raises(BadInput) as caught:
        load.load(d1, folder, made)
    assert "\n" not in caught.value.line
    assert d1.query("SELECT count(*) FROM t").rows == [[0]]
    assert not target.receipts(d1, made.id)


@pytest.mark.parametrize("file", ["../000.chunks", "/etc/passwd", "a/b", "..", ""])
def test_a_chunk_lies_in_its_own_folder(snapshot: tuple[Path, Manifest], file: str) -> None:
    folder, made = snapshot
    replace(made, chunks=(replace(made.chunks[0], file=file),)).write(folder)
    assert "damaged" in refusal(folder)


def test_statements_of_a_chunk_can_be_read_by_people(snapshot: tuple[Path, Manifest]) -> None:
    folder, made = snapshot
    (found,) = statements(read_chunk(folder, made.chunks[0]))
    assert found[0].startswith('INSERT INTO "t" ("id", "body", "score") VALUES\n(1,')
    assert found[1] == []


def test_exporting_again_leaves_nothing_of_the_first_time(tmp_path: Path) -> None:
    db = make_source(tmp_path / "s.sqlite", SCRIPT)
    first, made = prepare(tmp_path / "s.sqlite", tmp_path / "run")
    (tmp_path / "run" / "007.chunks").write_bytes(b"of an attempt that was cut")
    again = first.export("plan", {})
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["000.chunks", NAME, "snapshot.sqlite"]
    assert [c.sha256 for c in again.chunks] == [c.sha256 for c in made.chunks]
    assert (tmp_path / "run" / "000.chunks").stat().st_size == sum(c.bytes for c in again.chunks)
    first.close()
    db.close()
