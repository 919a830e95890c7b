"""Walking a directory: keys, digests, and one fixture for every rule of OB1xx."""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Decision, Finding
from towpath.errors import BadInput, WrongUse
from towpath.objects import RULES, Inventory, entries, walk
from towpath.objects.content import PART, PARTS, SINGLE, content_type, part_size

content = importlib.import_module("towpath.objects.content")
NFD = "u\u0308"  # ü in two code points
LONG = "/".join(["d" * 250] * 4)


def put(path: Path, data: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def deny(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """A fake: a disk that refuses to open `denied`.  Needed because root, as in many CI images, may read everything."""
    real = content.opened

    def fake_denied(root_: bytes, path: bytes) -> int:
        if path == b"denied" and root_ == os.path.realpath(os.fsencode(root)):
            raise PermissionError(13, "Permission denied", os.fsdecode(path))
        return int(real(root_, path))

    monkeypatch.setattr(content, "opened", fake_denied)


def busy(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """A fake for the moment, not for the change: a writer that appends to the file right after its first block."""
    real = content.blocks

    def fake_busy(descriptor: int, start: int, length: int) -> Any:
        for block in real(descriptor, start, length):
            with (root / "busy").open("ab") as writer:
                writer.write(b"more")
            yield block

    monkeypatch.setattr(content, "blocks", fake_busy)


def special(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket must be short
        try:
            unix.bind("s")
        finally:
            os.chdir(here)
    os.mkfifo(root / "pipe")


def sparse(root: Path) -> None:
    with (root / "huge").open("wb") as stream:
        stream.truncate((5 << 40) + 1)


def in_parts(root: Path) -> None:
    with (root / "large").open("wb") as stream:
        stream.truncate(SINGLE + 1)


def not_utf8(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/bad\xff"))).write_bytes(b"x")


Case = tuple[Callable[[Path], object], str, int]
CASES: dict[str, Case] = {
    "OB101": (lambda root: put(root / "denied"), "denied", 1),
    "OB102": (special, "./", 2),
    "OB103": (lambda root: (root / "out").symlink_to("/etc/hostname"), "out", 1),
    "OB104": (lambda root: ((root / "dead").symlink_to("gone"), (root / "self").symlink_to("self")), "./", 2),
    "OB105": (lambda root: (put(root / "real"), (root / "link").symlink_to("real")), "./", 1),
    "OB106": (lambda root: (put(root / "d/x"), (root / "d/up").symlink_to("..")), "./", 1),
    "OB107": (not_utf8, "bad\\xff", 1),
    "OB108": (lambda root: put(root / LONG / ("f" * 21)), LONG + "/" + "f" * 21, 1),
    "OB109": (lambda root: put(root / "two\nlines"), "two\nlines", 1),
    "OB110": (lambda root: (put(root / "ü"), put(root / NFD)), "ü", 1),
    "OB111": (lambda root: put(root / NFD), "./", 1),
    "OB112": (lambda root: (put(root / "Photo.JPG"), put(root / "photo.jpg")), "./", 2),
    "OB113": (lambda root: put(root / "nothing", b""), "./", 1),
    "OB114": (lambda root: os.link(put(root / "one"), root / "two"), "./", 2),
    "OB115": (lambda root: (root / "hollow").mkdir(), "./", 1),
    "OB116": (lambda root: put(root / "busy"), "busy", 1),
    "OB117": (sparse, "huge", 1),
    "OB118": (in_parts, "./", 1),
    "OB119": (lambda root: root, "./", 1),
}
ALSO = {"OB110": {"OB111"}, "OB119": {"OB115"}}  # one of the two names is not NFC; an empty root is an empty directory
FAKES = {"OB101": deny, "OB116": busy}


def of(inventory: Inventory, code: str) -> list[Finding]:
    return [finding for finding in inventory.findings if finding.code == code]


@pytest.mark.parametrize("code", CASES)
def test_each_rule_finds_its_fixture_and_names_it(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build, object, count = CASES[code]
    if code != "OB119":
        put(tmp_path / "beside")
    build(tmp_path)
    if code in FAKES:
        FAKES[code](monkeypatch, tmp_path)
    inventory = walk(tmp_path)
    assert [(f.object, f.count) for f in of(inventory, code)] == [(object, count)]
    assert {f.code for f in inventory.findings} == {code} | ALSO.get(code, set())


def test_there_is_a_fixture_for_every_rule_of_the_walk() -> None:
    assert set(CASES) == {code for code in RULES if code.startswith("OB1")}


def test_a_quiet_directory_gives_no_finding(tmp_path: Path) -> None:
    put(tmp_path / "a/b.txt")
    assert walk(tmp_path).findings == ()


def test_keys_are_relative_to_the_root_even_when_one_directory_is_walked(tmp_path: Path) -> None:
    put(tmp_path / "attachments/xx/a.bin", b"one")
    put(tmp_path / "elsewhere/b.bin")
    inventory = walk(tmp_path, ["attachments"])
    (file,) = inventory.files()
    assert (file.key, file.size, inventory.prefixes) == ("attachments/xx/a.bin", 3, ("attachments/",))
    assert (inventory.objects, inventory.bytes) == (1, 3)


def test_a_directory_below_another_is_walked_once(tmp_path: Path) -> None:
    put(tmp_path / "a/b/c")
    assert [file.key for file in walk(tmp_path, ["a/b", "./a/", "a"]).files()] == ["a/b/c"]


def test_digests_are_those_of_the_content(tmp_path: Path) -> None:
    data = os.urandom(3 * content.BLOCK + 17)
    put(tmp_path / "f", data)
    seen: list[int] = []
    (file,) = walk(tmp_path, report=seen.append).files()
    assert (file.sha256, file.md5, file.etag) == (
        hashlib.sha256(data).hexdigest(),
        hashlib.md5(data).hexdigest(),
        hashlib.md5(data).hexdigest(),
    )
    assert sum(seen) == len(data)


def test_the_etag_of_parts_is_the_digest_of_their_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SINGLE", 10)
    monkeypatch.setattr(content, "PART", 8)
    put(tmp_path / "f", b"0123456789abcdefXYZ")
    (file,) = walk(tmp_path).files()
    parts = b"".join(hashlib.md5(p).digest() for p in (b"01234567", b"89abcdef", b"XYZ"))
    assert (file.part_size, file.etag) == (8, hashlib.md5(parts).hexdigest() + "-3")


@pytest.mark.parametrize("size", [SINGLE + 1, PART * PARTS, PART * PARTS + 1, 5 << 40])
def test_parts_are_never_more_than_r2_takes(size: int) -> None:
    part = part_size(size)
    assert part is not None
    assert -(-size // part) <= PARTS
    assert part & (part - 1) == 0, "a power of two, so that the same size gives the same parts"


def test_one_piece_up_to_the_limit() -> None:
    assert part_size(SINGLE) is None


def test_keys_are_normalised_and_the_name_on_disk_is_kept(tmp_path: Path) -> None:
    put(tmp_path / NFD)
    (file,) = walk(tmp_path).files()
    assert (file.key, file.path) == ("ü", NFD)


def test_files_come_in_the_order_of_their_utf8_bytes(tmp_path: Path) -> None:
    names = ["b", "a/z", "a.txt", "a b", "Ä", "Z", "😀", "\uffee"]
    for name in names:
        put(tmp_path / name)
    assert [f.key for f in walk(tmp_path).files()] == sorted(names, key=str.encode)


def test_a_followed_link_brings_its_content_and_a_skipped_one_nothing(tmp_path: Path) -> None:
    put(tmp_path / "store/real", b"data")
    (tmp_path / "alias").symlink_to("store")
    inventory = walk(tmp_path)
    (finding,) = of(inventory, "OB105")
    assert finding.samples == ("alias",)
    assert [(f.key, f.size) for f in inventory.files()] == [("alias/real", 4), ("store/real", 4)]
    skip = [(finding, Decision("OB105", "./", "skip", "an alias"))]
    assert [e.key for e in entries(inventory, skip)] == ["store/real"]


def test_two_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    put(tmp_path / "x/file")
    put(tmp_path / "y/file")
    (tmp_path / "x/to_y").symlink_to("../y")
    (tmp_path / "y/to_x").symlink_to("../x")
    inventory = walk(tmp_path)
    assert [f.key for f in inventory.files()] == ["x/file", "x/to_y/file", "y/file", "y/to_x/file"]
    assert of(inventory, "OB106")[0].count == 2


def test_refusals_beyond_a_hundred_are_counted_not_listed(tmp_path: Path) -> None:
    for number in range(130):
        (tmp_path / f"{number:03}").symlink_to("/etc/hostname")
    found = of(walk(tmp_path), "OB103")
    assert len(found) == 101
    assert sum(f.count for f in found) == 130


def test_a_missing_directory_is_one_line_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"attachments: the directory is not there\. Next: correct source_files"):
        walk(tmp_path, ["attachments"])


def test_a_directory_that_is_itself_a_link_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/attachments").symlink_to(tmp_path)
    with pytest.raises(BadInput, match=r"OB103 .*is a link out of"):
        walk(tmp_path / "root", ["attachments"])


@pytest.mark.parametrize("name", ["../x", "/etc", "a/../../b"])
def test_directories_to_walk_cannot_leave_the_root(name: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="must lie below the root"):
        walk(tmp_path, [name])


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a", b"GIF89a", "image/gif"),
        ("a", b"%PDF-1.7", "application/pdf"),
        ("a", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("a", b"PK\x03\x04", "application/zip"),
        ("a.docx", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.tar.gz", b"\x1f\x8b", "application/gzip"),
        ("a.md", b"# x", "text/markdown"),
        ("x/data:text,a.css", b"", "text/css"),
        ("a.unheard-of", b"??", "application/octet-stream"),
        ("a", b"", "application/octet-stream"),
    ],
)
def test_content_types(name: str, head: bytes, kind: str) -> None:
    assert content_type(name, head) == kind


def test_the_inventory_tells_types_and_the_largest_and_empty_directories(tmp_path: Path) -> None:
    put(tmp_path / "a.png", b"\x89PNG\r\n\x1a\n12")
    put(tmp_path / "b.txt", b"1")
    (tmp_path / "none/inner").mkdir(parents=True)
    inventory = walk(tmp_path)
    assert inventory.types() == [("image/png", 1, 10), ("text/plain", 1, 1)]
    assert inventory.largest(1) == [("a.png", 10)]
    assert list(inventory.empty_directories()) == ["none/inner"]
