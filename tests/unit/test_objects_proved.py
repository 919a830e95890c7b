"""What a second proof need not fetch: objects that the first read whole, and that nobody has written since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Comparison
from towpath.errors import BadInput, WrongUse
from towpath.objects import Bucket, Manifest, apply_delta, compare, delta, entries, read_proved, upload, walk, write
from towpath.objects import bucket as room
from towpath.objects import proved as list_of
from towpath.streams import kept

FILES = {"a": b"aaa", "b": b"bbb", "c": b"", "naïve 漢字": b"four"}
EACH = "proved by content in 05-validate and not written since"


class Counted:
    """The real client; counts what was fetched and asked for."""

    def __init__(self, real: Any) -> None:
        self.real, self.asked = real, list[str]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in ("get_object", "head_object"):
            return found

        def call(**options: Any) -> Any:
            self.asked.append(f"{name} {options['Key']}")
            return found(**options)

        return call


class Moved:
    """Files that were uploaded and proved by content."""

    def __init__(self, folder: Path, s3: Any, bucket: str) -> None:
        self.folder, self.s3, self.bucket = folder, Counted(s3), bucket
        self.root, self.kept = folder / "source", folder / "proved.jsonl"
        for name, data in FILES.items():
            self.put(name, data)
        self.manifest = self.listed("objects.jsonl")
        upload(self.manifest, self.root, s3, bucket)
        assert self.proved().equal
        self.s3.asked.clear()

    def put(self, name: str, data: bytes) -> None:
        path = self.root / "attachments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def listed(self, name: str) -> Manifest:
        found = walk(self.root, ["attachments"])
        return write(self.folder / name, entries(found), found.prefixes)

    def proved(self) -> Comparison:
        return compare(self.manifest, self.s3, self.bucket, keep=self.kept, same_clock=True)

    def again(self, manifest: Manifest | None = None) -> Comparison:
        before = read_proved(self.kept, self.bucket, "05-validate")
        return compare(manifest or self.manifest, self.s3, self.bucket, before=before)

    def overwrite(self, name: str, body: bytes, **headers: str) -> None:
        told = {"ContentType": "application/octet-stream", "CacheControl": "private, no-cache"}
        self.s3.put_object(Bucket=self.bucket, Key=f"attachments/{name}", Body=body, **{**told, **headers})


@pytest.fixture
def moved(tmp_path: Path, r2_client: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Moved:
    monkeypatch.setattr(room, "TICK", dt.timedelta(0))  # nobody waits in a test; what it is for has tests of its own
    return Moved(tmp_path, r2_client, bucket)


def found_of(comparison: Comparison, code: str) -> str:
    return next(check.found for check in comparison.checks if check.code == code)


def test_what_nobody_has_written_since_is_not_fetched(moved: Moved) -> None:
    again = moved.again()
    assert (again.equal, moved.s3.asked) == (True, [])
    assert again.compared == {"objects": 4, "bytes": moved.manifest.bytes, "read whole now": 0, EACH: 4}
    for code in ("OB404", "OB405"):
        assert found_of(again, code) == f"4 equal, 0 read whole now, 4 {EACH}"


def test_the_first_proof_reads_everything_and_says_nothing_of_before(moved: Moved) -> None:
    first = moved.proved()
    assert len(moved.s3.asked) == 4
    assert (first.compared, found_of(first, "OB404")) == ({"objects": 4, "bytes": moved.manifest.bytes}, "4 equal")


def same_size(moved: Moved) -> None:
    moved.overwrite("a", b"aXa")


def same_content(moved: Moved) -> None:
    moved.overwrite("a", b"aaa")


def other_headers(moved: Moved) -> None:
    """The object copied onto itself, with another type: size and ETag stay as they were."""
    source = {"Bucket": moved.bucket, "Key": "attachments/a"}
    moved.s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", ContentType="text/css")


def gone_and_back(moved: Moved) -> None:
    moved.s3.delete_object(Bucket=moved.bucket, Key="attachments/a")
    moved.overwrite("a", b"aaa")


@pytest.mark.parametrize(
    ("change", "codes"),
    [(same_size, {"OB404"}), (same_content, set()), (other_headers, {"OB405"}), (gone_and_back, set())],
)
def test_what_was_written_since_is_read_whole_with_its_headers(
    change: Callable[[Moved], None], codes: set[str], moved: Moved
) -> None:
    change(moved)
    again = moved.again()
    assert moved.s3.asked == ["get_object attachments/a"]
    assert {check.code for check in again.checks if check.verdict == "FAIL"} == codes
    assert all(found_of(again, code) == f"1 differ, 1 read whole now, 3 {EACH}" for code in codes)
    assert (again.compared["read whole now"], again.compared[EACH]) == (1, 3)
    assert {difference.key for difference in again.differences} == ({"attachments/a"} if codes else set())


def test_what_is_missing_and_what_is_too_many_is_named_as_before(moved: Moved) -> None:
    moved.s3.delete_object(Bucket=moved.bucket, Key="attachments/b")
    moved.overwrite("extra", b"?")
    again = moved.again()
    assert [(d.key, d.kind) for d in again.differences] == [
        ("attachments/b", "missing"),
        ("attachments/extra", "extra"),
    ]
    assert (moved.s3.asked, again.compared["read whole now"], again.compared[EACH]) == ([], 0, 3)


def test_what_the_cutover_changed_is_read_and_nothing_else(moved: Moved) -> None:
    moved.put("a", b"AAA")
    moved.put("new", b"born")
    (moved.root / "attachments/b").unlink()
    now = moved.listed("now.jsonl")
    apply_delta(delta(moved.manifest, now), moved.root, moved.s3, moved.bucket)
    moved.s3.asked.clear()
    again = moved.again(now)
    assert again.equal
    assert sorted(moved.s3.asked) == ["get_object attachments/a", "get_object attachments/new"]


def test_an_entry_that_wants_something_else_is_read(moved: Moved) -> None:
    """The bucket is as it was, the list is not: the old proof says nothing of it."""
    moved.put("a", b"AAA")
    again = moved.again(moved.listed("now.jsonl"))
    assert [(d.key, d.column) for d in again.differences] == [("attachments/a", "sha256")]


def test_what_differed_is_not_kept(moved: Moved) -> None:
    moved.overwrite("a", b"aXa")
    assert not moved.proved().equal
    assert [row[0] for row in read_proved(moved.kept, moved.bucket, "").kept] == [
        f"attachments/{name}" for name in ("b", "c", "naïve 漢字")
    ]


class Dated:
    """The real client, whose listings also tell the time, as R2's do."""

    def __init__(self, real: Any, date: str) -> None:
        self.real, self.date = real, date

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def list_objects_v2(self, **options: Any) -> Any:
        answer = self.real.list_objects_v2(**options)
        answer["ResponseMetadata"]["HTTPHeaders"]["date"] = self.date
        return answer


@pytest.mark.parametrize(("seconds", "settled"), [(-3600, False), (0, False), (1, False), (3600, True), (None, False)])
def test_an_object_that_was_written_right_before_it_was_listed_is_not_believed(
    seconds: int | None, settled: bool, r2_client: Any, bucket: str
) -> None:
    r2_client.put_object(Bucket=bucket, Key="a", Body=b"")
    (written,) = [o["LastModified"] for o in r2_client.list_objects_v2(Bucket=bucket)["Contents"]]
    date = "no date"
    if seconds is not None:
        date = format_datetime(written.astimezone(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)
    (listed,) = Bucket(Dated(r2_client, date), bucket, same_clock=True).list()
    assert (listed.settled, listed.written) == (settled, written.astimezone(dt.UTC).isoformat())


def test_a_service_that_does_not_tell_the_time_is_believed_only_on_this_machine(
    r2_client: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TICK", dt.timedelta(0))
    r2_client.put_object(Bucket=bucket, Key="a", Body=b"")
    for here in (True, False):
        assert [listed.settled for listed in Bucket(r2_client, bucket, same_clock=here).list()] == [here]


def test_an_object_that_has_not_settled_is_not_kept(moved: Moved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "TICK", dt.timedelta(days=1))
    assert moved.proved().equal
    assert list(read_proved(moved.kept, moved.bucket, "").kept) == []
    assert moved.again().compared["read whole now"] == 4


def test_a_proof_that_broke_off_leaves_no_list(moved: Moved) -> None:
    moved.kept.unlink()
    moved.s3.get_object = lambda **_: 1 / 0  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        moved.proved()
    assert [path.name for path in moved.folder.iterdir() if "proved" in path.name] == []


@pytest.mark.parametrize("bucket_of_list", ["another", ""])
def test_a_list_of_another_bucket_is_refused(bucket_of_list: str, moved: Moved) -> None:
    with pytest.raises(BadInput, match="belongs to another bucket"):
        read_proved(moved.kept, bucket_of_list, "")


def test_a_list_that_is_cut_or_of_another_kind_is_refused(moved: Moved) -> None:
    whole = moved.kept.read_bytes()
    moved.kept.write_bytes(whole[:-5])
    with pytest.raises(BadInput):
        read_proved(moved.kept, moved.bucket, "")
    kept.keep(moved.kept, list_of.KIND, {"bucket": moved.bucket, "manifest": "m"}, lambda add: add(["a"]))
    with pytest.raises(BadInput, match="line 2"):
        read_proved(moved.kept, moved.bucket, "")


def test_a_proof_by_etag_keeps_nothing(moved: Moved) -> None:
    with pytest.raises(WrongUse, match="only what was read can be kept"):
        compare(moved.manifest, moved.s3, moved.bucket, by="etag", keep=moved.kept)
