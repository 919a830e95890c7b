"""A phase from its gate to its verdict, without a kernel: open_run, checks, approvals, close, gates, locks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Check, Finding, Rule, Severity, Verdict
from towpath.errors import BadInput, WrongUse
from towpath.runs.folder import RunFolder, list_runs
from towpath.runs.lock import Lock
from towpath.runs.results import PhaseResult, read_result, write_result
from towpath.runs.run import ChecksFailed, Run, open_run

HERE = {"source": "toy.sqlite", "target": "d1 toy-local"}


def pass_phase(toy: Any, phase: str, **changes: Any) -> Run:
    run = open_run(phase, toy.params(**changes))
    run.identify(**HERE)
    run.check("TB401", "tables", "tasks", 3, 3, True)
    assert run.close() is Verdict.PASS
    return run


def on_disk(run: Run) -> dict[str, Any]:
    return dict(json.loads((run.folder / f"{run.result.stem}.result.json").read_text(encoding="utf-8")))


def test_the_record_says_incomplete_from_the_first_moment(toy: Any) -> None:
    run = open_run("01-inventory", {**toy.params(), "something_else": 1})
    assert on_disk(run)["verdict"] == "INCOMPLETE"
    assert on_disk(run)["exit_code"] is None
    assert run.folder.parent == toy.root / "outputs" / "toy" / "local"
    assert (run.folder.parent / "current").read_text(encoding="utf-8").strip() == run.folder.name


def test_a_phase_that_passes_says_what_it_proved(toy: Any) -> None:
    run = open_run("01-inventory", toy.params())
    run.identify(**HERE)
    run.check("TB401", "tables", "tasks", 3, 3, True, "not shown")
    run.number("rows", 3, "rows")
    run.write_json("inventory/facts.json", {"tables": 1})
    assert run.close() is Verdict.PASS
    record = on_disk(run)
    assert (record["verdict"], record["exit_code"], record["error"]) == ("PASS", 0, "")
    assert record["plan"] == run.plan.hash
    assert (record["source"], record["target"]) == ("toy.sqlite", "d1 toy-local")
    assert record["counts"] == {"PASS": 1}
    assert [number["name"] for number in record["numbers"]] == ["rows", "seconds", "kernel_peak_memory"]
    assert [a["path"] for a in record["artefacts"]] == ["inventory/facts.json", "01-inventory.checks.json"]
    assert record["started"] <= record["ended"]
    assert record["ended"].endswith("Z")
    assert read_result(run.folder / "01-inventory.result.json") == run.result


def test_the_table_of_checks_is_flat(toy: Any) -> None:
    run = open_run("01-inventory", toy.params())
    run.check("TB401", "tables", "tasks", 3, 2, False, "look", keys=("7", "8"))
    with pytest.raises(ChecksFailed):
        run.close()
    (row,) = json.loads((run.folder / "01-inventory.checks.json").read_text(encoding="utf-8"))
    assert row["run"] == run.folder.name
    assert (row["phase"], row["attempt"], row["verdict"], row["keys"]) == ("01-inventory", 1, "FAIL", "7 8")
    assert all(isinstance(value, (str, int)) for value in row.values())


def test_a_failed_check_stops_with_one_line_and_code_1(toy: Any) -> None:
    run = open_run("01-inventory", toy.params())
    run.check("TB401", "tables", "tasks", 3, 2, False, "read the difference")
    run.check("TB402", "tables", "notes", 1, 0, False)
    with pytest.raises(ChecksFailed) as caught:
        run.close()
    assert caught.value.exit_code == 1
    (line,) = caught.value._render_traceback_()
    assert line.startswith("STOP: 01-inventory: 2 checks failed: first TB401 tasks: expected 3, found 2")
    assert on_disk(run)["verdict"] == "FAIL"
    assert on_disk(run)["exit_code"] == 1


def test_no_check_at_all_is_a_failure(toy: Any) -> None:
    with pytest.raises(ChecksFailed, match="no check was reported"):
        open_run("01-inventory", toy.params()).close()


def test_a_required_check_that_is_missing_is_a_failure(toy: Any) -> None:
    run = open_run("01-inventory", toy.params())
    run.require("TB401", "TB402", "TB401")
    run.check("TB401", "tables", "tasks", 3, 3, True)
    with pytest.raises(ChecksFailed, match="RN004 TB402: expected reported, found missing"):
        run.close()


def test_a_phase_behind_a_gate_must_name_its_source_and_target(toy: Any) -> None:
    pass_phase(toy, "01-inventory")
    run = open_run("02-schema", toy.params())
    run.check("TB301", "tables", "tasks", "kept", "kept", True)
    with pytest.raises(ChecksFailed, match="RN005"):
        run.close()


def test_wrong_params_start_nothing(toy: Any) -> None:
    with pytest.raises(WrongUse, match="parameters of 01-inventory d1_plan"):
        open_run("01-inventory", toy.params(d1_plan="gold"))
    assert not (toy.root / "outputs").exists()


def test_the_next_phase_goes_on_in_the_same_run(toy: Any) -> None:
    first = pass_phase(toy, "01-inventory")
    second = pass_phase(toy, "02-schema")
    assert second.folder == first.folder
    assert RunFolder.current(toy.root, "toy", "local").attempts() == [("01-inventory", 1), ("02-schema", 1)]  # type: ignore[union-attr]


def test_the_gate_is_closed_without_a_run(toy: Any) -> None:
    with pytest.raises(WrongUse, match=r"RN001 02-schema: there is no run yet. Next: run 01-inventory first"):
        open_run("02-schema", toy.params())


def test_the_gate_is_closed_behind_an_incomplete_phase(toy: Any) -> None:
    open_run("01-inventory", toy.params())
    with pytest.raises(
        WrongUse, match=r"01-inventory\.result\.json: says INCOMPLETE, not PASS.*run 01-inventory again"
    ):
        open_run("02-schema", toy.params())


def test_the_gate_is_closed_behind_a_failed_phase_and_open_after_its_second_attempt(toy: Any) -> None:
    run = open_run("01-inventory", toy.params())
    run.check("TB401", "tables", "tasks", 3, 2, False)
    with pytest.raises(ChecksFailed):
        run.close()
    with pytest.raises(WrongUse, match="says FAIL"):
        open_run("02-schema", toy.params())
    again = pass_phase(toy, "01-inventory")
    assert again.result.stem == "01-inventory.2"
    assert on_disk(run)["verdict"] == "FAIL"
    pass_phase(toy, "02-schema")


def test_the_gate_is_closed_when_a_skipped_phase_has_no_record(toy: Any) -> None:
    pass_phase(toy, "01-inventory")
    with pytest.raises(WrongUse, match="02-schema has no record in this run"):
        open_run("03-export", toy.params())


def test_the_gate_is_closed_when_a_phase_below_ran_again(toy: Any) -> None:
    pass_phase(toy, "01-inventory")
    pass_phase(toy, "02-schema")
    pass_phase(toy, "01-inventory")
    with pytest.raises(WrongUse, match=r"02-schema\.result\.json: is older than 01-inventory\.2"):
        open_run("03-export", toy.params())
    pass_phase(toy, "02-schema")
    pass_phase(toy, "03-export")


def test_the_gate_is_closed_when_a_record_was_removed_or_broken(toy: Any) -> None:
    run = pass_phase(toy, "01-inventory")
    path = run.folder / "01-inventory.result.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match="not readable"):
        open_run("02-schema", toy.params())
    path.unlink()
    with pytest.raises(BadInput, match="missing"):
        open_run("02-schema", toy.params())


def test_a_changed_plan_closes_the_gate_and_the_first_phase_opens_a_new_run(toy: Any) -> None:
    first = pass_phase(toy, "01-inventory")
    toy.write("mapping.yaml", "tables: {time_zone: Europe/Berlin}\n")
    with pytest.raises(WrongUse, match="the plan is now"):
        open_run("02-schema", toy.params())
    assert pass_phase(toy, "01-inventory").folder != first.folder


def test_a_finished_run_is_left_alone(toy: Any) -> None:
    runs = [pass_phase(toy, phase) for phase in ("01-inventory", "02-schema", "03-export")]
    assert pass_phase(toy, "03-export").result.stem == "03-export.2"
    assert pass_phase(toy, "01-inventory").folder != runs[0].folder
    assert len(list_runs(toy.root, "toy")) == 2


def test_a_run_id_must_exist(toy: Any) -> None:
    run = pass_phase(toy, "01-inventory")
    assert pass_phase(toy, "02-schema", run_id=run.folder.name).folder == run.folder
    with pytest.raises(WrongUse, match="no such run"):
        open_run("02-schema", toy.params(run_id="20200101T000000Z-0000"))


@pytest.mark.parametrize("word", ["source", "target"])
def test_another_source_or_target_than_before_is_refused(toy: Any, word: str) -> None:
    pass_phase(toy, "01-inventory")
    run = open_run("02-schema", toy.params())
    with pytest.raises(WrongUse, match=rf"RN002 .*01-inventory\.result\.json: says {word}"):
        run.identify(**{**HERE, word: "another"})
    assert on_disk(run)["verdict"] == "INCOMPLETE"


def test_without_approval_nothing_may_be_written_and_no_gate_opens(toy: Any) -> None:
    dry = {"approved_plan": ""}
    pass_phase(toy, "01-inventory", **dry)
    run = open_run("02-schema", toy.params(**dry))
    run.identify(**HERE)
    assert run.approved is False
    assert run.approve_write("d1 toy-local 0 tables") is False
    assert run.close() is Verdict.DRY_RUN
    (check,) = run.checks
    assert run.plan.hash[:12] in check.expected
    assert f"--approve {run.plan.hash} --target 'd1 toy-local 0 tables'" in check.next
    with pytest.raises(WrongUse, match=r"says DRY RUN.*approve the plan"):
        open_run("03-export", toy.params(**dry))


def test_with_the_plan_hash_a_phase_may_write(toy: Any) -> None:
    run = pass_phase(toy, "01-inventory", approved_plan="")
    run = open_run("02-schema", toy.params(approved_plan=run.plan.hash, approved_target="d1"))
    assert run.approve_write("d1") is True
    assert on_disk(run)["approval"] == "plan"
    assert on_disk(run)["fingerprint"] == "d1"


def test_an_approval_of_another_plan_starts_nothing(toy: Any) -> None:
    with pytest.raises(WrongUse, match="PL013"):
        open_run("01-inventory", toy.params(approved_plan="ab" * 32))
    assert not list_runs(toy.root)


@pytest.mark.parametrize("approved_plan", ["", "rehearsal"])
def test_another_target_than_the_approved_one_is_refused(toy: Any, approved_plan: str) -> None:
    run = open_run("01-inventory", toy.params(approved_plan=approved_plan, approved_target="d1 other"))
    with pytest.raises(WrongUse, match=r"PL012 .*approved_target says 'd1 other', the target is 'd1 toy'"):
        run.approve_write("d1 toy")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_outside_local_a_real_run_names_its_target(toy: Any, environment: str) -> None:
    dry = open_run("01-inventory", toy.params(environment=environment, approved_plan=""))
    dry.release()
    approved = toy.params(environment=environment, approved_plan=dry.plan.hash)
    run = open_run("01-inventory", approved)
    with pytest.raises(WrongUse, match=r"PL012 .*approved_target is empty"):
        run.approve_write("d1 toy")
    assert open_run("01-inventory", {**approved, "approved_target": "d1 toy"}).approve_write("d1 toy") is True


def test_findings_are_judged_with_the_files_of_the_plan(toy: Any) -> None:
    toy.write(
        "mapping.yaml",
        "decisions:\n"
        "  - {code: TB203, object: a.b, do: park, reason: r}\n"
        "  - {code: TB110, object: x, do: binary, reason: r}\n",
    )
    toy.write("waivers.yaml", "- {code: TB203, object: a.b, count: 2, owner: Ada, reason: r, expires: 2999-01-01}\n")
    rules = {
        "TB203": Rule("TB203", "tables", "t", Severity.DECIDE, "a", ("park",), ("park",)),
        "TB110": Rule("TB110", "tables", "t", Severity.DECIDE, "a", ("binary",)),
    }
    run = open_run("01-inventory", toy.params())
    judgement = run.judge([Finding("TB203", "a.b", 2, "2 orphans")], rules, codes=("TB2",))
    assert [check.verdict for check in judgement.checks] == [Verdict.WAIVED]
    assert run.close() is Verdict.PASS
    again = open_run("01-inventory", toy.params())
    again.judge([Finding("TB203", "a.b", 2, "2 orphans")], rules)
    assert [(c.code, c.verdict) for c in again.checks] == [("TB203", Verdict.WAIVED), ("PL001", Verdict.FAIL)]


def test_an_attempt_never_overwrites_what_an_earlier_one_wrote(toy: Any) -> None:
    first = open_run("01-inventory", toy.params())
    first.write_json("inventory/facts.json", 1)
    first.output("snapshot").mkdir()
    assert first.write_json("inventory/facts.json", 2) == first.folder / "inventory/facts.json"
    first.check("TB401", "tables", "x", 1, 1, True)
    first.close()
    second = open_run("01-inventory", toy.params())
    assert second.read_json("inventory/facts.json") == 2
    assert second.write_json("inventory/facts.json", 3) == first.folder / "inventory/facts.2.json"
    assert second.output("snapshot") == first.folder / "snapshot.2"
    assert second.output("snapshot") == first.folder / "snapshot.2"
    assert second.read_json("inventory/facts.json") == 3
    assert json.loads((first.folder / "inventory/facts.json").read_text(encoding="utf-8")) == 2
    with pytest.raises(WrongUse, match=r"written so far: inventory/facts\.json, snapshot"):
        second.input("nothing")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_paths_stay_in_the_run_folder(toy: Any, path: str) -> None:
    run = open_run("01-inventory", toy.params())
    with pytest.raises(WrongUse, match="leads out of the run folder"):
        run.path(path)
    with pytest.raises((WrongUse, BadInput)):
        run.artefact(Path(path) if path.startswith("/") else path)


def test_a_folder_of_artefacts_is_recorded_file_by_file(toy: Any) -> None:
    run = open_run("01-inventory", toy.params())
    folder = run.output("snapshot")
    folder.mkdir()
    for name in ("b", "a"):
        (folder / name).write_bytes(b"x")
    run.artefact(folder)
    assert [(a["path"], a["bytes"]) for a in on_disk(run)["artefacts"]] == [("snapshot/a", 1), ("snapshot/b", 1)]
    with pytest.raises(BadInput, match="write the artefact first"):
        run.artefact("snapshot/c")


def test_an_error_stays_in_the_record_and_its_trace_in_the_log(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_TOKEN", "CANARY-value-1")
    run = open_run("01-inventory", toy.params(cloudflare_token="env:TOY_TOKEN"))
    secret = run.secret("cloudflare_token")
    assert secret is not None
    try:
        raise RuntimeError(f"refused\nfor {secret.reveal()}")
    except RuntimeError as error:
        run.trace(error)
    record = on_disk(run)
    assert (record["verdict"], record["exit_code"]) == ("INCOMPLETE", 2)
    assert record["error"] == "RuntimeError: refused for [secret env:TOY_TOKEN]"
    log = (run.folder / "log" / "01-inventory.log").read_text(encoding="utf-8")
    assert "Traceback" in log
    for path in run.folder.rglob("*"):
        assert not path.is_file() or "CANARY" not in path.read_text(encoding="utf-8")


def test_a_closed_phase_cannot_be_closed_again(toy: Any) -> None:
    run = pass_phase(toy, "01-inventory")
    with pytest.raises(WrongUse, match="is closed"):
        run.close()


def test_two_processes_cannot_work_on_one_environment(toy: Any) -> None:
    home = toy.root / "outputs" / "toy" / "local"
    code = (
        "import sys; from pathlib import Path; from towpath.runs.lock import Lock; "
        f"lock = Lock(Path({str(home)!r})); lock.take('a test'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(WrongUse, match=f"RN003 .*process {holder.pid} of .* on .* for a test"):
            open_run("01-inventory", toy.params())
        assert not list_runs(toy.root)
        holder.kill()
        holder.wait()
    run = open_run("01-inventory", toy.params())
    (check,) = run.checks
    assert (check.code, check.verdict) == ("RN006", Verdict.WARN)
    assert f"process {holder.pid}" in check.found


def test_a_lock_of_another_machine_is_explained_and_kept(toy: Any) -> None:
    home = toy.root / "outputs" / "toy" / "local"
    home.mkdir(parents=True)
    (home / "lock").write_text('{"pid": 1, "host": "elsewhere", "since": "2026", "for": "x"}', encoding="utf-8")
    with pytest.raises(WrongUse, match=r"process 1 on elsewhere .*if that process is dead, remove lock"):
        Lock(home).take("y")


def test_a_reserved_attempt_is_taken_over_once(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pass_phase(toy, "01-inventory")
    begun = first.run_folder.begin(first.plan, "01-inventory")
    monkeypatch.setenv("TOWPATH_ATTEMPT", f"{first.folder.name}/01-inventory/{begun.attempt}")
    run = open_run("01-inventory", toy.params(run_id=first.folder.name))
    assert run.result.stem == "01-inventory.2"
    run.check("TB401", "tables", "tasks", 3, 3, True)
    run.close()
    with pytest.raises(WrongUse, match="TOWPATH_ATTEMPT"):
        open_run("01-inventory", toy.params(run_id=first.folder.name))


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    check = Check("TB401", "tables", 'a"b\n', "é", "\U0001f600", Verdict.WARN, "n", ("1", "2"))
    result = PhaseResult("toy", "local", "r", "01-inventory", 3, "h", "s", checks=(check,), outputs={"a": "b"})
    path = write_result(tmp_path, result.with_number("rows", 1.5, "rows"))
    assert path.name == "01-inventory.3.result.json"
    assert read_result(path) == result.with_number("rows", 1.5, "rows")
    for broken in ("[]", "{}", '{"format": 2}', path.read_text(encoding="utf-8").replace("WARN", "FINE")):
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(BadInput, match="not a result"):
            read_result(path)


def test_a_full_disk_leaves_the_old_result(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake: `os.fsync` fails as on a full disk, which a unit test cannot make real without root."""
    from towpath.errors import CannotFinish

    run = open_run("01-inventory", toy.params())

    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotFinish, match="No space left on device"):
        run.check("TB401", "tables", "tasks", 3, 3, True)
    assert on_disk(run)["checks"] == []
    assert not list(run.folder.glob(".*.tmp"))
