"""Approvals: who may, what they sign, what voids it, and that a phase that needs them does not start without."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from towpath.checks import Check, Verdict
from towpath.cli.command import run_command
from towpath.errors import WrongUse
from towpath.plan.params import params_from
from towpath.plan.plan import Plan, make_plan
from towpath.runs.approvals import approvals_of, check_approvals, void_because
from towpath.runs.approving import approve_run
from towpath.runs.folder import RunFolder
from towpath.runs.gates import check_gate
from towpath.runs.pages import render_index
from towpath.runs.results import now, write_result, write_table
from towpath.runs.run import open_run
from towpath.runs.seal import read_seal, seal_attempt
from towpath.runs.verification import verify_run
from towpath.secrets import Secret
from towpath.signing.envelope import canonical
from towpath.signing.keys import load_signer

PHASES = ("01-inventory", "02-schema", "03-export")


def key(root: Path, name: str) -> str:
    """An SSH key of a person; returns the line of allowed_signers."""
    path = root / "keys" / name
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return f"{name} {(root / 'keys' / f'{name}.pub').read_text(encoding='utf-8').strip()}\n"


class Office:
    """A toy in staging with people who may approve, and phases that are sealed as `towpath run` does."""

    def __init__(self, toy: Any) -> None:
        self.toy, self.root = toy, toy.root
        text = (
            (self.root / "runbooks/toy/runbook.md").read_text(encoding="utf-8").replace("approvers: 1", "approvers: 2")
        )
        toy.write("runbook.md", text)
        lines = [key(self.root, name) for name in ("ana", "ben", "cleo", "operator", "stranger")]
        self.signers = self.root / "params/toy/allowed_signers"
        self.signers.write_text("# who may approve\n" + "".join(lines[:4]), encoding="utf-8")
        self.signer = load_signer(Secret("file:keys/operator", self.root))
        self.folder = RunFolder.create(self.root, self.plan)

    @property
    def plan(self) -> Plan:
        """The plan, its hash named as the approval of a real run."""
        plan = make_plan(params_from(self.toy.params(environment="staging", approved_plan="")), self.root)
        params = self.toy.params(environment="staging", approved_plan=plan.hash)
        return make_plan(params_from(params), self.root)

    def run(self, phase: str) -> None:
        """One attempt that passes, without a kernel."""
        plan = self.plan
        result = self.folder.begin(plan, phase, "plan")
        (self.folder.path / f"{result.stem}.html").write_text("<p>a page</p>", encoding="utf-8")
        passes = Check("TB401", "tables", "tasks", "3", "3", Verdict.PASS)
        result = replace(result, verdict=Verdict.PASS, checks=(passes,), ended=now(), source="s", target="t")
        result = result.with_artefacts([write_table(self.folder.path, result)])
        write_result(self.folder.path, result)
        render_index(self.folder.path, sealing=(result.stem, self.signer.public.name))
        seal_attempt(self.root, self.folder, plan, result, self.signer)

    def approve(self, name: str, reference: str = "") -> Path:
        """`towpath approve` with the person's SSH key, or with the one that is named."""
        made = approve_run(self.root, self.folder, name, reference or str(self.root / "keys" / name))
        return self.folder.path / made.path

    def gate(self, phase: str = "02-schema", opening: str = "") -> str:
        """ "" when the phase may start, else what stands in its way."""
        try:
            check_approvals(self.root, self.folder, self.plan, phase, opening)
        except WrongUse as error:
            return error.line
        return ""

    def wrong(self) -> dict[str, str]:
        """What verify says is wrong, by object."""
        checks = verify_run(self.folder, self.signer.public, self.signers)
        return {check.object: check.found for check in checks if check.verdict is Verdict.FAIL}

    def page(self) -> str:
        return (self.folder.path / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def office(toy: Any) -> Office:
    made = Office(toy)
    made.run("01-inventory")
    return made


def test_a_phase_starts_with_as_many_approvals_as_its_step_demands(office: Office) -> None:
    said = office.gate()
    assert said.startswith(
        "RN009 02-schema: 0 of 2 approvals of this plan, its waivers and the record so far (none). Next:"
    )
    assert f"towpath approve {office.folder.run_id} --as NAME" in said
    office.approve("ana")
    assert "1 of 2 approvals" in office.gate()
    assert "(ana)" in office.gate()
    office.approve("ben", "file:keys/ben")  # a plain ed25519 signature, of the same list
    assert office.gate() == ""
    assert office.gate("03-export") == ""  # its step demands none
    assert office.wrong() == {}
    for name in ("ana", "ben"):
        assert re.search(rf'data-label="Approved by" class="text">{name}</td>.*valid</span> stands</td>', office.page())
    assert office.page().count("SHA256:") >= 2


def test_one_person_and_one_key_count_once_and_the_operators_key_never(office: Office) -> None:
    office.approve("ana")
    second = office.approve("ana")
    assert second.name == "ana.2.json"
    assert "the same name or key counts once" in office.gate()
    with office.signers.open("a", encoding="utf-8") as file:
        file.write(office.signers.read_text(encoding="utf-8").splitlines()[1].replace("ana", "anna", 1) + "\n")
    office.approve("anna", str(office.root / "keys/ana"))
    assert "1 of 2 approvals" in office.gate()
    office.approve("operator")
    assert "operator: the key that seals the record does not approve it" in office.gate()


def test_who_is_not_listed_cannot_approve(office: Office) -> None:
    for name, reference in (("stranger", ""), ("ana", str(office.root / "keys/ben")), ("ana", "file:keys/ben")):
        with pytest.raises(WrongUse, match="does not list SHA256:"):
            office.approve(name, reference)
    assert not (office.folder.path / "approvals").exists()
    for name in ("", "../ana", "ana/ben", "-ana", "a" * 65):
        with pytest.raises(WrongUse, match="no name"):
            office.approve(name)
    with pytest.raises(WrongUse, match="there is no such key"):
        office.approve("ana", "keys/nosuch")
    office.approve("ana")
    office.approve("ben")
    text = office.signers.read_text(encoding="utf-8")
    office.signers.write_text("".join(line for line in text.splitlines(True) if "ben" not in line), encoding="utf-8")
    assert "ben: allowed_signers does not list that key for that name" in office.gate()
    office.signers.unlink()
    with pytest.raises(WrongUse, match="allowed_signers: cannot be read"):
        check_approvals(office.root, office.folder, office.plan, "02-schema")


def test_what_changes_afterwards_voids_an_approval_and_is_named(office: Office) -> None:
    office.approve("ana")
    office.approve("ben")
    first = approvals_of(office.folder)[0][0]
    kept = office.root / "kept"
    shutil.copytree(office.folder.path, kept)

    def restored() -> None:
        shutil.rmtree(office.folder.path)
        shutil.copytree(kept, office.folder.path)

    result = office.folder.path / "01-inventory.result.json"
    result.write_text(result.read_text(encoding="utf-8").replace('"found": "3"', '"found": "4"'), encoding="utf-8")
    assert void_because(office.folder, first) == "01-inventory.result.json was changed since"
    assert "01-inventory.result.json was changed since" in office.gate()
    restored()
    plan = office.folder.path / "plan.json"
    plan.write_text(plan.read_text(encoding="utf-8").replace('"waivers":[]', '"waivers":[1]'), encoding="utf-8")
    assert void_because(office.folder, first).startswith("it approves another plan")
    restored()
    (office.folder.path / "01-inventory.dsse.json").unlink()
    assert void_because(office.folder, first) == "01-inventory.dsse.json was removed since"
    restored()
    attempt = office.folder.begin(office.plan, "02-schema", "plan")
    assert office.gate(opening=attempt.stem) == ""  # the attempt that the approvals are for
    assert "02-schema ran since" in office.gate()
    restored()
    office.run("02-schema")
    office.run("01-inventory")
    assert "02-schema ran since" in office.gate()
    assert office.wrong() == {"the run": "stale: 02-schema is older than 01-inventory.2, which it builds on"}
    assert "void</span> 02-schema ran since" in office.page()


def test_an_edited_approval_does_not_count_and_verify_says_so(office: Office) -> None:
    for path in (office.approve("ana"), office.approve("ben", "file:keys/ben")):
        data = path.read_bytes()
        for place in range(0, len(data), 13):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert office.wrong(), f"{path.name}: byte {place}"
            assert office.gate(), f"{path.name}: byte {place}"
        path.write_bytes(data)
    assert office.wrong() == {}
    moved = office.folder.path / "approvals/cleo.json"
    (office.folder.path / "approvals/ana.json").rename(moved)
    assert office.gate() == ""  # a name of a file says nothing
    moved.unlink()
    assert "1 of 2" in office.gate()


def test_a_strangers_approval_does_not_vouch_for_the_page_that_it_shows(office: Office) -> None:
    """Who has neither key writes an approval of their own, and with it another page."""
    office.signers.rename(office.root / "elsewhere")
    with office.signers.open("w", encoding="utf-8") as file:
        file.write(f"eve {(office.root / 'keys/stranger.pub').read_text(encoding='utf-8')}")
    office.approve("eve", str(office.root / "keys/stranger"))
    (office.root / "elsewhere").rename(office.signers)

    def found(*options: Any) -> str:
        checks = verify_run(office.folder, *options)
        return next((c.found for c in checks if c.verdict is Verdict.FAIL and c.object == "approvals/eve.json"), "")

    public = office.signer.public
    assert found() == ""
    assert found(public).startswith("unknown key: without --signers")
    for lists in ((office.signers,), (None, office.signers)):
        assert found(public, *lists).startswith("wrong key: allowed_signers does not list SHA256:")
    assert "eve: allowed_signers does not list" in office.gate()


def test_only_a_real_run_outside_local_needs_approvals(office: Office) -> None:
    dry = make_plan(params_from(office.toy.params(environment="staging", approved_plan="")), office.root)
    assert check_approvals(office.root, office.folder, dry, "02-schema") == ()
    rehearsal = make_plan(params_from(office.toy.params()), office.root)
    assert check_approvals(office.root, office.folder, rehearsal, "02-schema") == ()


def test_a_notebook_that_is_opened_by_itself_meets_the_same_gate(office: Office) -> None:
    variables = {**office.plan.params.model_dump(), "run_id": office.folder.run_id}
    with pytest.raises(WrongUse, match=r"RN009 02-schema: 0 of 2"):
        open_run("02-schema", variables)
    office.approve("ana")
    office.approve("ben")
    run = open_run("02-schema", variables)
    assert run.phase == "02-schema"
    run.release()


def test_outside_local_a_phase_builds_on_what_was_signed(office: Office) -> None:
    check_gate(office.folder, office.plan, "02-schema")
    result, seal = (office.folder.path / f"01-inventory{ending}" for ending in (".result.json", ".dsse.json"))
    kept, envelope = result.read_text(encoding="utf-8"), seal.read_text(encoding="utf-8")
    result.write_text(kept.replace('"found": "3"', '"found": "4"'), encoding="utf-8")
    with pytest.raises(WrongUse, match=r"RN001 .*01-inventory.result.json: was changed after it was sealed"):
        check_gate(office.folder, office.plan, "02-schema")
    result.write_text(kept, encoding="utf-8")
    unsigned = {**json.loads(envelope), "signatures": []}
    seal.write_text(canonical(unsigned), encoding="utf-8")
    with pytest.raises(WrongUse, match=r"RN001 .*01-inventory.dsse.json: bears no right signature"):
        check_gate(office.folder, office.plan, "02-schema")
    seal.unlink()
    with pytest.raises(WrongUse, match=r"RN001 .*is not sealed. Next: run 01-inventory again with `towpath run`"):
        check_gate(office.folder, office.plan, "02-schema")


def test_a_later_seal_does_not_make_a_changed_result_good(office: Office) -> None:
    """Somebody changes what was sealed; the next phase seals the folder as it finds it."""
    result = office.folder.path / "01-inventory.result.json"
    result.write_text(result.read_text(encoding="utf-8").replace('"found": "3"', '"found": "4"'), encoding="utf-8")
    office.run("02-schema")
    assert office.wrong()["01-inventory.result.json"].startswith("changed")


def test_a_file_that_a_later_phase_goes_on_with_is_named_again(office: Office) -> None:
    receipts = office.folder.path / "snapshot" / "accepted.jsonl"
    receipts.parent.mkdir()
    receipts.write_text("1\n", encoding="utf-8")
    office.run("02-schema")
    receipts.write_text("1\n2\n", encoding="utf-8")
    office.run("03-export")
    assert office.wrong() == {}
    assert "snapshot/accepted.jsonl" in read_seal(office.folder.path, "03-export").subjects
    receipts.write_text("1\n3\n", encoding="utf-8")
    assert list(office.wrong()) == ["snapshot/accepted.jsonl"]


def test_a_phase_that_was_killed_is_looked_at_and_approved_again(office: Office) -> None:
    office.approve("ana")
    office.approve("ben")
    attempt = office.folder.begin(office.plan, "02-schema", "plan")
    (office.folder.path / f"{attempt.stem}.partial.ipynb").write_text("{}", encoding="utf-8")
    assert "ana: 02-schema ran since" in office.gate()
    office.approve("ana")
    office.approve("ben")
    assert office.gate() == ""
    (office.folder.path / f"{attempt.stem}.partial.ipynb").unlink()
    office.run("02-schema")
    assert office.wrong() == {}


def test_what_ran_without_the_runner_is_sealed_with_the_next_phase(office: Office) -> None:
    office.folder.begin(office.plan, "02-schema", "plan")
    assert list(office.wrong()) == ["02-schema"]
    assert office.wrong()["02-schema"].startswith("not sealed")
    office.run("02-schema")
    assert office.wrong() == {}
    assert "02-schema.result.json" in read_seal(office.folder.path, "02-schema.2").subjects


def test_the_command_approves_shows_and_refuses(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["approve", office.folder.run_id, "--as", "ana", "--key", str(office.root / "keys/ana")]
    assert run_command(words) == 0
    said = capsys.readouterr().out
    assert f"approved {office.folder.run_id} as ana, key SHA256:" in said
    assert office.plan.hash in said
    assert "01-inventory" in said
    assert run_command([*words, "--signers", str(office.root / "nosuch")]) == 3
    assert run_command(["approve", office.folder.run_id, "--as", "stranger", "--key", "file:keys/stranger"]) == 3
    assert "does not list SHA256:" in capsys.readouterr().err
    signers = ["--signers", str(office.signers)]
    assert run_command(["verify", office.folder.run_id, *signers]) == 0
    (office.folder.path / "01-inventory.html").write_text("x", encoding="utf-8")
    assert run_command(words) == 2
    assert "the record is not whole: 01-inventory.html: changed" in capsys.readouterr().err
