"""Upload, comparison and delta against the real local runtime."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from helpers.fires import fires, not_passed

from towpath.checks import Verdict, worst
from towpath.cloudflare.r2 import r2
from towpath.errors import CannotFinish, WrongUse
from towpath.local import Runtime
from towpath.objects import (
    RULES,
    Bucket,
    Delta,
    Fingerprint,
    Manifest,
    apply_delta,
    compare,
    delta,
    entries,
    fingerprint,
    target_closure,
    upload,
    walk,
    write,
)
from towpath.secrets import Secret

HOSTILE = [
    "a b",
    "a+b%20c?d#e&f=g",
    "q\"'<>&;",
    "ü/é",
    "😀",
    "back\\slash",
    "%2F",
    "+",
    " lead",
    "trail ",
    "tab\tx",
    "~!*()",
]


def exported(folder: Path, files: dict[str, bytes], **options: Any) -> tuple[Path, Manifest]:
    """Files on disk under `attachments/` and their manifest."""
    root = folder / "source"
    (root / "attachments").mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = root / "attachments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    inventory = walk(root, ["attachments"])
    return root, write(folder / "objects.jsonl", entries(inventory, **options), inventory.prefixes)


def verdicts(checks: tuple[Any, ...]) -> dict[str, str]:
    return {check.code: str(check.verdict) for check in checks}


ALL_GOOD = dict.fromkeys(["OB401", "OB402", "OB403", "OB404", "OB405"], "PASS")


def test_every_file_arrives_with_its_content_and_headers(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    files = {"xx/photo.png": b"\x89PNG\r\n\x1a\nrest", "notes.md": b"# hi", "empty": b"", "zip.tar.gz": b"\x1f\x8bxx"}
    root, manifest = exported(tmp_path, files, cache_control="private, max-age=60")
    seen: list[int] = []
    result = upload(manifest, root, r2_client, bucket, seen.append)
    assert (result.sent, result.skipped, result.conflicting, result.bytes_sent) == (
        4,
        0,
        0,
        sum(map(len, files.values())),
    )
    assert sum(seen) == manifest.bytes
    assert worst(result.checks) is Verdict.PASS
    answer = r2_client.get_object(Bucket=bucket, Key="attachments/xx/photo.png")
    assert answer["Body"].read() == files["xx/photo.png"]
    assert (answer["ContentType"], answer["CacheControl"]) == ("image/png", "private, max-age=60")
    assert answer["Metadata"] == {"towpath-sha256": hashlib.sha256(files["xx/photo.png"]).hexdigest()}
    for by in ("content", "etag"):
        proof = compare(manifest, r2_client, bucket, by=by)
        assert (verdicts(proof.checks), proof.differences, proof.equal) == (ALL_GOOD, (), True)
        assert proof.compared == {"objects": 4, "bytes": manifest.bytes}


def test_hostile_names_arrive_under_their_nfc_key(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    names = [*HOSTILE, "nfd-u\u0308"]
    root, manifest = exported(tmp_path, {name: name.encode() for name in names})
    upload(manifest, root, r2_client, bucket)
    listed = [found.key for found in Bucket(r2_client, bucket).list()]
    assert sorted(listed) == sorted("attachments/" + unicodedata.normalize("NFC", name) for name in names)
    assert compare(manifest, r2_client, bucket).equal


def test_uploading_again_sends_nothing(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {f"{n}": os.urandom(100) for n in range(10)})
    upload(manifest, root, r2_client, bucket)
    r2_client.delete_object(Bucket=bucket, Key="attachments/7")
    result = upload(manifest, root, r2_client, bucket)
    assert (result.sent, result.skipped, result.bytes_sent) == (1, 9, 100)


@fires("OB302", "OB301")
def test_another_object_under_the_key_is_named_and_left_alone(
    tmp_path: Path, r2_client: Any, bucket: str
) -> Iterable[str]:
    root, manifest = exported(tmp_path, {"mine": b"mine", "theirs": b"ours"})
    r2_client.put_object(Bucket=bucket, Key="attachments/theirs", Body=b"somebody else's")
    result = upload(manifest, root, r2_client, bucket)
    assert (result.sent, result.conflicting) == (1, 1)
    assert verdicts(result.checks) == {"OB301": "FAIL", "OB302": "FAIL"}
    by_column = {d.column: (d.key, d.expected, d.found) for d in result.conflicts}
    assert by_column["size"] == ("attachments/theirs", "4", "15")
    assert r2_client.get_object(Bucket=bucket, Key="attachments/theirs")["Body"].read() == b"somebody else's"
    return not_passed(result.checks)


@fires("OB303")
def test_a_file_that_grew_since_the_export(tmp_path: Path, r2_client: Any, bucket: str) -> Iterable[str]:
    root, manifest = exported(tmp_path, {"b": b"bbb"})
    grow(root)
    with pytest.raises(CannotFinish) as caught:
        upload(manifest, root, r2_client, bucket)
    return [caught.value.code]


@fires("OB301")
def test_an_object_that_did_not_arrive(tmp_path: Path, r2_client: Any, bucket: str) -> Iterable[str]:
    root, manifest = exported(tmp_path, {"a": b"a", "b": b"b"})
    done = upload(manifest, root, r2_client, bucket)
    assert not_passed(done.checks) == set()
    return not_passed(dataclasses.replace(done, sent=1).checks)


@fires("OB304")
def test_an_object_that_somebody_else_changed_before_it_was_to_go(
    tmp_path: Path, r2_client: Any, bucket: str
) -> Iterable[str]:
    root, _, _, difference = moved(tmp_path, r2_client, bucket)
    r2_client.put_object(Bucket=bucket, Key="attachments/deleted", Body=b"written by the new application")
    return not_passed(apply_delta(difference, root, r2_client, bucket).checks)


def test_equal_content_that_is_not_proved_ours_is_a_conflict(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"x.txt": b"same"})
    r2_client.put_object(
        Bucket=bucket, Key="attachments/x.txt", Body=b"same", ContentType="text/plain", CacheControl="private, no-cache"
    )
    (conflict,) = upload(manifest, root, r2_client, bucket).conflicts
    assert (conflict.column, conflict.found) == ("sha256 as stored beside it", "")


def change_content(root: Path) -> None:
    (root / "attachments/b").write_bytes(b"bXb")


def grow(root: Path) -> None:
    (root / "attachments/b").write_bytes(b"bbbb")


def remove(root: Path) -> None:
    (root / "attachments/b").unlink()


def lead_out(root: Path) -> None:
    outside = root.parent / "outside"
    outside.write_bytes(b"bbb")
    (root / "attachments/b").unlink()
    (root / "attachments/b").symlink_to(outside)


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (change_content, "its content is another"),
        (grow, "4 bytes, the manifest says 3"),
        (remove, "No such file or directory"),
        (lead_out, "leads out of the root"),
    ],
)
def test_a_file_that_changed_since_the_export_stops_the_upload_and_is_not_written(
    change: Callable[[Path], None], how: str, tmp_path: Path, r2_client: Any, bucket: str
) -> None:
    root, manifest = exported(tmp_path, {"a": b"aaa", "b": b"bbb"})
    change(root)
    with pytest.raises(CannotFinish, match=rf"^OB303 attachments/b: the file changed since the export \({how}\)"):
        upload(manifest, root, r2_client, bucket)
    assert Bucket(r2_client, bucket).head("attachments/b") is None


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 5 MiB, R2's smallest, from 6 MiB on, so that a test need not send 100 MiB."""
    content = importlib.import_module("towpath.objects.content")
    monkeypatch.setattr(content, "SINGLE", 6 << 20)
    monkeypatch.setattr(content, "PART", 5 << 20)


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_goes_in_parts_and_is_known_again(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"large": os.urandom((11 << 20) + 3), "small": b"s"})
    assert [entry.part_size for entry in manifest] == [5 << 20, None]
    assert upload(manifest, root, r2_client, bucket).sent == 2
    head = r2_client.head_object(Bucket=bucket, Key="attachments/large")
    assert head["ETag"].strip('"').endswith("-3")
    assert upload(manifest, root, r2_client, bucket).skipped == 2
    assert compare(manifest, r2_client, bucket).equal
    assert compare(manifest, r2_client, bucket, by="etag").equal


@pytest.mark.usefixtures("small_parts")
def test_a_body_too_large_to_hold_is_streamed(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"medium": os.urandom(6 << 20)})  # one piece, larger than PART
    assert [entry.part_size for entry in manifest] == [None]
    assert upload(manifest, root, r2_client, bucket).sent == 1
    assert compare(manifest, r2_client, bucket).equal


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_that_changed_leaves_nothing(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"large": b"\0" * (11 << 20)})
    with (root / "attachments/large").open("r+b") as stream:
        stream.seek(10 << 20)
        stream.write(b"\1")
    with pytest.raises(CannotFinish, match="OB303 attachments/large"):
        upload(manifest, root, r2_client, bucket)
    assert list(Bucket(r2_client, bucket).list()) == []


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_never_replaces_another_object(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"large": b"\0" * (7 << 20)})
    r2_client.put_object(Bucket=bucket, Key="attachments/large", Body=b"other")
    assert upload(manifest, root, r2_client, bucket).conflicting == 1
    assert r2_client.head_object(Bucket=bucket, Key="attachments/large")["ContentLength"] == 5


def test_a_bucket_that_does_not_exist_is_told_before_any_file_is_read(tmp_path: Path, r2_client: Any) -> None:
    root, manifest = exported(tmp_path, {"a": b"a"})
    for ask in (lambda: upload(manifest, root, r2_client, "no-such"), lambda: fingerprint(r2_client, "no-such")):
        with pytest.raises(
            CannotFinish, match=r"bucket no-such: does not exist\. Next: create it, or correct r2_bucket"
        ):
            ask()


@pytest.mark.parametrize("wrong", ["access", "secret"])
def test_wrong_credentials_are_told(
    wrong: str, tmp_path: Path, runtime: Runtime, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_TEST_WRONG", "0123456789abcdef0123456789abcdef")
    other = Secret("env:TOWPATH_TEST_WRONG")
    keys = (other, runtime.secret_key) if wrong == "access" else (runtime.access_key, other)
    root, manifest = exported(tmp_path, {"a": b"a"})
    with pytest.raises(CannotFinish, match=r"refuses the access key .*Next: correct r2_access_key and r2_secret_key"):
        upload(manifest, root, r2(runtime.s3, *keys), bucket)


DAMAGE: dict[str, tuple[Callable[[Any, str], object], str, list[tuple[str, str, str]]]] = {
    "OB401": (
        lambda s3, b: s3.delete_object(Bucket=b, Key="attachments/a"),
        "OB402",
        [("attachments/a", "", "missing")],
    ),
    "OB402": (
        lambda s3, b: s3.delete_object(Bucket=b, Key="attachments/b"),
        "OB401",
        [("attachments/b", "", "missing")],
    ),
    "OB403": (
        lambda s3, b: s3.put_object(Bucket=b, Key="attachments/c", Body=b"extra"),
        "OB401",
        [("attachments/c", "", "extra")],
    ),
    "OB404": (
        lambda s3, b: s3.put_object(
            Bucket=b, Key="attachments/a", Body=b"aXa", ContentType="text/css", CacheControl="private, no-cache"
        ),
        "",
        [("attachments/a", "sha256", "changed")],
    ),
    "OB405": (
        lambda s3, b: s3.put_object(Bucket=b, Key="attachments/a", Body=b"aaa", ContentType="text/css"),
        "",
        [("attachments/a", "cache_control", "changed")],
    ),
}


@pytest.mark.parametrize("code", DAMAGE)
def test_each_rule_of_the_comparison_finds_its_damage(code: str, tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"a": b"aaa", "b": b"bbb"})
    manifest = write(
        tmp_path / "m", (dataclasses.replace(e, content_type="text/css") for e in manifest), manifest.prefixes
    )
    upload(manifest, root, r2_client, bucket)
    damage, also, expected = DAMAGE[code]
    damage(r2_client, bucket)
    proof = compare(manifest, r2_client, bucket)
    assert verdicts(proof.checks) == ALL_GOOD | {code: "FAIL"} | ({also: "FAIL"} if also else {})
    assert [(d.key, d.column, d.kind) for d in proof.differences] == expected
    assert not proof.equal
    if code != "OB401":
        assert next(check for check in proof.checks if check.code == code).keys == (expected[0][0],)


def test_there_is_damage_for_every_rule_of_the_comparison() -> None:
    assert set(DAMAGE) == {code for code in RULES if code.startswith("OB4")}


def test_one_flipped_byte_is_named_with_both_digests(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    data = os.urandom(70_000)
    root, manifest = exported(tmp_path, {f"{n}.bin": data + bytes([n]) for n in range(5)})
    upload(manifest, root, r2_client, bucket)
    (entry,) = [entry for entry in manifest if entry.key == "attachments/3.bin"]
    flipped = bytearray(data + b"\3")
    flipped[40_000] ^= 1
    r2_client.put_object(
        Bucket=bucket,
        Key=entry.key,
        Body=bytes(flipped),
        ContentType=entry.content_type,
        CacheControl=entry.cache_control,
        Metadata={"towpath-sha256": entry.sha256},  # the forger even kept our own note
    )
    (difference,) = compare(manifest, r2_client, bucket).differences
    assert (difference.key, difference.column) == (entry.key, "sha256")
    assert (difference.expected, difference.found) == (entry.sha256, hashlib.sha256(flipped).hexdigest())
    (by_etag,) = compare(manifest, r2_client, bucket, by="etag").differences
    assert (by_etag.key, by_etag.column) == (entry.key, "etag")


def test_a_compressed_object_is_told_by_its_encoding(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"a.css": b"body {}"})
    upload(manifest, root, r2_client, bucket)
    r2_client.put_object(
        Bucket=bucket,
        Key="attachments/a.css",
        Body=b"body {}",
        ContentType="text/css",
        CacheControl="private, no-cache",
        ContentEncoding="gzip",
    )
    (difference,) = compare(manifest, r2_client, bucket).differences
    assert (difference.column, difference.expected, difference.found) == ("content_encoding", "", "gzip")


def test_objects_outside_the_walked_prefix_are_not_ours(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"a": b"a"})
    upload(manifest, root, r2_client, bucket)
    r2_client.put_object(Bucket=bucket, Key="backups/x", Body=b"another application's")
    assert compare(manifest, r2_client, bucket).equal


def test_comparing_by_something_else_is_wrong_use(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    _, manifest = exported(tmp_path, {})
    with pytest.raises(WrongUse, match="compare by 'content' or by 'etag'"):
        compare(manifest, r2_client, bucket, by="size")  # type: ignore[arg-type]


def test_the_fingerprint_counts_over_several_pages(r2_client: Any, bucket: str) -> None:
    assert fingerprint(r2_client, bucket) == Fingerprint(bucket, 0, 0)
    for number in range(7):
        r2_client.put_object(Bucket=bucket, Key=f"{number}", Body=b"x" * number)

    class Paged:
        """The real client, asked for pages of three keys, as R2 answers with pages of a thousand."""

        def __getattr__(self, name: str) -> Any:
            return getattr(r2_client, name)

        def list_objects_v2(self, **options: Any) -> Any:
            return r2_client.list_objects_v2(MaxKeys=3, **options)

    assert fingerprint(Paged(), bucket) == Fingerprint(bucket, 7, 21)
    assert str(fingerprint(r2_client, bucket, "6")) == f"{bucket}: 1 objects, 6 bytes"


def moved(tmp_path: Path, r2_client: Any, bucket: str) -> tuple[Path, Manifest, Manifest, Delta]:
    """A source that was uploaded, and then changed: one file new, one changed, one deleted, one as it was."""
    root, old = exported(tmp_path, {"same": b"same", "changed": b"old", "deleted": b"gone"})
    upload(old, root, r2_client, bucket)
    (root / "attachments/changed").write_bytes(b"new!")
    (root / "attachments/new").write_bytes(b"born")
    (root / "attachments/deleted").unlink()
    inventory = walk(root, ["attachments"])
    new = write(tmp_path / "new.jsonl", entries(inventory), inventory.prefixes)
    return root, old, new, delta(old, new)


def test_a_delta_names_what_changed(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    _, old, new, difference = moved(tmp_path, r2_client, bucket)
    assert [e.key for e in difference.put] == ["attachments/changed", "attachments/new"]
    assert [e.key for e in difference.delete] == ["attachments/deleted"]
    assert (difference.unchanged, difference.bytes) == (1, 8)
    assert dict(difference.replaces) == {"attachments/changed": hashlib.md5(b"old").hexdigest()}
    assert (delta(new, new).put, delta(old, old).delete) == ((), ())


def test_a_delta_brings_the_bucket_to_the_new_list_and_can_be_repeated(
    tmp_path: Path, r2_client: Any, bucket: str
) -> None:
    root, _, new, difference = moved(tmp_path, r2_client, bucket)
    first = apply_delta(difference, root, r2_client, bucket)
    assert (first.uploaded.sent, first.deleted, first.gone, first.kept) == (2, 1, 0, ())
    assert compare(new, r2_client, bucket).equal
    again = apply_delta(difference, root, r2_client, bucket)
    assert (again.uploaded.skipped, again.deleted, again.gone) == (2, 0, 1)
    assert worst(again.checks) is Verdict.PASS


def test_a_delta_touches_nothing_that_somebody_else_wrote(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, _, _, difference = moved(tmp_path, r2_client, bucket)
    for key in ("changed", "deleted", "new"):
        r2_client.put_object(Bucket=bucket, Key=f"attachments/{key}", Body=b"written by the new application")
    result = apply_delta(difference, root, r2_client, bucket)
    assert (result.uploaded.sent, result.uploaded.conflicting, result.deleted) == (0, 2, 0)
    assert [d.key for d in result.kept] == ["attachments/deleted"]
    assert verdicts(result.checks) == {"OB301": "FAIL", "OB302": "FAIL", "OB304": "FAIL"}
    listed = {found.key: found.size for found in Bucket(r2_client, bucket).list()}
    assert [listed[f"attachments/{key}"] for key in ("changed", "deleted", "new")] == [30, 30, 30]


class Asked:
    """The real client; counts how often each object was asked for."""

    def __init__(self, real: Any) -> None:
        self.real, self.heads = real, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def head_object(self, **options: Any) -> Any:
        self.heads.append(options["Key"])
        return self.real.head_object(**options)


def test_a_delta_that_asked_the_bucket_does_not_ask_for_new_objects_again(
    tmp_path: Path, r2_client: Any, bucket: str
) -> None:
    root, _, new, difference = moved(tmp_path, r2_client, bucket)
    s3 = Asked(r2_client)
    done = apply_delta(dataclasses.replace(difference, asked=True), root, s3, bucket)
    assert (done.uploaded.sent, done.deleted, "attachments/new" in s3.heads) == (2, 1, False)
    assert compare(new, r2_client, bucket).equal


def test_an_object_that_came_after_the_bucket_was_asked_is_left_alone(
    tmp_path: Path, r2_client: Any, bucket: str
) -> None:
    root, _, _, difference = moved(tmp_path, r2_client, bucket)
    r2_client.put_object(Bucket=bucket, Key="attachments/new", Body=b"written by the new application")
    result = apply_delta(dataclasses.replace(difference, asked=True), root, r2_client, bucket)
    assert (result.uploaded.sent, result.uploaded.conflicting) == (1, 1)
    assert Bucket(r2_client, bucket).head("attachments/new")["ContentLength"] == 30  # type: ignore[index]


def test_many_objects_are_asked_for_in_the_order_of_the_keys(r2_client: Any, bucket: str) -> None:
    for key in "bd":
        r2_client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    digests = {key: hashlib.md5(key.encode()).hexdigest() for key in "bd"}
    assert list(Bucket(r2_client, bucket).etags("abcd")) == [(key, digests.get(key)) for key in "abcd"]


def test_the_closure_is_proved_on_what_the_bucket_lists(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"a": b"a", "b": b"b"})
    upload(manifest, root, r2_client, bucket)
    keys = [found.key for found in Bucket(r2_client, bucket).list(manifest.prefixes)]
    assert worst(target_closure([("r1", "attachments/a"), ("r2", "attachments/b")], keys)) is Verdict.PASS
    assert [c.keys for c in target_closure([("r1", "attachments/a")], keys)] == [(), ("attachments/b",)]
