"""Files of a record: written whole or not at all, hashed in pieces, read with errors that say which file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from towpath.errors import BadInput, CannotFinish
from towpath.secrets import scrub

PIECE = 1 << 20  # bytes
TEMPORARY = re.compile(r"(^|/)\.[^/]+\.[0-9a-f]{8}\.tmp$")  # what a kill leaves of a file that was being written


def write_text(path: Path, text: str) -> None:
    """Write the file as UTF-8, whole or not at all, without the secrets that are known.  Raises CannotFinish."""
    write_bytes(path, scrub(text).encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write the file by temp, fsync and rename, so that a reader and a crash see the old file or the new one.

    Raises CannotFinish when the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or type(error).__name__
        raise CannotFinish(f"cannot be written: {reason}", object=str(path), next="make room and start again") from None


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON for people and machines: indented, keys in the given order, no infinities."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.  Raises BadInput naming the file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(
            "the file is missing", object=str(path), next="look who removed it, or run the phase again"
        ) from None
    except (OSError, ValueError, RecursionError):
        raise BadInput("is not readable as JSON", object=str(path), next="run the phase again") from None


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a file, read in pieces of 1 MiB.  Raises OSError."""
    sha, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            sha.update(piece)
            size += len(piece)
    return sha.hexdigest(), size


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
