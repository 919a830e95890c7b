"""Attached files: their names, types, contents, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from runbooks.joan.legacy import storage
from runbooks.joan.legacy.generator.cast import Cast, Row, moment, new_id
from runbooks.joan.legacy.generator.scales import Scale
from runbooks.joan.legacy.generator.texts import Texts
from runbooks.joan.legacy.planted import STRAY_FILE


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: how it begins tells its type."""

    suffix: str
    mime: str | None
    head: bytes  # empty: a text


KINDS = (
    Kind("png", "image/png", b"\x89PNG\r\n\x1a\n"),
    Kind("jpg", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"),
    Kind("pdf", "application/pdf", b"%PDF-1.7\n"),
    Kind("zip", "application/zip", b"PK\x03\x04"),
    Kind("md", "text/markdown", b""),
    Kind("txt", "text/plain; charset=utf-8", b""),
    Kind("csv", "text/csv", b""),
    Kind("bin", None, b"\x00\x01"),
)
STEMS = (
    "report final (2)",
    "Übersicht größe",
    "отчёт",
    "会議メモ",
    "مستند",
    "plan 100% & more #1",
    "it's + done",
    "photo 📷",
    "résumé",
    "a.b.c",
    "~backup",
    "[draft] {v2} = ok; really, yes!",
)


def file_rows(cast: Cast, scale: Scale) -> list[tuple[int, Row]]:
    """This user's files by number, with their rows; file n belongs to user n modulo the number of users."""
    return [(number, _row(cast, scale, number)) for number in range(cast.index, scale.files, scale.users)]


def _row(cast: Cast, scale: Scale, number: int) -> Row:
    rng = Random(f"{cast.seed}:file row:{number}")
    kind = KINDS[number % len(KINDS)]
    id = new_id(rng)
    name = f"{STEMS[number % len(STEMS)]}.{kind.suffix}"
    to_task = rng.random() < 0.6
    return {
        "id": id,
        "user_id": cast.user,
        "task_id": rng.choice(cast.tasks) if to_task else None,
        "note_id": None if to_task else rng.choice(cast.notes),
        "filename": name,
        "mime_type": kind.mime,
        "storage_key": storage.storage_key(id, name),
        "size": _size(cast.seed, scale, number),
        "created_at": moment(rng),
    }


def _original(number: int) -> int:
    """File 11 is file 3 again, as people attach one file twice."""
    return 3 if number == 11 else number


def _size(seed: int, scale: Scale, number: int) -> int:
    if number == 0:
        return 0
    if number == 1:
        return scale.largest_file
    rng = Random(f"{seed}:file size:{_original(number)}")
    return min(int(rng.expovariate(1 / scale.mean_file)), scale.largest_file)


def content(seed: int, number: int, size: int, texts: Texts) -> bytes:
    """The bytes of a file."""
    kind = KINDS[number % len(KINDS)]
    rng = Random(f"{seed}:file:{_original(number)}")
    if kind.head:
        return (kind.head + rng.randbytes(max(0, size - len(kind.head))))[:size]
    block = texts.markdown(rng, 20).encode()
    return (block * (size // len(block) + 1))[:size]


def write_files(root: Path, seed: int, rows: list[tuple[int, Row]], texts: Texts) -> int:
    """Write the files of these rows under a data folder; returns their bytes."""
    written = 0
    for number, row in rows:
        path = root / row["storage_key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        written += path.write_bytes(content(seed, number, row["size"], texts))
    return written


def write_stray_file(root: Path) -> int:
    """The file that no row names; returns its bytes."""
    path = root / STRAY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(b"upload interrupted at byte 4096\n" * 128)
