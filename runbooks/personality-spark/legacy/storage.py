"""Share cards on disk: `shares/<id>.png` under the data folder."""

from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path
from random import Random

from .settings import CDN

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 82  # pixels; uncompressed, so that a card has about 20 KB like the real ones


def card_path(card_id: uuid.UUID | str) -> str:
    """The path that a row keeps, relative to the data folder."""
    return f"shares/{card_id}.png"


def card_url(card_id: uuid.UUID | str) -> str:
    """The address that people share; it stands in rows, and inside the JSON of results."""
    return f"{CDN}{card_path(card_id)}"


def located(data: Path, path: str) -> Path:
    """The file of a path.  Raises ValueError for one that leaves the folder of the cards."""
    root = (data / "shares").resolve()
    found = (data / path).resolve()
    if not found.is_relative_to(root):
        raise ValueError(f"path outside shares: {path!r}")
    return found


def draw_card(seed: str, side: int = SIDE) -> bytes:
    """A PNG of coloured dots that follows from `seed`."""
    return png(side, Random(f"card:{seed}").randbytes(side * side * 3))


def png(side: int, pixels: bytes) -> bytes:
    """A square PNG of RGB pixels, stored without compression."""
    rows = b"".join(b"\0" + pixels[at : at + side * 3] for at in range(0, len(pixels), side * 3))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 0)) + _chunk(b"IEND", b"")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
