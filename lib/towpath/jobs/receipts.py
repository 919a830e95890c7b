"""What the queue has accepted: a file of JSON lines beside the manifest, one line for each request.

A line is on disk before the next request leaves.  A process that is killed between a request and its line sends those
jobs again, which the consumer ignores.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import orjson

from towpath.errors import BadInput
from towpath.jobs.manifest import Manifest

SUFFIX = ".receipts"


class Receipts:
    """The receipts of one manifest.  Raises BadInput when they are those of another, or another Worker's."""

    def __init__(self, manifest: Manifest, url: str) -> None:
        self.path = manifest.file.with_name(manifest.file.name + SUFFIX)
        self.accepted: set[str] = set()
        head = {"kind": "towpath job receipts", "manifest": manifest.digest, "worker": url}
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.is_file() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole:
            try:
                there, *accepted = [orjson.loads(line) for line in whole]
                self.accepted.update(id for line in accepted for id in line["ids"])
            except (ValueError, KeyError, TypeError) as error:
                raise self._wrong("cannot be read") from error
            if there != head:
                raise self._wrong("belongs to another export or another Worker")
        if len(whole) < len(lines):
            os.truncate(self.path, sum(map(len, whole)))  # a line that a crash cut: those jobs are sent again
        if not whole:
            self._append(head)

    def add(self, ids: Sequence[str]) -> None:
        """These jobs were accepted."""
        self._append({"ids": list(ids)})
        self.accepted.update(ids)

    def _append(self, line: object) -> None:
        with self.path.open("ab") as stream:
            stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            stream.flush()
            os.fsync(stream.fileno())

    def _wrong(self, what: str) -> BadInput:
        return BadInput(what, object=str(self.path), next="remove it: every job is sent again, and kept once")
