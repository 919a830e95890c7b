"""Load by a real locust in a process of its own: its numbers, and every way in which it brings none."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.small_side import Reply, as_json, small_side

from towpath.errors import CannotFinish
from towpath.parity.load import Asked, put_under_load
from towpath.routes.corpus import Recorded

USER = """
from locust import HttpUser, task
class Reader(HttpUser):
    @task
    def read(self):
        {work}
"""


def asked(path: str, status: int = 200) -> Asked:
    return Asked(f"GET {path}", Recorded(f"GET {path}", "GET", path, {"x-mine": "1"}, b"", "hand"), status)


def crowd(folder: Path, work: str) -> Path:
    """A locustfile whose user does this."""
    path = folder / "locustfile.py"
    path.write_text(USER.format(work=work), encoding="utf-8")
    return path


def test_users_read_and_errors_are_counted_by_route() -> None:
    seen: list[tuple[str, str]] = []

    def answer(_: str, path: str, headers: Mapping[str, str], __: bytes) -> Reply | None:
        seen.append((path, headers.get("x-mine", "")))
        replies: dict[str, Reply | None] = {
            "/gone": as_json({}, 404),
            "/broken": as_json({}, 500),
            "/moved": (302, {"Location": "/ok"}, b""),
            "/silent": None,
        }
        return replies.get(path, as_json({}))

    requests = [asked("/ok"), asked("/gone", 404), asked("/moved", 302), asked("/broken"), asked("/silent", 0)]
    with small_side(answer) as url:
        load = put_under_load(f"{url}/", requests, users=60, seconds=3)
    by_route = {one.route: one for one in load.routes}
    assert {path for path, _ in seen} == {"/ok", "/gone", "/moved", "/broken", "/silent"}
    assert {mine for _, mine in seen} == {"1"}
    for name in ("/ok", "/gone", "/moved"):
        assert by_route[f"GET {name}"].errors == 0, name
    for name in ("/broken", "/silent"):
        assert by_route[f"GET {name}"].errors == by_route[f"GET {name}"].requests, name
    assert load.total.requests == sum(one.requests for one in load.routes) <= len(seen)
    assert load.total.requests <= 60 * 10, "each user sends one a second"
    assert 0 < load.total.p50 <= load.total.p95 <= load.total.p99
    assert 0 < load.total.errors_percent < 100


def test_another_status_than_before_is_an_error() -> None:
    with small_side(lambda *_: as_json({}, 404)) as url:
        load = put_under_load(url, [asked("/a", 200)], users=1, seconds=3)
    assert load.total.errors == load.total.requests > 0


@pytest.mark.parametrize(
    ("work", "grace", "what"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 60, "it was killed by signal 9"),
        ("import os; os._exit(3)", 60, "it ended with exit code 3"),
        ("import os; os.pause() if hasattr(os, 'pause') else __import__('signal').pause()", 4, "did not end within"),
        ("pass", 60, "no request was sent"),
    ],
    ids=["killed", "broken", "hung", "idle"],
)
def test_no_numbers_are_no_success(tmp_path: Path, work: str, grace: float, what: str) -> None:
    with small_side(lambda *_: as_json({})) as url, pytest.raises(CannotFinish, match=what):
        put_under_load(url, [asked("/a")], users=1, seconds=1, crowd=crowd(tmp_path, work), grace=grace)


def test_what_it_is_told_is_for_nobody_else_and_goes_away(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TOWPATH_TEST_SECRET", "never-shown")
    note = tmp_path / "note"
    words = "import os, pathlib; told = pathlib.Path(os.environ['TOWPATH_CROWD']); "
    words += f"pathlib.Path({str(note)!r}).write_text(oct(told.parent.stat().st_mode) + str(dict(os.environ))); "
    words += "self.client.get('/a')"
    with small_side(lambda *_: as_json({})) as url:
        put_under_load(url, [asked("/a")], users=1, seconds=3, crowd=crowd(tmp_path, words))
    assert note.read_text(encoding="utf-8").startswith("0o40700")
    assert "TOWPATH_TEST_SECRET" not in note.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("towpath-load")] == []


def test_gevent_never_comes_into_this_process() -> None:
    assert "TOWPATH_CROWD" not in os.environ
    assert not {"locust", "gevent"} & set(sys.modules)
