"""When things break in the middle: killed processes, lost answers, a busy service, no service, no permission."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from towpath.cloudflare.r2 import r2
from towpath.errors import CannotFinish
from towpath.local import Runtime
from towpath.objects import Bucket, Manifest, Uploaded, compare, entries, upload, walk, write

UPLOADER = """
import sys
from pathlib import Path
from towpath.cloudflare.r2 import r2
from towpath.objects import read, upload
from towpath.secrets import Secret
manifest, root, endpoint, bucket, access, secret = sys.argv[1:]
client = r2(endpoint, Secret("file:" + access), Secret("file:" + secret))
print("start", flush=True)
upload(read(Path(manifest)), Path(root), client, bucket, lambda done: print("done", flush=True), workers=2)
"""


def exported(folder: Path, files: dict[str, bytes]) -> tuple[Path, Manifest]:
    root = folder / "source"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root, write(folder / "objects.jsonl", entries(walk(root)))


class Faulty:
    """A fake around the real client: breaks one operation as long as `times` lasts, `after` the real work or before."""

    def __init__(self, real: Any, operation: str, error: Exception, times: int, *, after: bool) -> None:
        self.real, self.operation, self.error, self.times, self.after = real, operation, error, times, after
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.real, name)
        if not callable(function):
            return function

        def call(**options: Any) -> Any:
            with self.lock:
                self.calls[name] += 1
                breaks = name == self.operation and self.times > 0
                self.times -= breaks
            if breaks and not self.after:
                raise self.error
            answer = function(**options)
            if breaks:
                raise self.error
            return answer

        return call


def lost() -> Exception:
    return ReadTimeoutError(endpoint_url="http://fake")


def busy(status: int = 503) -> Exception:
    answer = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    return ClientError(answer, "PutObject")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, noted instead of slept."""
    noted: list[float] = []
    monkeypatch.setattr("towpath.objects.bucket.sleep", noted.append)
    return noted


def test_a_killed_upload_goes_on_where_it_stopped(
    tmp_path: Path, runtime: Runtime, r2_client: Any, bucket: str
) -> None:
    root, manifest = exported(tmp_path, {f"{n:03}": os.urandom(20_000) for n in range(150)})
    secrets = [tmp_path / "access", tmp_path / "secret"]
    for path, secret in zip(secrets, (runtime.access_key, runtime.secret_key), strict=True):
        path.write_text(secret.reveal())
    arguments = [str(manifest.file), str(root), runtime.s3, bucket, *map(str, secrets)]
    with subprocess.Popen([sys.executable, "-c", UPLOADER, *arguments], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(41)]
        child.send_signal(signal.SIGKILL)
    assert lines == ["start\n"] + ["done\n"] * 40
    assert child.returncode == -signal.SIGKILL
    there = {found.key: found for found in Bucket(r2_client, bucket).list()}
    assert 40 <= len(there) < 150, "killed in the middle"
    assert all(there[e.key].etag == e.etag for e in manifest if e.key in there), "whole objects or none"
    result = upload(manifest, root, r2_client, bucket)
    # a request that was under way when the process died may still have landed after the listing
    assert result.skipped >= len(there)
    assert (result.sent + result.skipped, result.conflicting) == (150, 0)
    assert compare(manifest, r2_client, bucket).equal
    assert upload(manifest, root, r2_client, bucket).sent == 0


def test_two_uploads_at_once_write_every_object_once(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {f"{n:03}": os.urandom(2_000) for n in range(60)})
    results: list[Uploaded] = []
    threads = [
        threading.Thread(target=lambda: results.append(upload(manifest, root, r2_client, bucket))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(r.sent + r.skipped, r.conflicting) for r in results] == [(60, 0), (60, 0)]
    assert compare(manifest, r2_client, bucket).equal


def test_a_lost_answer_is_not_a_second_object(tmp_path: Path, r2_client: Any, bucket: str, pauses: list[float]) -> None:
    root, manifest = exported(tmp_path, {"a": b"a", "b": b"b"})
    fake = Faulty(r2_client, "put_object", lost(), times=1, after=True)
    result = upload(manifest, root, fake, bucket, workers=1)
    assert (result.sent, result.conflicting) == (2, 0)
    assert fake.calls["put_object"] == 3
    assert pauses == [0.2]
    assert compare(manifest, r2_client, bucket).equal


@pytest.mark.parametrize("operation", ["create_multipart_upload", "upload_part", "complete_multipart_upload"])
def test_a_lost_answer_in_the_middle_of_parts(
    operation: str, tmp_path: Path, r2_client: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towpath.objects.content.SINGLE", 6 << 20)
    monkeypatch.setattr("towpath.objects.content.PART", 5 << 20)
    root, manifest = exported(tmp_path, {"large": os.urandom(7 << 20)})
    fake = Faulty(r2_client, operation, lost(), times=1, after=True)
    result = upload(manifest, root, fake, bucket)
    assert (result.sent, result.conflicting) == (1, 0)
    assert compare(manifest, r2_client, bucket).equal


def test_a_busy_service_is_asked_again_with_growing_pauses(
    tmp_path: Path, r2_client: Any, bucket: str, pauses: list[float]
) -> None:
    root, manifest = exported(tmp_path, {"a": b"a"})
    fake = Faulty(r2_client, "put_object", busy(), times=2, after=False)
    assert upload(manifest, root, fake, bucket).sent == 1
    assert pauses == [0.2, 0.4]


@pytest.mark.parametrize(("error", "says"), [(busy(), "answers 503 SlowDown"), (lost(), "does not answer")])
def test_a_service_that_stays_away_stops_with_a_next_step(
    error: Exception, says: str, tmp_path: Path, r2_client: Any, bucket: str
) -> None:
    root, manifest = exported(tmp_path, {"a": b"a"})
    fake = Faulty(r2_client, "put_object", error, times=99, after=False)
    with pytest.raises(CannotFinish, match=rf"key a: {says}.*3 attempts.*it goes on where it stopped"):
        upload(manifest, root, fake, bucket)
    assert list(Bucket(r2_client, bucket).list()) == []


def test_an_answer_that_breaks_off_is_fetched_again(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"a": b"a" * 5_000})
    upload(manifest, root, r2_client, bucket)
    fake = Faulty(r2_client, "get_object", lost(), times=2, after=True)
    assert compare(manifest, fake, bucket).equal
    assert fake.calls["get_object"] == 3


def test_an_object_that_vanishes_while_it_is_compared_is_missing(tmp_path: Path, r2_client: Any, bucket: str) -> None:
    root, manifest = exported(tmp_path, {"a": b"a"})
    upload(manifest, root, r2_client, bucket)

    class Vanishing:
        """A fake around the real client: somebody deletes each object right before it is read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(r2_client, name)

        def get_object(self, **options: Any) -> Any:
            r2_client.delete_object(**options)
            return r2_client.get_object(**options)

    (difference,) = compare(manifest, Vanishing(), bucket).differences
    assert (difference.key, difference.kind) == ("a", "missing")


def test_a_runtime_that_is_not_up_is_told(tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)  # boto3 tries five times by itself
    root, manifest = exported(tmp_path, {"a": b"a"})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers, and nobody else can take the port
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}/cdn-cgi/local/r2/s3"
        client = r2(endpoint, runtime.access_key, runtime.secret_key)
        says = (
            rf"does not answer \(EndpointConnectionError\).*Next: start the service behind r2_endpoint \({endpoint}\)"
        )
        with pytest.raises(CannotFinish, match=says):
            upload(manifest, root, client, "any")


def test_files_and_directories_without_permission_are_named(open_folder: Path, request: pytest.FixtureRequest) -> None:
    (open_folder / "closed").mkdir()
    (open_folder / "closed/inside").write_bytes(b"x")
    (open_folder / "secret").write_bytes(b"x")
    (open_folder / "open").write_bytes(b"x")
    (open_folder / "secret").chmod(0)
    (open_folder / "closed").chmod(0)
    request.getfixturevalue("ordinary_user")
    inventory = walk(open_folder)
    assert [(f.code, f.object) for f in inventory.findings] == [("OB101", "closed"), ("OB101", "secret")]
    assert "Permission denied" in inventory.findings[0].message
    assert [file.key for file in inventory.files()] == ["open"]
