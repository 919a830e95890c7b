"""Places, in a folder and in a bucket of the real local runtime: whole, never overwritten, one machine at a time."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.records import result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.local import Runtime
from towpath.places.address import open_place
from towpath.places.bucket import BucketStore
from towpath.places.holding import Holding
from towpath.places.record import Home, history, homes, read_state
from towpath.places.store import FolderStore, Store
from towpath.places.sync import CONFLICT, Copied, bring, bring_to, keep
from towpath.runs.folder import RunFolder
from towpath.runs.results import write_result

RUN = "20260131T081500Z-1a2b"
HOME = Home("joan", "local", RUN)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "place")
    return BucketStore(request.getfixturevalue("r2_client"), request.getfixturevalue("bucket"), "kept/here")


def machine(root: Path) -> Path:
    """A project's root on a machine of its own."""
    root.mkdir()
    return root


def opened(root: Path) -> RunFolder:
    """A run with one attempt, and files of every kind."""
    folder = root / "outputs" / "joan" / "local" / RUN
    folder.mkdir(parents=True)
    head = {"format": 1, "run": RUN, "system": "joan", "environment": "local", "plan": "ab" * 32, "phases": []}
    (folder / "run.json").write_text(json.dumps({**head, "attempts": []}))
    run = RunFolder(folder, "joan", "local", RUN)
    attempt(run, "01-inventory")
    (folder / "snapshot").mkdir()
    (folder / "snapshot/snapshot.sqlite").write_bytes(os.urandom(5_000))
    (folder / "snapshot/snapshot.sqlite").chmod(0o444)
    return run


def attempt(run: RunFolder, phase: str, text: str = "") -> None:
    """One more attempt: a result, a line of the journal, run.json and the page anew."""
    write_result(run.path, result(phase, error=text))
    head = run.head
    head["attempts"].append({"phase": phase, "attempt": 1, "started": ""})
    (run.path / "run.json").write_text(json.dumps(head))
    with (run.path / "journal.jsonl").open("a") as journal:
        journal.write(f'{{"phase": "{phase}"}}\n')
    (run.path / "index.html").write_text(f"<p>{phase}</p>")


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything(store: Store) -> dict[str, bytes | None]:
    return {name: store.read(name) for name, _ in store.names("")}


def there(root: Path) -> RunFolder:
    return RunFolder(root / "outputs" / "joan" / "local" / RUN, "joan", "local", RUN)


def test_a_run_goes_there_and_comes_back_on_another_machine_phase_by_phase(store: Store, tmp_path: Path) -> None:
    here, other = opened(machine(tmp_path / "here")), machine(tmp_path / "other")
    first = keep(store, here)
    assert (first.number, first.files) == (1, 5)
    assert keep(store, here) == Copied(HOME, 1, 0, 0)
    assert bring(store, other, HOME).files == 5
    assert tree(there(other).path) == tree(here.path)
    assert not os.access(there(other).path / "snapshot/snapshot.sqlite", os.W_OK) or os.geteuid() == 0
    assert (there(other).path / "snapshot/snapshot.sqlite").stat().st_mode & 0o222 == 0

    before = everything(store)
    attempt(there(other), "02-schema")  # the other machine goes on, …
    assert (keep(store, there(other)).number, keep(store, there(other)).files) == (2, 0)
    assert bring(store, tmp_path / "here", HOME).files == 4  # … and the first one after it
    assert tree(here.path) == tree(there(other).path)
    assert {name: data for name, data in everything(store).items() if name in before} == before, (
        "nothing is overwritten"
    )
    assert [state.number for state in history(store, HOME)] == [1, 2]
    assert homes(store) == {HOME: 2}


def test_two_machines_that_wrote_the_same_run_are_refused_and_named(store: Store, tmp_path: Path) -> None:
    here, other = opened(machine(tmp_path / "here")), machine(tmp_path / "other")
    keep(store, here)
    bring(store, other, HOME)
    attempt(here, "02-schema", "of this machine")
    attempt(there(other), "02-schema", "of the other one")
    keep(store, here)
    for refused in (lambda: keep(store, there(other)), lambda: bring(store, other, HOME)):
        with pytest.raises(WrongUse, match=r"two machines wrote 02-schema\.result\.json") as error:
            refused()
        assert error.value.code == CONFLICT
    (there(other).path / "02-schema.result.json").unlink()
    attempt(there(other), "03-export")
    with pytest.raises(WrongUse, match=r"03-export.result.json is only here, 02-schema.result.json only there"):
        bring(store, other, HOME)


def test_of_two_that_keep_at_the_same_moment_one_is_refused(store: Store, tmp_path: Path) -> None:
    here, other = opened(machine(tmp_path / "here")), machine(tmp_path / "other")
    keep(store, here)
    bring(store, other, HOME)
    attempt(there(other), "02-schema")

    class Late:
        """The other machine's state comes between the files and the state of this one."""

        def __init__(self, store: Store) -> None:
            self.store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self.store, name)

        def create(self, name: str, data: bytes) -> bool:
            keep(store, there(other))
            return store.create(name, data)

    (here.path / "approvals").mkdir()
    (here.path / "approvals/ana.json").write_text("{}")
    with pytest.raises(WrongUse, match="kept the run meanwhile"):
        keep(Late(store), here)  # type: ignore[arg-type]
    assert bring(store, tmp_path / "here", HOME).files
    assert keep(store, here).number == 3
    assert "approvals/ana.json" in read_state(store, HOME).by_path  # type: ignore[union-attr]


def test_approvals_of_two_machines_come_together(store: Store, tmp_path: Path) -> None:
    here, other = opened(machine(tmp_path / "here")), machine(tmp_path / "other")
    keep(store, here)
    bring(store, other, HOME)
    for run, name in ((here, "ana"), (there(other), "ben")):
        (run.path / "approvals").mkdir()
        (run.path / f"approvals/{name}.json").write_text(name)
        (run.path / "index.html").write_text(f"<p>approved by {name}</p>")
    keep(store, here)
    with pytest.raises(WrongUse, match="the place is ahead"):
        keep(store, there(other))
    bring(store, other, HOME)
    keep(store, there(other))
    bring(store, tmp_path / "here", HOME)
    assert tree(here.path) == tree(there(other).path)
    assert {path.name for path in (here.path / "approvals").iterdir()} == {"ana.json", "ben.json"}


def test_a_copy_that_was_cut_anywhere_goes_on(store: Store, tmp_path: Path) -> None:
    """Cut before each request, on the way there and on the way back."""
    here = opened(machine(tmp_path / "here"))

    class Cut:
        """A place whose line is cut after so many requests."""

        def __init__(self, requests: int) -> None:
            self.left = requests

        def __getattr__(self, name: str) -> Any:
            if name == "address":
                return store.address

            def request(*words: Any) -> Any:
                if name == "send":  # one file a request
                    return sum(self.once("send", [one]) for one in words[0])
                return self.once(name, *words)

            return request

        def once(self, name: str, *words: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise CannotFinish("cut", next="repeat")
            return getattr(store, name)(*words)

    cuts = 0
    for requests in range(100):
        try:
            done = keep(Cut(requests), here)  # type: ignore[arg-type]
        except CannotFinish:
            cuts += 1
            assert homes(store) == {}, "half a run is none"
        else:
            assert done.number == 1
            break
    assert cuts > 5
    other, cuts = machine(tmp_path / "other"), 0
    for requests in range(100):
        try:
            bring(Cut(requests), other, HOME)  # type: ignore[arg-type]
        except CannotFinish:
            cuts += 1
            assert not there(other).path.exists(), "half a run is none"
        else:
            break
    assert cuts == 5
    attempt(here, "02-schema")
    keep(store, here)
    for requests in range(100):  # into a folder that is there: what has come stays
        try:
            bring(Cut(requests), other, HOME)  # type: ignore[arg-type]
        except CannotFinish:
            assert there(other).attempts()
            if requests > 2:
                with pytest.raises(WrongUse, match="was cut"):
                    keep(store, there(other))
        else:
            break
    assert tree(there(other).path) == tree(here.path)


def test_a_remote_byte_that_was_edited_is_found(store: Store, tmp_path: Path) -> None:
    keep(store, opened(machine(tmp_path / "here")))
    (name,) = [name for name, _ in store.names("") if "/snapshot.sqlite/" in name]
    data = bytearray(store.read(name) or b"")
    data[17] ^= 1
    store.remove(name)
    assert store.create(name, bytes(data))
    with pytest.raises(CannotFinish, match="holds other bytes than its name says"):
        bring(store, machine(tmp_path / "other"), HOME)
    assert not there(tmp_path / "other").path.exists()
    store.remove(name)
    with pytest.raises(CannotFinish):
        bring(store, tmp_path / "other", HOME)


@pytest.mark.parametrize("path", ["../../../out", "/etc/out", "a/../../out", "", "./a", "a//b", "nul\0"])
def test_a_state_that_leads_out_of_the_run_is_none(store: Store, tmp_path: Path, path: str) -> None:
    keep(store, opened(machine(tmp_path / "here")))
    state = json.loads(store.read(HOME.state(1)) or b"")
    state["files"][0]["path"], state["number"] = path, 2
    store.create(HOME.state(2), json.dumps(state).encode())
    with pytest.raises(BadInput, match="is no state of that run"):
        bring(store, machine(tmp_path / "other"), HOME)


def test_states_follow_each_other_or_it_is_told(store: Store, tmp_path: Path) -> None:
    here = opened(machine(tmp_path / "here"))
    keep(store, here)
    attempt(here, "02-schema")
    keep(store, here)
    store.remove(HOME.state(1))
    with pytest.raises(BadInput, match="does not follow"):
        list(history(store, HOME))


def test_a_record_that_is_not_as_its_seal_names_it_is_kept_nowhere(toy: Any, tmp_path: Path) -> None:
    from towpath.cli.command import run_command

    opening = (
        "from towpath.runs.run import open_run\nrun = open_run({!r}, vars())\nrun.identify(source='s', target='t')"
    )
    for phase in ("01-inventory", "02-schema", "03-export"):
        toy.notebook(phase, opening.format(phase), "run.check('TB401', 'tables', 'tasks', 3, 3, True)\nrun.close()")
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 0
    run = RunFolder.current(toy.root, "toy", "local")
    assert run is not None
    page = run.path / "01-inventory.html"
    page.write_bytes(page.read_bytes() + b" ")
    with pytest.raises(BadInput, match="is not as its seal names it"):
        keep(FolderStore(tmp_path / "place"), run)


def test_one_machine_at_a_time(store: Store) -> None:
    first, second = Holding(store, "joan", "staging"), Holding(store, "joan", "staging")
    with first.take("towpath run joan"), pytest.raises(WrongUse, match=r"is held by .* for towpath run joan") as error:
        second.take("another")
    assert error.value.code == "RN003"
    assert "towpath place unlock joan --env staging" in error.value.next
    with second.take("now it may"):
        with Holding(store, "joan", "local").take("another environment"):
            pass
        assert "now it may" in first.unlock()
        with first.take("the dead one's place"):
            second.release()
            assert "the dead one's place" in second.holder(), "what somebody else holds by now stays"
    assert first.holder() == ""


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0\\", exclude_categories=["Cc", "Cs", "Cn", "Co"]))
PARTS = NAMES.filter(lambda name: 0 < len(name.encode()) < 40 and name not in (".", "..") and name[0] not in " .")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(PATHS, st.binary(max_size=2_000), min_size=1, max_size=6))
def test_any_files_arrive_byte_for_byte(
    files: dict[str, bytes], r2_client: Any, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("files")
    run = RunFolder(folder / "outputs/joan/local" / RUN, "joan", "local", RUN)
    run.path.mkdir(parents=True)
    (run.path / "run.json").write_text(json.dumps({"plan": "", "attempts": []}))
    for name, data in files.items():
        path = run.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError:  # a name is a file already, where another path needs a folder
            continue
    store = BucketStore(r2_client, bucket, f"property/{os.urandom(6).hex()}")
    keep(store, run)
    assert tree(bring_to(store, HOME, folder / "back")) == tree(run.path)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "address", ["s3://", "s3://B", "s3://key:secret@bucket/x", "s3://bucket/a b", "s3://bucket/../x", "https://x/y", ""]
)
def test_a_wrong_address_is_refused_and_not_repeated(address: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse) as error:
        open_place(address, tmp_path)
    assert "secret" not in str(error.value)


def test_keys_stand_by_reference_in_settings_of_their_own(
    runtime: Runtime, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"s3://{bucket}/kept"
    for name in ("TOWPATH_RECORDS_ENDPOINT", "TOWPATH_RECORDS_ACCESS_KEY", "TOWPATH_RECORDS_SECRET_KEY"):
        with pytest.raises(WrongUse, match=name):
            open_place(address, tmp_path)
        if not name.endswith("ENDPOINT"):
            monkeypatch.setenv(name, "typed-canary")
            with pytest.raises(WrongUse, match=name) as error:
                open_place(address, tmp_path)
            assert "canary" not in str(error.value)
        monkeypatch.setenv(name, runtime.s3 if name.endswith("ENDPOINT") else "env:THEIRS")
        monkeypatch.setenv("THEIRS", runtime.access_key.reveal())
    with pytest.raises(CannotFinish, match="refuses the access key") as refused:
        open_place(address, tmp_path)
    assert "TOWPATH_RECORDS" in refused.value.next
    monkeypatch.setenv("SECRET_OF_THEIRS", runtime.secret_key.reveal())
    monkeypatch.setenv("TOWPATH_RECORDS_SECRET_KEY", "env:SECRET_OF_THEIRS")
    assert open_place(address, tmp_path).address == address
