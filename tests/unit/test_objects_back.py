"""Objects carried back into the folder, against the real local runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from towpath.errors import CannotFinish
from towpath.objects import Back, Manifest, carry_files_back, compare, entries, find_back, upload, walk, write
from towpath.objects.back import place_of

FILES = {"a.txt": b"a", "b/c.txt": b"c", "gone.txt": b"gone", "same": b"same"}


def moved(folder: Path, s3: Any, bucket: str) -> tuple[Path, Manifest]:
    """Files that were uploaded, and their list."""
    root = folder / "source"
    for name, data in FILES.items():
        path = root / "attachments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    manifest = listed(root, folder / "objects.jsonl")
    upload(manifest, root, s3, bucket)
    return root, manifest


def listed(root: Path, file: Path) -> Manifest:
    """What the folder holds now."""
    found = walk(root, ["attachments"])
    return write(file, entries(found), found.prefixes)


def find(manifest: Manifest, root: Path, s3: Any, bucket: str) -> Back:
    """What must come back."""
    return find_back(manifest, manifest.prefixes, root, s3, bucket)


def put(s3: Any, bucket: str, key: str, data: bytes) -> None:
    """What the new application writes: without our metadata."""
    s3.put_object(Bucket=bucket, Key=f"attachments/{key}", Body=data)


def test_new_changed_and_deleted_objects_come_back(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    put(r2_client, bucket, "a.txt", b"another")
    put(r2_client, bucket, "new/deep/ü 1.txt", b"new")
    put(r2_client, bucket, "empty", b"")
    r2_client.delete_object(Bucket=bucket, Key="attachments/gone.txt")
    untouched = (root / "attachments/same").stat()
    back = find(manifest, root, r2_client, bucket)
    assert (back.count, back.bytes, back.conflicts) == (4, 10, ())
    seen: list[int] = []
    assert carry_files_back(back, r2_client, bucket, seen.append) == 4
    assert sum(seen) == 11
    assert {str(p.relative_to(root / "attachments")): p.read_bytes() for p in root.rglob("*") if p.is_file()} == {
        "a.txt": b"another",
        "b/c.txt": b"c",
        "same": b"same",
        "new/deep/ü 1.txt": b"new",
        "empty": b"",
    }
    assert (root / "attachments/same").stat() == untouched
    now = compare(listed(root, tmp_path / "now.jsonl"), r2_client, bucket)
    assert not [difference for difference in now.differences if difference.column == "sha256"]
    assert find(manifest, root, r2_client, bucket) == Back((), (), ()), "it is there already"


def test_a_file_that_somebody_changed_is_left_alone(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    put(r2_client, bucket, "a.txt", b"new")
    put(r2_client, bucket, "new", b"new")
    r2_client.delete_object(Bucket=bucket, Key="attachments/gone.txt")
    for name in ("a.txt", "new", "gone.txt"):
        (root / "attachments" / name).write_bytes(b"mine")
    back = find(manifest, root, r2_client, bucket)
    why = "the file is not what the last list says"
    assert back == Back((), (), tuple((f"attachments/{name}", why) for name in ("a.txt", "gone.txt", "new")))


@pytest.mark.parametrize("key", ["a//b", "y" * 256, "b", "a.txt/below", "out/x"])
def test_names_that_cannot_be_files_below_the_folder(key: str, tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    (tmp_path / "elsewhere").mkdir()
    (root / "attachments/out").symlink_to(tmp_path / "elsewhere")
    put(r2_client, bucket, key, b"x")
    back = find(manifest, root, r2_client, bucket)
    if key == "a.txt/below":  # a folder cannot take the place of a file that stays
        with pytest.raises(CannotFinish, match="the file cannot be written"):
            carry_files_back(back, r2_client, bucket)
        assert (root / "attachments/a.txt").read_bytes() == b"a"
        return
    assert [name for name, _ in back.conflicts] == [f"attachments/{key}"]
    assert not back.count
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "./x", "/etc/passwd", "", "a\0b", "out/x", "."])
def test_a_worker_may_write_names_that_s3_clients_cannot(path: str, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").symlink_to(tmp_path)
    assert place_of(tmp_path / "root", path) is None
    assert place_of(tmp_path / "root", "a/ü") == tmp_path / "root/a/ü"


def test_an_object_that_changes_meanwhile_is_told(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    put(r2_client, bucket, "a.txt", b"one")
    back = find(manifest, root, r2_client, bucket)
    put(r2_client, bucket, "a.txt", b"two")
    with pytest.raises(CannotFinish, match=r"attachments/a\.txt: the object changed meanwhile"):
        carry_files_back(back, r2_client, bucket)
    assert (root / "attachments/a.txt").read_bytes() == b"a"
    assert {path.name for path in (root / "attachments").iterdir()} == {"a.txt", "b", "gone.txt", "same"}, (
        "no draft stays"
    )


def test_a_file_that_is_written_to_between_look_and_carry_is_left_as_it_is(
    tmp_path: Path, r2_client: Any, bucket: str
) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    r2_client.delete_object(Bucket=bucket, Key="attachments/gone.txt")
    for name, change in (("a.txt", "a.txt"), ("new", "new"), ("same", "gone.txt")):
        put(r2_client, bucket, name, b"theirs")
        back = find(manifest, root, r2_client, bucket)
        (root / "attachments" / change).write_bytes(b"mine")
        with pytest.raises(CannotFinish, match=f"{change}: the file was written to meanwhile"):
            carry_files_back(back, r2_client, bucket)
        assert (root / "attachments" / change).read_bytes() == b"mine"
        put(r2_client, bucket, name, FILES.get(name, b"mine"))
        (root / "attachments" / change).write_bytes(FILES.get(change, b"mine"))


def test_what_a_killed_attempt_left_is_taken_away_and_a_file_keeps_its_mode(
    tmp_path: Path, r2_client: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    put(r2_client, bucket, "b/c.txt", b"theirs")
    (root / "attachments/b/c.txt").chmod(0o640)
    with monkeypatch.context() as patch:  # a fake: what a killed process does not do any more
        patch.setattr(Path, "replace", lambda *_: 1 / 0)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(ZeroDivisionError):
            carry_files_back(find(manifest, root, r2_client, bucket), r2_client, bucket)
    assert len(list((root / "attachments/b").iterdir())) == 2
    assert carry_files_back(find(manifest, root, r2_client, bucket), r2_client, bucket) == 1
    (file,) = (root / "attachments/b").iterdir()
    assert (file.name, file.read_bytes(), file.stat().st_mode & 0o777) == ("c.txt", b"theirs", 0o640)


def test_an_object_in_parts(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = moved(tmp_path, r2_client, bucket)
    key = "attachments/large"
    data = os.urandom(6 << 20)
    made = r2_client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, part in enumerate((data[: 5 << 20], data[5 << 20 :]), 1):
        answer = r2_client.upload_part(Bucket=bucket, Key=key, UploadId=made, PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    r2_client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=made, MultipartUpload={"Parts": parts})
    assert carry_files_back(find(manifest, root, r2_client, bucket), r2_client, bucket) == 1
    assert (root / key).read_bytes() == data
    assert find(manifest, root, r2_client, bucket) == Back((), (), ())
