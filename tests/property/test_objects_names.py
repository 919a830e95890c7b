"""Whatever a file is called: one normal key, a manifest that gives it back, and a bucket that holds it."""

from __future__ import annotations

import hashlib
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from towpath.objects import Bucket, Entry, compare, entries, read, upload, walk, write
from towpath.objects.inventory import key_of
from towpath.objects.rules import LINE_BREAKS

# any name a Unix file system takes, as one part of a path; surrogates stand for bytes that are not UTF-8
part = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 200
)
path = st.lists(part, min_size=1, max_size=3).map("/".join)
portable = path.filter(lambda name: not set(name) & set(LINE_BREAKS))
COMBINED = "a\u0308\u0323"  # two marks in an order that NFC changes
TALL = "\u1e9b\u0323"


@given(path)
@example(COMBINED)
@example("\ufb01\u2126\u212b")  # a ligature stays, ohm and angstrom become letters
@example(TALL)
def test_a_key_is_normal_and_stays_what_it_is(name: str) -> None:
    key = key_of(name)
    assert unicodedata.is_normalized("NFC", key)
    assert key_of(key) == key
    assert key_of(unicodedata.normalize("NFD", name)) == key
    assert key.count("/") == name.count("/"), "normalisation makes no directories"


def entry(name: str, data: bytes) -> Entry:
    md5 = hashlib.md5(data).hexdigest()
    sha256 = hashlib.sha256(data).hexdigest()
    return Entry(key_of(name), name, len(data), sha256, md5, md5, "text/plain", "private", None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(path, st.binary(max_size=20), max_size=8))
def test_a_manifest_gives_back_what_was_written(tmp_path: Path, files: dict[str, bytes]) -> None:
    by_key = {key_of(name): entry(name, data) for name, data in files.items()}
    given = [by_key[key] for key in sorted(by_key)]
    write(tmp_path / "m.jsonl", given)
    again = read(tmp_path / "m.jsonl")
    assert list(again) == given
    assert (again.objects, again.bytes) == (len(given), sum(e.size for e in given))


@settings(deadline=None)
@given(st.sets(path, min_size=1, max_size=6))
def test_every_file_is_either_listed_under_its_key_or_named_in_a_finding(names: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = {name for name in names if _created(root / name)}
        inventory = walk(root)
        listed = {file.path for file in inventory.files()}
        broken = {name for name in made if set(name) & set(LINE_BREAKS)}
        assert listed == made - broken
        assert {f.samples[0] for f in inventory.findings if f.code == "OB109"} == {key_of(name) for name in broken}
        keys = [file.key for file in inventory.files()]
        assert keys == sorted(keys, key=str.encode)
        equal = {f.object for f in inventory.findings if f.code == "OB110"}
        assert equal == {key for key in keys if keys.count(key) > 1}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(portable, min_size=1, max_size=5))
def test_any_name_makes_the_whole_journey_to_the_bucket(names: set[str], r2_client: Any, bucket: str) -> None:
    for left in list(Bucket(r2_client, bucket).list()):
        r2_client.delete_object(Bucket=bucket, Key=left.key)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "source")
        root.mkdir()
        for name in {key_of(name): name for name in names}.values():
            _created(root / name)
        manifest = write(Path(folder, "m.jsonl"), entries(walk(root)))
        upload(manifest, root, r2_client, bucket)
        assert [found.key for found in Bucket(r2_client, bucket).list()] == [entry.key for entry in manifest]
        proof = compare(manifest, r2_client, bucket)
        assert proof.equal, proof.differences


def _created(path: Path) -> bool:
    """Write the path's name into it; False where an earlier file or directory of another name is in the way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return False
        path.write_bytes(path.name.encode())
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return False
    return True
