"""What a walk need not read again: only files of which the file system says that nobody has touched them."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.errors import BadInput
from towpath.objects import Inventory, entries, keep_seen, read_seen, settle, walk, write
from towpath.objects import seen as room
from towpath.streams import kept

NEVER = 10**30  # a moment so late that every change lies before it
FILES = {"a": b"first", "deep/b": b"second", "c": b"", "naïve 漢字": b"third"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files whose names say little, on a file system that is believed."""
    monkeypatch.setattr(room, "LOCAL", room.LOCAL | {"tmpfs"})  # where the tests' folder may lie
    for name, data in FILES.items():
        path = tmp_path / "root" / "attachments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "root"


class First:
    """The first reading of a folder, and what it left."""

    def __init__(self, root: Path, settled: int | None = NEVER) -> None:
        self.root, self.found = root, walk(root, ["attachments"], settled=settled)
        self.manifest = write(root.parent / "objects.jsonl", entries(self.found), self.found.prefixes)
        self.file = root.parent / "seen.jsonl"
        keep_seen(self.file, self.found, self.manifest)

    def again(self) -> Inventory:
        """The second reading, which knows the first."""
        return walk(self.root, ["attachments"], known=read_seen(self.file, self.manifest))


def digests(found: Inventory) -> dict[str, str]:
    return {file.key: file.sha256 for file in found.files()}


def test_what_nobody_touched_is_not_read_again(root: Path) -> None:
    first = First(root)
    seen: list[int] = []
    again = walk(root, ["attachments"], seen.append, known=read_seen(first.file, first.manifest))
    assert (again.unread, again.objects, again.bytes, seen) == (4, 4, first.found.bytes, [])
    assert list(again.files()) == list(first.found.files())
    second = write(root.parent / "second.jsonl", entries(again), again.prefixes)
    assert second.digest == first.manifest.digest
    keep_seen(root.parent / "again.jsonl", again, second)  # what was believed once is carried on
    assert walk(root, ["attachments"], known=read_seen(root.parent / "again.jsonl", second)).unread == 4


def test_without_a_list_everything_is_read(root: Path) -> None:
    assert First(root).found.unread is None


def rewritten(path: Path) -> None:
    """Other bytes, as many, and the old modification time: only the change time tells."""
    before = path.stat()
    path.write_bytes(b"FIRST")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    """Another file, as large and as old, takes the name: so does `cp -p` with `mv`."""
    before, other = path.stat(), path.with_name("other")
    other.write_bytes(b"FIRST")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"!")


def through_a_mapping(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:5] = b"FIRST"
        mapped.flush()


def linked(path: Path) -> None:
    """The name leads to another file of the folder."""
    other = path.with_name("other")
    other.write_bytes(b"FIRST")
    path.unlink()
    path.symlink_to("other")


@pytest.mark.parametrize("change", [rewritten, replaced, appended, through_a_mapping, linked])
def test_whatever_was_touched_is_read_again(change: Callable[[Path], None], root: Path) -> None:
    first = First(root)
    change(root / "attachments/a")
    again = first.again()
    assert again.unread == 3
    assert digests(again) == digests(walk(root, ["attachments"]))
    assert digests(again)["attachments/a"] != digests(first.found)["attachments/a"]


def test_files_that_came_and_went(root: Path) -> None:
    first = First(root)
    (root / "attachments/new").write_bytes(b"born")
    (root / "attachments/c").unlink()
    again = first.again()
    assert (again.unread, again.objects) == (3, 4)
    assert digests(again) == digests(walk(root, ["attachments"]))


def test_a_file_that_changed_right_before_it_was_read_is_not_believed(root: Path) -> None:
    changed = (root / "attachments/a").stat().st_ctime_ns  # a second write within this tick would bear the same time
    for moment, believed in ((changed, False), (changed + 1, True)):
        first = First(root, settled=moment)
        assert ("attachments/a" in [row[0] for row in read_seen(first.file, first.manifest)]) is believed


def test_what_is_written_while_the_reading_begins_has_not_settled(root: Path) -> None:
    settled = settle(root)
    assert settled is not None
    assert settled <= time.time_ns() - room.TICK_NS
    assert First(root, settled=None).again().unread == 0


def missing(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def one_digit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(bytes(data))


def another_kind(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(room.KIND.encode(), b"x" * len(room.KIND)))


def not_a_list(path: Path) -> None:
    path.write_bytes(b"[1]\n")


def other_values(path: Path) -> None:
    """A list whose digest fits, of rows that are no files."""
    kept.keep(path, room.KIND, {"manifest": "m"}, lambda add: add(["a", 1, 2]))


@pytest.mark.parametrize("damage", [missing, cut, one_digit, another_kind, not_a_list, other_values])
def test_a_damaged_list_is_refused(damage: Callable[[Path], None], root: Path) -> None:
    first = First(root)
    damage(first.file)
    with pytest.raises(BadInput, match=r"seen\.jsonl"):
        read_seen(first.file, first.manifest)


def test_a_list_that_belongs_to_another_list_of_objects_is_refused(root: Path) -> None:
    first = First(root)
    other = write(root.parent / "other.jsonl", [])
    with pytest.raises(BadInput, match="belongs to another list of objects"):
        read_seen(first.file, other)


def mounted(*points: tuple[str, str]) -> str:
    """What Linux says of mounts, as (place, type)."""
    return "".join(f"22 1 0:{n} / {place} rw shared:1 - {kind} dev rw\n" for n, (place, kind) in enumerate(points))


@pytest.mark.parametrize(
    ("points", "believed"),
    [
        ([("/", "ext4")], True),
        ([("/", "nfs4")], False),
        ([("/", "ext4"), ("/srv/the\\040files", "nfs4")], False),
        ([("/", "nfs4"), ("/srv/the\\040files", "xfs")], True),
        ([("/", "ext4"), ("/srv/the\\040files/deep", "fuse.sshfs")], False),
        ([("/", "ext4"), ("/srv/the\\040files/deep", "btrfs")], True),
        ([("/", "ext4"), ("/srv/the\\040filesystem", "nfs4")], True),
        ([("/", "ext4"), ("/srv", "ext4"), ("/srv", "cifs")], False),
        ([("/", "tmpfs")], False),
        ([("/", "zfs")], False),
        ([], False),
    ],
)
def test_only_file_systems_of_this_machine_are_believed(
    points: list[tuple[str, str]], believed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(mounted(*points), encoding="ascii")
    monkeypatch.setattr(room, "MOUNTS", mounts)
    assert room.tells_changes(Path("/srv/the files")) is believed
    assert (settle(Path("/srv/the files")) is not None) is believed


def test_where_nobody_tells_the_file_system_everything_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = First(root)
    monkeypatch.setattr(room, "MOUNTS", root / "not-there")
    assert settle(root) is None
    assert first.again().unread == 0
