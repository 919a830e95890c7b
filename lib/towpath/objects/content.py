"""What a file holds, from one reading: size, SHA-256, MD5, the ETag that R2 will give it, content type.

R2's ETag is the MD5 of an object sent in one piece, and the MD5 of the parts' MD5s plus their number for one sent in
parts (developers.cloudflare.com/r2/objects/multipart-objects; the same in the local runtime, measured).
"""

from __future__ import annotations

import errno
import hashlib
import io
import mimetypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 1 << 20
SINGLE = 100 << 20  # larger files are sent in parts
PART = 16 << 20
PARTS = 10_000  # R2 takes no more parts for one object

UNKNOWN = "application/octet-stream"
# Content decides for what browsers show or run by type; for containers (zip is also docx, epub, jar) the name does.
_SURE = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_ARCHIVES = ((b"PK\x03\x04", "application/zip"), (b"PK\x05\x06", "application/zip"), (b"\x1f\x8b", "application/gzip"))
_ENCODED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz", "br": UNKNOWN}
# An instance reads no file of the machine, so the answer is the same everywhere; newer types Python 3.11 lacks.
_TYPES = mimetypes.MimeTypes()
for _extension, _type in (
    (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (".md", "text/markdown"),
    (".webp", "image/webp"),
    (".avif", "image/avif"),
    (".heic", "image/heic"),
    (".yaml", "application/yaml"),
    (".yml", "application/yaml"),
    (".7z", "application/x-7z-compressed"),
    (".m4a", "audio/mp4"),
    (".ogg", "audio/ogg"),
    (".woff2", "font/woff2"),
):
    _TYPES.add_type(_type, _extension)


class ChangedWhileReadError(Exception):
    """The file was written, replaced or cut while it was read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the file system says of a file, and says otherwise once it was written, replaced or moved."""

    inode: str  # with its device, as text: some file systems give numbers that a database's integers cannot hold
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Mark:
        """The mark of a file with this status."""
        return cls(f"{status.st_dev}:{status.st_ino}", status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Content:
    """What one reading found.  Digests are lower-case hex; `part_size` in bytes, None when sent in one piece.

    `mark` is that of the file while it was read.
    """

    size: int
    sha256: str
    md5: str
    etag: str
    part_size: int | None
    content_type: str
    mark: Mark


def part_size(size: int) -> int | None:
    """Bytes of each part (the last may be shorter) of an object of `size` bytes; None for one piece."""
    if size <= SINGLE:
        return None
    part = PART
    while part * PARTS < size:
        part *= 2
    return part


def content_type(name: str, head: bytes) -> str:
    """The content type by the first bytes where they are sure, else by the name's extension."""
    for magic, kind in _SURE:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    guessed, encoding = _TYPES.guess_type("x/" + name.rpartition("/")[2], strict=False)
    if encoding:
        return _ENCODED.get(encoding, UNKNOWN)
    if guessed:
        return guessed
    return next((kind for magic, kind in _ARCHIVES if head.startswith(magic)), UNKNOWN)


def opened(root: bytes, path: bytes) -> int:
    """A file descriptor for reading `path` below `root`.  Raises OSError, PermissionError where links lead out of it.

    Never waits for a pipe that took a file's place, and follows no link that appeared after the check.
    """
    top = os.path.realpath(root)
    real = os.path.realpath(top + b"/" + path)
    if not below(real, top):
        raise PermissionError(errno.EACCES, "leads out of the root", os.fsdecode(path))
    return os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)


def below(path: bytes, directory: bytes) -> bool:
    """True for the directory itself and everything in it; both already resolved."""
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def blocks(descriptor: int, start: int, length: int) -> Iterator[bytes]:
    """`length` bytes from `start` in blocks; fewer only if the file is shorter."""
    while length > 0:
        block = os.pread(descriptor, min(BLOCK, length), start)
        if not block:
            return
        yield block
        start += len(block)
        length -= len(block)


def read(root: bytes, path: bytes, known: Content | None = None) -> Content:
    """Read a file below `root` once, in constant memory.  Raises OSError, or ChangedWhileReadError.

    A file that still has the mark of `known` is opened and not read: `known` itself is returned.
    """
    descriptor = opened(root, path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ChangedWhileReadError
        before = Mark.of(status)
        if known is not None and known.mark == before:
            return known
        size, part = before.size, part_size(before.size)
        sha256, md5, parts = hashlib.sha256(), hashlib.md5(usedforsecurity=False), b""
        head, done, step = b"", 0, part or size
        while done < size:
            piece, until = hashlib.md5(usedforsecurity=False), min(done + step, size)
            for block in blocks(descriptor, done, until - done):
                head = head or block[:16]
                sha256.update(block)
                md5.update(block)
                if part:
                    piece.update(block)
                done += len(block)
            parts += piece.digest()
            if done < until:
                raise ChangedWhileReadError
        after = Mark.of(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if before != after:
        raise ChangedWhileReadError
    digest = md5.hexdigest()
    etag = f"{hashlib.md5(parts, usedforsecurity=False).hexdigest()}-{len(parts) // 16}" if part else digest
    kind = content_type(os.fsdecode(path), head)
    return Content(size, sha256.hexdigest(), digest, etag, part, kind, before)


class Slice(io.RawIOBase):
    """A part of an open file as a stream of its own, so that large bodies are sent without being held."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        super().__init__()
        self._descriptor, self._start, self._length, self._at = descriptor, start, length, 0

    def readable(self) -> bool:
        """Always: it is there to be read."""
        return True

    def seekable(self) -> bool:
        """Always: a request that is sent again starts over."""
        return True

    def tell(self) -> int:
        """The position within the part, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the part; never before its beginning."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the part; 0 at its end, or where the file was cut."""
        wanted = min(len(buffer), self._length - self._at)
        block = os.pread(self._descriptor, wanted, self._start + self._at) if wanted > 0 else b""
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)
