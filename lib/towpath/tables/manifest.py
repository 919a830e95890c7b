"""The manifest of a snapshot: every chunk and every page of it, with what proves them.

A *chunk* is what is sent: statements that are ready to go, compressed, in one file a table.  A *page* is what is
proved: a range of keys with the digest of its canonical text.  The manifest is one JSON file, written last, so that a
snapshot without a manifest is a snapshot that did not come to its end.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import zstandard

from towpath.errors import BadInput

FORMAT = 1
NAME = "manifest.json"
FILE = re.compile(r"[a-z0-9-]+\.chunks")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Statements that travel in one transaction; `size` and `sha256` are of the uncompressed items."""

    id: str  # unique in the snapshot; the receipt carries it
    table: str
    kind: str  # rows, links (references set afterwards), delta
    rows: int
    file: str
    offset: int
    bytes: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Page:
    """A range low < key <= high (SQL literals; None is the open end) and the digest of what it holds."""

    low: str | None
    high: str | None
    rows: int
    bytes: int
    form: str  # how the target is asked: text, hex, cells (one row too long for one answer)
    text: str
    reals: str


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One table of the snapshot."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    carries_rowid: bool
    rows: int
    reals: tuple[str, ...]  # columns in which the snapshot holds a real
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole snapshot: tables in load order, chunks in the order in which they are sent."""

    id: str
    created: str  # UTC, ISO 8601
    schema: str  # digest of the source's schema
    plan: str  # hash of the plan it was made under
    source: dict[str, Any]
    tables: tuple[TableEntry, ...]
    chunks: tuple[Chunk, ...]
    sequences: dict[str, int]
    parked: dict[str, int] = field(default_factory=dict)  # table -> rows kept back
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def cells(self) -> int:
        """Cells of all rows."""
        return sum(table.rows * len(table.columns) for table in self.tables)

    def table(self, name: str) -> TableEntry:
        """The entry of a table.  Raises KeyError."""
        return next(t for t in self.tables if t.name == name)

    def write(self, folder: Path) -> Path:
        """Write the manifest, whole or not at all."""
        path = folder / NAME
        draft = path.with_suffix(".tmp")
        with draft.open("wb") as file:
            content = asdict(self)
            whole = {"sha256": _digest(content), **content}
            file.write(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return path


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest.  Raises BadInput when it is missing, cut, changed since it was written, or of another format."""
    path = folder / NAME
    again = "run 03-export again"
    try:
        data = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(
            "the snapshot has no manifest: it did not come to its end", object=path.name, next=again
        ) from None
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the manifest is damaged: {error}", object=path.name, next=again) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadInput("the manifest is of another format", object=path.name, next=again)
    if data.pop("sha256", None) != _digest(data):
        raise BadInput("the manifest is not what was written: it was changed", object=path.name, next=again)
    try:
        data["tables"] = tuple(
            TableEntry(
                **{
                    **entry,
                    "columns": tuple(entry["columns"]),
                    "key": tuple(entry["key"]),
                    "reals": tuple(entry["reals"]),
                    "pages": tuple(Page(**page) for page in entry["pages"]),
                }
            )
            for entry in data["tables"]
        )
        data["chunks"] = tuple(Chunk(**chunk) for chunk in data["chunks"])
        if strange := [chunk.file for chunk in data["chunks"] if not FILE.fullmatch(chunk.file)]:
            raise ValueError(f"{strange[0]!r} is not the name of a file beside it")
        return Manifest(**data)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the manifest is damaged: {error}", object=path.name, next=again) from None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


class ChunkWriter:
    """Appends chunks to the files of a snapshot folder."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix
        self.chunks: list[Chunk] = []

    def pack(self, items: list[bytes]) -> tuple[bytes, int, str]:
        """Compress one chunk: (compressed, size, sha256).  Safe to call from several threads."""
        body = b",".join(items)
        return zstandard.ZstdCompressor(level=1).compress(body), len(body), hashlib.sha256(body).hexdigest()

    def append(self, file: str, table: str, kind: str, rows: int, packed: tuple[bytes, int, str]) -> Chunk:
        """Write a packed chunk at the end of `file`."""
        data, size, sha256 = packed
        with (self.folder / file).open("ab") as out:
            offset = out.tell()
            out.write(data)
        number = len(self.chunks)
        chunk = Chunk(f"{self.prefix}/{number:06d}", table, kind, rows, file, offset, len(data), size, sha256)
        self.chunks.append(chunk)
        return chunk


def read_chunk(folder: Path, chunk: Chunk) -> bytes:
    """The statements of a chunk as JSON items joined by commas, ready for the body of a request.

    Raises BadInput when the file is missing, cut or changed since it was written.
    """
    try:
        with (folder / chunk.file).open("rb") as file:
            file.seek(chunk.offset)
            # a stream reads no more than it is asked for, whatever a damaged frame promises
            body = zstandard.ZstdDecompressor().stream_reader(file.read(chunk.bytes)).read(chunk.size + 1)
    except (OSError, zstandard.ZstdError) as error:
        body = b""
        problem = str(error)
    else:
        problem = "its content is not what was exported"
    if hashlib.sha256(body).hexdigest() != chunk.sha256:
        raise BadInput(
            f"the chunk cannot be used: {problem}",
            object=f"{chunk.file} {chunk.id} ({chunk.table})",
            next="run 03-export again; nothing of this chunk was sent",
        )
    return body


def statements(body: bytes) -> Iterator[tuple[str, list[str]]]:
    """The statements of a chunk, with the texts bound to them."""
    for item in orjson.loads(b"[" + body + b"]"):
        yield item["sql"], item.get("params", [])
