"""What a place can do, and a place that is a folder: a disk that several machines share, or that is backed up.

Names are paths with forward slashes.  Nothing under a name is ever overwritten: a second `create` is told so.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from towpath.errors import CannotFinish, WrongUse

PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file that goes to a place: its name there, the folder that holds it, its path in that folder, its SHA-256."""

    name: str
    folder: Path
    path: str
    sha256: str


class Store(Protocol):
    """A place.  Every method raises CannotFinish when the place cannot be used."""

    @property
    def address(self) -> str:
        """What people call it: s3://bucket/prefix, or a folder."""

    def names(self, beginning: str) -> Iterator[tuple[str, int]]:
        """Every name that begins so, in order, with its size in bytes."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file under a name that nobody has; False, with nothing written, where somebody has it."""

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""

    def send(self, files: Sequence[Outgoing]) -> int:
        """Bring files under names that hold them already or that nobody has; how many were not there."""

    def fetch(self, name: str, sha256: str, target: Path) -> None:
        """Write the file under a name to `target`, which must not be there.  Raises CannotFinish for other bytes."""

    def remove(self, name: str) -> None:
        """Remove what is under a name, if anything is."""


class FolderStore:
    """A place in a folder of this machine.  Files appear whole, by a second link to a finished one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    def names(self, beginning: str) -> Iterator[tuple[str, int]]:
        """Every file whose path begins so."""
        top = self._folder / beginning.rpartition("/")[0]
        found = []
        for home, _, files in os.walk(top):
            for file in files:
                path = Path(home, file)
                name = path.relative_to(self._folder).as_posix()
                if name.startswith(beginning) and not file.endswith(".tmp"):
                    found.append((name, path.stat().st_size))
        yield from sorted(found)

    def create(self, name: str, data: bytes) -> bool:
        """Write, sync, link."""
        path = self._at(name)
        temporary = self._temporary(path)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._stop(error, name) from None
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes | None:
        """Its bytes."""
        try:
            return self._at(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._stop(error, name) from None

    def send(self, files: Sequence[Outgoing]) -> int:
        """Copy each, unless it is there; a file that is there is read, and must be the very one."""
        sent = 0
        for one in files:
            path = self._at(one.name)
            if path.exists():
                if _digest(path) != one.sha256:
                    raise changed(self.address, one.name)
                continue
            temporary = self._temporary(path)
            try:
                if copy(one.folder / one.path, temporary) != one.sha256:
                    raise CannotFinish("changed while it was copied", object=one.path, next="copy the record again")
                os.link(temporary, path)
                sent += 1
            except FileExistsError:
                pass  # another copy of the same run was faster: the name holds its digest
            except OSError as error:
                raise self._stop(error, one.name) from None
            finally:
                temporary.unlink(missing_ok=True)
        return sent

    def fetch(self, name: str, sha256: str, target: Path) -> None:
        """Copy it, and compare."""
        try:
            found = copy(self._at(name), target)
        except OSError as error:
            raise self._stop(error, name) from None
        if found != sha256:
            target.unlink()
            raise changed(self.address, name)

    def remove(self, name: str) -> None:
        """Remove the file, and folders that are empty then."""
        path = self._at(name)
        try:
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self._folder or any(folder.iterdir()):
                    break
                folder.rmdir()
        except OSError as error:
            raise self._stop(error, name) from None

    def _at(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise WrongUse("leads out of the place", object=name, next="look who wrote that state")
        return self._folder / name

    def _temporary(self, path: Path) -> Path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._stop(error, path.name) from None
        return path.with_name(f".{secrets.token_hex(8)}.tmp")

    def _stop(self, error: OSError, name: str) -> CannotFinish:
        reason = (error.strerror or type(error).__name__).lower()
        step = "make the folder readable and writable, then repeat: what is there already stays"
        return CannotFinish(f"cannot be used: {reason}", object=f"{self.address}, {name}", next=step)


def copy(source: Path, target: Path) -> str:
    """Copy a file to a name that is not there, synced, and return the SHA-256 of its bytes.  Raises OSError."""
    sha256 = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while piece := reading.read(PIECE):
            sha256.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    return sha256.hexdigest()


def changed(address: str, name: str) -> CannotFinish:
    """A file of a place is not the one that was kept."""
    step = "somebody changed the place: restore the object from a backup, or keep the run again at another place"
    return CannotFinish("holds other bytes than its name says", object=f"{address}, {name}", next=step)


def _digest(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            sha256.update(piece)
    return sha256.hexdigest()
