"""Which objects were proved by content, and when each had been written: so that the same need not be read twice.

An object of the same key, size and ETag that was not written since holds the same bytes and bears the same headers.
R2's listing tells all three, and is consistent: it shows every write that came before it
(developers.cloudflare.com/r2/reference/consistency).  An object that was written so shortly before it was listed that
a second write could bear the same time is not written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from towpath.errors import BadInput
from towpath.objects.bucket import Listed
from towpath.objects.manifest import Entry, Manifest
from towpath.streams import kept
from towpath.streams.whole import AGAIN

KIND = "towpath objects proved by content"
_TYPES = (str, int, str, str, str, str, str)
Pair = tuple[Entry | None, Listed | None]


@dataclass(frozen=True, slots=True)
class Proved:
    """An object as it was listed when every byte of it was read, and what it was proved to be."""

    key: str
    size: int
    etag: str
    written: str
    sha256: str
    content_type: str
    cache_control: str

    @classmethod
    def of(cls, entry: Entry, listed: Listed) -> Proved:
        """An entry that its object was proved to be equal to."""
        proved = entry.sha256, entry.content_type, entry.cache_control
        return cls(listed.key, listed.size, listed.etag, listed.written, *proved)


@dataclass(frozen=True, slots=True)
class Before:
    """What an earlier proof has read; `by` is what that proof is called."""

    by: str
    kept: kept.Kept

    @property
    def manifest(self) -> str:
        """The digest of the list of objects that it was held against."""
        return self.kept.told["manifest"]

    def beside(self, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, bool]]:
        """Ascending pairs, each with whether the object is still the one that was proved to be this entry."""
        rows = (Proved(*row) for row in self.kept)
        proved = next(rows, None)
        for entry, listed in pairs:
            if entry is None or listed is None:
                yield (entry, listed), False
                continue
            while proved is not None and proved.key < entry.key:
                proved = next(rows, None)
            yield (entry, listed), bool(listed.written) and proved == Proved.of(entry, listed)


def keep_proved(path: Path, bucket: str, manifest: Manifest, prove: Callable[[Callable[[Proved], None]], None]) -> None:
    """Let `prove` tell what it proves.  The file is there only once that has come to its end."""

    def fill(add: kept.Add) -> None:
        prove(lambda proved: add(astuple(proved)))

    kept.keep(path, KIND, {"bucket": bucket, "manifest": manifest.digest}, fill)


def read_proved(path: Path, bucket: str, by: str) -> Before:
    """Open what an earlier proof wrote down of this bucket.

    Raises BadInput when it is missing, damaged or of another bucket.
    """
    found = kept.read(path, KIND, _TYPES)
    if found.told.get("bucket") != bucket or "manifest" not in found.told:
        raise BadInput("belongs to another bucket", object=str(path), next=AGAIN)
    return Before(by, found)
