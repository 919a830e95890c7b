"""What the freeze of a real voyage reads again of the files: what changed, on either side, and nothing less.

One project of the tiny source is carried over and proved.  Dry runs of 06-cutover then look at it after each fault; a
dry run compares the bucket with what 05-validate proved, and reads the source as the real one does.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.project import PHASES, Project
from helpers.tiny import tiny
from helpers.waiting import until

from towpath.objects.bucket import TICK
from towpath.objects.seen import TICK_NS, tells_changes


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The tiny source, carried over and proved, each step well after what it looks at was written."""
    with tiny(tmp_path_factory.mktemp("freeze") / "project") as made:
        ran = made.phases(*PHASES[:3])
        assert ran.code == 0, ran.text
        until(lambda: newest(made) + TICK_NS < time.time_ns(), "the files never settle")
        ran = made.phases(*PHASES[3:5])
        assert ran.code == 0, ran.text
        until(lambda: written(made) + TICK < dt.datetime.now(dt.UTC), "the objects never settle")
        ran = made.phases(PHASES[5])
        assert ran.code == 0, ran.text
        yield made


def files(project: Project) -> list[Path]:
    return sorted(path for path in (project.data / "attachments").rglob("*") if path.is_file())


def newest(project: Project) -> int:
    return max(path.stat().st_ctime_ns for path in files(project))


def written(project: Project) -> dt.datetime:
    with closing(project.runtime.r2()) as s3:
        return max(found["LastModified"] for found in s3.list_objects_v2(Bucket=project.runtime.bucket)["Contents"])


def dry_run(project: Project) -> tuple[int, str, list[str]]:
    """How many files of the source were read, what is said of the bucket's, and the codes that fail."""
    project.change_params(approved_plan="")
    try:
        project.phases(PHASES[6])
    finally:
        project.change_params(approved_plan="rehearsal")
    stem = [stem for stem in project.verdicts() if stem.startswith(PHASES[6])][-1]
    result = project.result(stem)
    numbers = {number["name"]: number["value"] for number in result["numbers"]}
    said = next((check["found"] for check in result["checks"] if check["code"] == "OB404"), result["error"])
    return numbers["files_read"], said, [check["code"] for check in project.failed(stem)]


def told(read: int, proved: int) -> str:
    return (
        f"{read + proved} equal, {read} read whole now, {proved} proved by content in 05-validate and not written since"
    )


def rewrite_a_file(project: Project) -> None:
    """As many other bytes, and the old modification time: nothing but the change time tells."""
    path = files(project)[0]
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_again(project: Project, **other: str) -> None:
    """The first object once more, with the same bytes; its headers are as they were but for `other`."""
    with closing(project.runtime.r2()) as s3:
        key = files(project)[0].relative_to(project.data).as_posix()
        there = s3.get_object(Bucket=project.runtime.bucket, Key=key)
        headers = {name: there[name] for name in ("ContentType", "CacheControl", "Metadata")} | other
        s3.put_object(Bucket=project.runtime.bucket, Key=key, Body=there["Body"].read(), **headers)


def test_headers_that_somebody_changed_since_fail_the_proof(project: Project) -> None:
    number = len(files(project))
    put_again(project, ContentType="text/html")
    try:
        _, said, failed = dry_run(project)
        assert (said, failed) == (told(1, number - 1), ["OB405"])
    finally:
        put_again(project, ContentType="text/plain")


@pytest.fixture
def lists(project: Project) -> Iterator[list[Path]]:
    """The two lists of the record, which are put back after the test."""
    paths = [project.folder / name for name in ("snapshot/seen.jsonl", "validate/objects-proved.jsonl")]
    whole = [path.read_bytes() for path in paths]
    yield paths
    for path, data in zip(paths, whole, strict=True):
        path.write_bytes(data)


def forge(path: Path) -> None:
    """A list that is whole, and not the one that its phase wrote: one space less at the end of its first line."""
    path.write_bytes(path.read_bytes().replace(b" \n", b"\n", 1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def test_without_the_lists_as_they_were_written_everything_is_read(project: Project, lists: list[Path]) -> None:
    seen, proved = lists
    forge(seen)
    cut(proved)
    number = len(files(project))
    assert dry_run(project) == (number, f"{number} equal", [])


def test_the_cutover_reads_what_changed_on_either_side_and_arrives(project: Project) -> None:
    number = len(files(project))
    put_again(project)
    rewrite_a_file(project)
    read, said, failed = dry_run(project)
    assert (read, failed) == (1 if tells_changes(project.data) else number, [])
    assert said == told(1, number - 1)
    ran = project.phases(PHASES[6])
    assert ran.code == 0, ran.text
    on_disk = {path.relative_to(project.data).as_posix(): path.read_bytes() for path in files(project)}
    assert project.objects() == on_disk
