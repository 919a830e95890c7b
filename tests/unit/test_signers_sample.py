"""Who may approve: the sample beside the params, and what is said where the list is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from helpers.markdown import ROOT

from towpath.errors import WrongUse
from towpath.plan.params import params_from
from towpath.plan.plan import make_plan
from towpath.runs.approvals import check_approvals
from towpath.runs.folder import RunFolder
from towpath.signing.signers import FILE, keys_of

SAMPLES = sorted((ROOT / "params").glob(f"*/{FILE}.example"))


def test_every_system_has_a_sample() -> None:
    assert [path.parent.name for path in SAMPLES] == sorted(path.name for path in (ROOT / "params").iterdir())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.parent.name)
def test_a_sample_lets_nobody_approve_until_a_line_is_written(sample: Path, tmp_path: Path) -> None:
    text = sample.read_text(encoding="utf-8")
    assert keys_of(sample, "ana@example.org") == []
    filled = tmp_path / FILE
    filled.write_text(text.replace("# ana@", "ana@"), encoding="utf-8")
    assert len(keys_of(filled, "ana@example.org")) == 1
    assert keys_of(filled, "name") == []
    found = ["ssh-keygen", "-Y", "match-principals", "-n", "towpath", "-I", "ana@example.org", "-f", str(filled)]
    assert subprocess.run(found, capture_output=True, text=True, check=True).stdout.strip() == "ana@example.org"
    assert f"params/{sample.parent.name}/{FILE}" in text


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.parent.name)
def test_the_params_and_the_runbook_send_their_reader_to_the_list(sample: Path) -> None:
    system = sample.parent.name
    for environment in ("staging", "production"):
        said = (sample.parent / f"{environment}.yaml").read_text(encoding="utf-8")
        assert f"params/{system}/{FILE}" in said
        assert "TOWPATH_SIGNING_KEY" in said
    runbook = (ROOT / "runbooks" / system / "runbook.md").read_text(encoding="utf-8")
    for word in (f"params/{system}/{FILE}.example", "TOWPATH_SIGNING_KEY"):
        assert word in runbook, word
    for command in ("towpath approve <run>", "towpath verify <run>"):
        assert command in runbook, command


def test_a_phase_that_needs_approvers_says_that_the_list_is_missing(toy: Any) -> None:
    plan = make_plan(params_from(toy.params(environment="staging", approved_plan="")), toy.root)
    plan = make_plan(params_from(toy.params(environment="staging", approved_plan=plan.hash)), toy.root)
    folder = RunFolder.create(toy.root, plan)
    with pytest.raises(
        WrongUse, match=r"there is no params/toy/allowed_signers.*copy allowed_signers\.example"
    ) as error:
        check_approvals(toy.root, folder, plan, "02-schema")
    assert error.value.code == "RN009"
