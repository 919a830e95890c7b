"""The real runtime: start, self-test, restart with its data, run on after the command, be stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from towpath.cloudflare import D1
from towpath.errors import CannotFinish, WrongUse
from towpath.local import Runtime, State, down, down_all, selftest, start, status, up
from towpath.local.processes import free, marked

NAMES = {"bucket": "towpath-test", "database_id": "joan-local"}


def test_the_runtime_behaves_as_it_was_measured(runtime: Runtime, root: Path) -> None:
    proofs = selftest(runtime, root)
    assert len(proofs) == 9
    assert all(proof.holds for proof in proofs)


def test_the_selftest_leaves_nothing_behind(runtime: Runtime, root: Path, bucket: str) -> None:
    selftest(runtime, root)
    with runtime.client() as client:
        assert D1(client, "towpath-selftest").facts().empty
    s3 = runtime.r2()
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.close()


def test_a_runtime_that_behaves_otherwise_is_an_error_with_versions(runtime: Runtime, root: Path) -> None:
    other = replace(runtime, bucket="nobody-declared-this")
    with pytest.raises(CannotFinish, match="R2's ETag of a single put is the MD5") as caught:
        selftest(other, root)
    assert f"running: miniflare {runtime.versions['miniflare']}" in caught.value.line
    assert f"pinned: miniflare {runtime.versions['miniflare']}" in caught.value.line
    assert "a batch is one transaction" not in caught.value.line  # what holds is not named


def test_no_secret_of_ours_reaches_the_runtime(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "canary-4711")
    state = State(tmp_path / "state")
    with start("joan", "local", 0, root=root, state=state, **NAMES):
        secret = state.secret_key.reveal()
        processes = marked(state.folder)
        assert len(processes) == 2  # node and workerd
        for process in processes:
            seen = " ".join(process.cmdline()) + " ".join(process.environ().values())
            assert "canary-4711" not in seen
            assert secret not in seen


def test_data_outlive_the_runtime_and_nothing_else_does(tmp_path: Path, root: Path) -> None:
    state = State(tmp_path / "state")
    with start("joan", "local", 0, root=root, state=state, **NAMES) as first:
        assert len(marked(state.folder)) == 2  # node and workerd
        again = start("joan", "local", 0, root=root, state=state, **NAMES)
        with pytest.raises(WrongUse, match=f"already serves this state .*port {first.port}"), again:
            pass
        with first.client() as client:
            D1(client, "joan-local").batch(["CREATE TABLE t (a)", "INSERT INTO t VALUES (7)"])
        s3 = first.r2()
        s3.put_object(Bucket="towpath-test", Key="k", Body=b"x")
        s3.close()
    assert marked(state.folder) == []
    assert free(first.port)
    assert state.read() is None
    assert not state.scratch.exists()
    with start("joan", "local", first.port, root=root, state=state, **NAMES) as again:
        assert again.port == first.port
        with again.client() as client:
            assert D1(client, "joan-local").query("SELECT a FROM t").rows == [[7]]
        s3 = again.r2()
        assert s3.get_object(Bucket="towpath-test", Key="k")["Body"].read() == b"x"
        s3.close()


def test_up_status_down(tmp_path: Path) -> None:
    root = tmp_path / "project"
    _link_packages(root)
    state = State.of(root, "joan", "local")
    assert status(state).line == "down"
    try:
        first, started = up("joan", "local", 0, root=root, **NAMES)
        assert started
        now = status(state)
        assert now.answering
        assert now.line == f"up on port {first.port}, pid {first.pid}, until `towpath local down`"
        with first.client() as client:
            D1(client, "joan-local").batch(["CREATE TABLE t (a)"])

        same, started = up("joan", "local", first.port, root=root, **NAMES)
        assert (same, started) == (first, False)

        other, started = up("joan", "local", 0, root=root, bucket="another", database_id="joan-local")
        assert started
        assert status(state).record.pid == other.pid != first.pid
        with other.client() as client:
            assert D1(client, "joan-local").facts().tables == (("t", 0),)

        fresh, started = up("joan", "local", other.port, root=root, fresh=True, **NAMES)
        assert started
        with fresh.client() as client:
            assert D1(client, "joan-local").facts().empty
    finally:
        stopped = down_all(root)
    assert stopped == [state.folder]
    assert marked(state.folder) == []
    assert not down(state)


def test_what_is_not_installed_is_said(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"npm packages are not installed.*make install"):
        up("joan", "local", 0, root=tmp_path, **NAMES)
    assert not (tmp_path / "build").exists()


def _link_packages(root: Path) -> None:
    """A project folder of its own, so that `down_all` finds only what this test started."""
    here = Path(__file__).resolve().parents[2]
    root.mkdir()
    (root / "package.json").symlink_to(here / "package.json")
    (root / "node_modules").symlink_to(here / "node_modules")
