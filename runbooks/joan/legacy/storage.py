"""Attached files on disk: `attachments/<xx>/<id>-<name>` under the data folder."""

from __future__ import annotations

import re
import uuid
from pathlib import Path, PurePosixPath

LONGEST_NAME = 180  # bytes; file systems stop at 255 with the id in front
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


def safe_name(name: str) -> str:
    """A file name without separators and control characters, shortened in its stem to fit any file system."""
    name = _UNSAFE.sub("_", PurePosixPath(name.replace("\\", "/")).name).strip(" .") or "file"
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > 20:
        stem, suffix = name, ""
    room = LONGEST_NAME - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + (dot + suffix if suffix else "")


def storage_key(attachment_id: uuid.UUID, name: str) -> str:
    """The path that a row keeps, relative to the data folder, with `/` on every system."""
    return f"attachments/{attachment_id.hex[:2]}/{attachment_id}-{safe_name(name)}"


def located(data: Path, key: str) -> Path:
    """The file of a storage key.  Raises ValueError for a key that leaves the attachments folder."""
    root = (data / "attachments").resolve()
    path = (data / key).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"storage key outside attachments: {key!r}")
    return path


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
