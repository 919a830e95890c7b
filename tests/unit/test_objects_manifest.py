"""The manifest: whole or not at all, and a damaged one says where."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from towpath.errors import BadInput, WrongUse
from towpath.objects import Entry, Manifest, entries, read, walk, write


def entry(key: str, data: bytes = b"x", **changes: object) -> Entry:
    md5 = hashlib.md5(data).hexdigest()
    made = Entry(key, key, len(data), hashlib.sha256(data).hexdigest(), md5, md5, "text/plain", "private", None)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return write(tmp_path / "m.jsonl", [entry(f"a/{n:03}", b"x" * n) for n in range(20)], ["a/"])


def damaged(manifest: Manifest, change: Callable[[list[bytes]], object], *, signed: bool = False) -> Path:
    """Change a manifest's lines; `signed` corrects the first line's digest, as a careful forger would."""
    lines = manifest.file.read_bytes().splitlines(keepends=True)
    change(lines)
    if signed:
        header = json.loads(lines[0]) | {"digest": hashlib.sha256(b"".join(lines[1:])).hexdigest()}
        lines[0] = json.dumps(header).encode() + b"\n"
    manifest.file.write_bytes(b"".join(lines))
    return manifest.file


def test_what_was_written_is_read(tmp_path: Path) -> None:
    given = [entry("a", b"1"), entry("ü", b"22", path="u\u0308"), entry("😀", b"", part_size=16)]
    made = write(tmp_path / "new/m.jsonl", given)
    assert list(made) == given
    assert list(made) == given, "it can be read as often as it is needed"
    assert (made.objects, made.bytes, made.prefixes) == (3, 3, ("",))
    assert read(tmp_path / "new/m.jsonl") == made


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "files/x").write_bytes(b"same")
        inventory = walk(tmp_path / name, ["files"])
        write(tmp_path / name / "m.jsonl", entries(inventory), inventory.prefixes)
    assert (tmp_path / "one/m.jsonl").read_bytes() == (tmp_path / "two/m.jsonl").read_bytes()


def test_an_empty_list_is_a_manifest_too(tmp_path: Path) -> None:
    made = write(tmp_path / "m.jsonl", [], ["attachments/"])
    assert (list(made), made.objects, made.bytes) == ([], 0, 0)


def test_the_first_line_tells_the_totals(manifest: Manifest) -> None:
    header = json.loads(manifest.file.read_bytes().splitlines()[0])
    assert (header["objects"], header["bytes"], header["prefixes"]) == (20, 190, ["a/"])


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"]])
def test_keys_must_ascend(keys: list[str], tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="keys must ascend"):
        write(tmp_path / "m.jsonl", map(entry, keys))
    assert list(tmp_path.iterdir()) == []


def test_a_key_outside_the_prefixes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="under none of"):
        write(tmp_path / "m.jsonl", [entry("b/x")], ["a/"])


def test_a_write_that_fails_leaves_the_old_manifest(manifest: Manifest) -> None:
    before = manifest.file.read_bytes()

    def broken() -> Iterator[Entry]:
        yield entry("a/1")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write(manifest.file, broken(), ["a/"])
    assert manifest.file.read_bytes() == before
    assert list(manifest.file.parent.iterdir()) == [manifest.file]


def cut_inside(lines: list[bytes]) -> None:
    lines[10:] = [lines[10][:30]]


def drop_last(lines: list[bytes]) -> None:
    del lines[-1]


def swap(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def flip_value(lines: list[bytes]) -> None:
    lines[5] = lines[5].replace(b"text/plain", b"text/plaim")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (cut_inside, r"m\.jsonl: line 11 is cut\."),
        (drop_last, r"line 1 tells 20 objects and 190 bytes, the lines hold 19 and 171"),
        (swap, r"line 5: key is out of order"),
        (flip_value, r"line 1 tells another digest than the lines have"),
        (lambda lines: lines.insert(4, b"[]\n"), r"line 5 is not an object's line"),
        (lambda lines: lines.insert(4, b"{}\n"), r"line 5 is not an object's line"),
        (lambda lines: lines.insert(4, b'{"key": 7}\n'), r"line 5 is not an object's line"),
        (lambda lines: lines.__setitem__(0, b"not json\n"), r"line 1 is not a manifest's first line"),
        (lambda lines: lines.__setitem__(0, b'{"kind": "else"}\n'), r"line 1: not a list of objects"),
        (
            lambda lines: lines.__setitem__(0, lines[0].replace(b'"version":1', b'"version":9')),
            r"line 1: version 9, this Towpath reads 1",
        ),
        (lambda lines: lines.clear(), r"line 1 is not a manifest's first line"),
    ],
)
def test_damage_is_told_with_file_and_line(
    manifest: Manifest, change: Callable[[list[bytes]], object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        read(damaged(manifest, change))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"key":"a/003"', b'"path":"../../etc/passwd","key":"a/003"', "path leaves the root"),
        (b'"key":"a/003"', b'"path":"/etc/passwd","key":"a/003"', "path leaves the root"),
        (b'"key":"a/003"', '"key":"a/003u\u0308"'.encode(), "key is not a key"),
        (b'"size":3', b'"size":-3', "size is not a number of bytes"),
        (b'"size":3', b'"size":3.5', "size is not a number of bytes"),
        (b"text/plain", b"text/plain\\r\\nX-Evil: 1", "content type or cache control"),
        (b'"etag":"', b'"etag":"z', "etag is not a digest"),
    ],
)
def test_a_forged_line_is_refused_even_when_its_digest_fits(
    manifest: Manifest, old: bytes, new: bytes, says: str
) -> None:
    def forge(lines: list[bytes]) -> None:
        assert old in lines[4]
        lines[4] = lines[4].replace(old, new, 1)

    file = damaged(manifest, forge, signed=True)
    with pytest.raises(BadInput, match=f"line 5: {says}"):
        list(read(file))


def test_a_missing_manifest_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"m\.jsonl: cannot be read: No such file.*Next: run 03-export first"):
        read(tmp_path / "m.jsonl")


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak(number: int) -> int:
        tracemalloc.start()
        made = write(tmp_path / "m.jsonl", (entry(f"{n:07}") for n in range(number)))
        assert sum(1 for _ in made) == number
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(100)
    small, large = peak(1_000), peak(20_000)
    assert large < 2 * small + 3_000_000, "one block of one megabyte is read at a time"
