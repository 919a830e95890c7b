"""What a rehearsal says in the end: budgets are judged, files name what they were made from, the exit code follows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from towpath.cli.command import run_command
from towpath.errors import BadInput
from towpath.rehearsal.ledger import Deed, Told, Write
from towpath.rehearsal.settling import Found, settle
from towpath.rehearsal.sides import Changes
from towpath.rehearsal.telling import Act, write
from towpath.rehearsal.telling import Told as Telling

LOST = Write(1, 1, Deed.CREATE, "task", "towpath-abc-000001", 1, Told.ACKNOWLEDGED, 5, 201, "worker")


def telling() -> Telling:
    told = Telling("joan", "rehearsal", "2026-11-21T22:00:00Z", "f" * 64, ended="2026-11-21T22:05:00Z")
    sides = {"gateway": {"requests": 40, "refused": 38, "errors": 2}}
    more = {"traffic back after": 12.34}
    told.acts.append(
        Act("over", "20261121T220000Z-aaaa", "06-cutover", "PASS", 0, 9000, 9.0, 40, sides, 5.5, 0.2, more)
    )
    return told


@pytest.mark.parametrize(("seconds", "holds"), [(59.9, True), (60.0, True), (60.1, False), (None, False)])
def test_a_budget_is_kept_or_not(seconds: float | None, holds: bool) -> None:
    told = telling()
    told.within("traffic is back", seconds, 60)
    assert told.holds is holds
    value = "never" if seconds is None else f"{seconds:.1f} s"
    assert told.judged[0].line == f"{'holds' if holds else 'FAILS'}  traffic is back: {value} (at most 60 s)"


def test_it_holds_only_if_something_was_judged_and_it_came_to_its_end() -> None:
    told = telling()
    assert not told.holds
    told.judge("x", True, "y")
    assert told.holds
    told.broken = "somebody pulled the plug"
    assert not told.holds
    assert told.lines()[-1] == "The rehearsal DOES NOT HOLD"
    assert "It did not come to its end: somebody pulled the plug" in told.lines()


def test_people_and_machines_are_told_the_same(tmp_path: Path) -> None:
    told = telling()
    found = [Found("note", f"towpath-abc-{at:06d} v1") for at in range(2, 40)]
    told.settled.append(settle([LOST], found, side="new side", phases=[(0, "over")]))
    told.judge("the ledger", told.settled[0].holds, "1 entity")
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"lines\n")
    path = write(told, tmp_path / "out", [ledger, tmp_path / "not there"])
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert (plain["holds"], plain["plan"], plain["acts"][0]["run"]) == (False, "f" * 64, "20261121T220000Z-aaaa")
    assert plain["files"] == {str(ledger): hashlib.sha256(b"lines\n").hexdigest()}
    assert (plain["settled"][0]["fault_count"], len(plain["settled"][0]["faults"])) == (39, 20)
    assert plain["settled"][0]["faults"][0]["wrong"] == "missing"
    text = (tmp_path / "out" / "rehearsal.txt").read_text(encoding="utf-8")
    for words in (
        "over: 06-cutover of run 20261121T220000Z-aaaa is PASS, 9.0 s, traffic back after 12.3 s",
        "40 requests; longest without a write 5.5 s, without a read 0.2 s",
        "gateway      40 requests,    38 asked to come back later,     2 errors",
        "missing: task towpath-abc-000001: expected v1, found nothing",
        "… and 19 more",
        "over: 1 acknowledged",
        "FAILS  the ledger: 1 entity",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("judged", "broken", "code"), [((True,), "", 0), ((True, False), "", 1), ((True,), "cut", 2), ((), "", 1)]
)
def test_the_exit_code_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, judged: tuple[bool, ...], broken: str, code: int
) -> None:
    def play(asked: Any, _say: Any) -> Telling:
        told = telling()
        told.broken = broken
        for holds in judged:
            told.judge("x", holds, "y")
        assert (asked.clients, asked.rate, asked.data) == (12, 50.0, (tmp_path / "build/rehearsal/joan").resolve())
        return told

    (tmp_path / "environment.yml").symlink_to(root / "environment.yml")
    (tmp_path / "runbooks").symlink_to(root / "runbooks")
    (tmp_path / "params").symlink_to(root / "params")
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path))
    monkeypatch.setattr("towpath.rehearsal.drive.rehearse", play)
    assert run_command(["rehearse", "joan", "--rate", "50"]) == code
    assert (tmp_path / "outputs/joan/rehearsal/rehearsal.json").is_file()


def test_what_moves_no_traffic_is_not_rehearsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "environment.yml").symlink_to(root / "environment.yml")
    (tmp_path / "runbooks").symlink_to(root / "runbooks")
    (tmp_path / "params").symlink_to(root / "params")
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path))
    assert run_command(["rehearse", "joan", "--env", "local"]) == 2
    assert (
        "no traffic moves there, or it is no environment for practice. Next: use --env rehearsal"
        in capsys.readouterr().out
    )


def test_an_error_of_towpath_is_told_not_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path) -> None:
    from towpath.plan.params import load_params
    from towpath.rehearsal import drive
    from towpath.rehearsal.stage import Asked

    def broken(*_: Any) -> Any:
        raise BadInput("is broken", object="the stage", next="repair it")

    monkeypatch.setattr(drive, "staged", broken)
    params = load_params(root / "params" / "joan" / "rehearsal.yaml")
    told = drive.rehearse(Asked(root, "joan", params, tmp_path, tmp_path / "t"), print)
    assert (told.broken, told.holds) == ("the stage: is broken. Next: repair it", False)
    assert told.ended


def test_a_signal_is_told_and_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path) -> None:
    from towpath.rehearsal import drive
    from towpath.rehearsal.playing import Stopped

    def stopped(*_: Any) -> Any:
        raise Stopped(15)

    for name in ("environment.yml", "runbooks", "params"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path))
    monkeypatch.setattr(drive, "staged", stopped)
    assert run_command(["rehearse", "joan"]) == 143
    told = json.loads((tmp_path / "outputs/joan/rehearsal/rehearsal.json").read_text(encoding="utf-8"))
    assert (told["broken"], told["holds"]) == ("stopped by SIGTERM", False)


def test_an_act_in_which_nobody_asked_shows_nothing() -> None:
    from towpath.rehearsal import drive

    told = telling()
    act = Act("over", "r", "06-cutover", "PASS", 0, 9000, 9.0, 0, {}, 9.0, 9.0)
    drive._judge_errors(told, act)
    assert (told.judged[0].holds, told.judged[0].value) == (False, "no request")

    class Silent:
        changes = Changes()

        def requests(self) -> list[Any]:
            return []

        def say(self, _: str) -> None:
            pass

    drive._judge_promises(Silent(), told)  # type: ignore[arg-type]
    assert (told.judged[1].holds, told.judged[1].value) == (False, "0 of 0 reads")
