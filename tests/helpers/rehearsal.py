"""A whole move of any database, in this process: the notebooks' own cells, without a kernel for each.

A rehearsal has a root of its own with params, runbook, mapping and waivers, and the runtime that it is given.  What the
inventory asks to be decided can be answered with the first answer that each code allows (`decide_all`), as a person
might who only wants to see what becomes of it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from helpers.project import PHASES, lay_out
from towpath.errors import TowpathError
from towpath.local import Runtime
from towpath.plan.runbook import HEADINGS
from towpath.workbench.registry import registry


class Plain(yaml.SafeDumper):
    """YAML without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


SYSTEM = "trial"
WAY = PHASES[1:-1]  # from the inventory to the proof
LAST_DAY = dt.date(2099, 1, 1)


@dataclass
class Rehearsal:
    """One database on its way."""

    root: Path
    params: dict[str, Any]
    decisions: list[dict[str, Any]] = field(default_factory=list)
    waivers: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)  # of mapping.yaml

    def phase(self, name: str) -> str:
        """Execute one notebook; its verdict.  What it shows is thrown away; an error that is none of ours is raised."""
        self._write()
        notebook = json.loads((self.root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        variables: dict[str, Any] = {"__name__": name}
        with _root(self.root), contextlib.redirect_stdout(io.StringIO()):
            try:
                for cell in notebook["cells"]:
                    if cell["cell_type"] != "code":
                        continue
                    exec(compile("".join(cell["source"]), f"{name}:{cell['id']}", "exec"), variables)
                    if cell["id"] == "parameters":
                        variables |= self.params
            except TowpathError as error:
                if "run" not in variables:
                    raise
                if variables["run"].verdict == "INCOMPLETE":
                    variables["run"].trace(error)
            finally:
                if "bench" in variables:
                    variables["bench"]._stack.close()
                if "run" in variables:
                    variables["run"].release()
        return str(self.result(name)["verdict"])

    def phases(self, *names: str) -> dict[str, str]:
        """Execute notebooks until one does not pass; their verdicts."""
        verdicts: dict[str, str] = {}
        for name in names or WAY:
            verdicts[name] = self.phase(name)
            if verdicts[name] != "PASS":
                break
        return verdicts

    @property
    def folder(self) -> Path:
        """The current run's folder."""
        home = self.root / "outputs" / SYSTEM / "local"
        return home / (home / "current").read_text(encoding="utf-8").strip()

    def result(self, phase: str) -> dict[str, Any]:
        """The newest result of a phase in the current run."""
        attempts = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))["attempts"]
        last = max(one["attempt"] for one in attempts if one["phase"] == phase)
        stem = phase if last == 1 else f"{phase}.{last}"
        return dict(json.loads((self.folder / f"{stem}.result.json").read_text(encoding="utf-8")))

    def checks(self, phase: str, *verdicts: str) -> list[dict[str, Any]]:
        """The checks of a phase that have one of the verdicts."""
        return [check for check in self.result(phase)["checks"] if check["verdict"] in verdicts]

    def numbers(self, phase: str) -> dict[str, float]:
        """The numbers of a phase."""
        return {number["name"]: number["value"] for number in self.result(phase)["numbers"]}

    def decide_all(self, phase: str) -> int:
        """Answer every check of a phase that asks for a decision, and accept what the answer loses; how many."""
        found = 0
        for check in self.checks(phase, "FAIL"):
            rule = registry()[check["code"]].rule
            if not rule.choices:
                continue
            found += 1
            row = {"code": check["code"], "object": check["object"]}
            do = rule.default or rule.choices[0]
            if not check["expected"].startswith("a waiver"):
                self.decisions.append({**row, "do": do, "reason": "in a trial"})
            else:
                count = int(check["next"].rpartition(" with count ")[2].split()[0])
                told = {"owner": "nobody", "reason": "in a trial", "expires": LAST_DAY}
                self.waivers.append({**row, "count": count, **told})
        return found

    def _write(self) -> None:
        folder = self.root / "runbooks" / SYSTEM
        folder.mkdir(parents=True, exist_ok=True)
        steps = [{"phase": p, "gate": "none" if p < "02" else "previous", "minutes": 1} for p in PHASES]
        back = {"phase": "07-roll-back", "gate": "begun", "minutes": 1}
        book = {"system": SYSTEM, "title": "A trial", "steps": steps, "way_back": back}
        front = yaml.safe_dump(book, sort_keys=False)
        headings = "".join(f"## {heading}\n\nIn a trial.\n\n" for heading in HEADINGS)
        (folder / "runbook.md").write_text(f"---\n{front}---\n\n# Trial\n\n{headings}", encoding="utf-8")
        mapping = {"system": SYSTEM, "objects": {"folders": ["attachments"]}, "decisions": self.decisions}
        mapping |= {"tables": self.tables} if self.tables else {}
        (folder / "mapping.yaml").write_text(yaml.dump(mapping, Dumper=Plain, sort_keys=False), encoding="utf-8")
        (folder / "waivers.yaml").write_text(yaml.dump(self.waivers, Dumper=Plain, sort_keys=False), encoding="utf-8")


@contextmanager
def _root(root: Path) -> Iterator[None]:
    before = os.environ.get("TOWPATH_ROOT")
    os.environ["TOWPATH_ROOT"] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOWPATH_ROOT"]
        else:
            os.environ["TOWPATH_ROOT"] = before


def rehearse(root: Path, runtime: Runtime, source: Mapping[str, Any]) -> Rehearsal:
    """Lay a rehearsal out; `source`: the keys of params that say where the rows are."""
    lay_out(root)
    (root / "data" / "attachments").mkdir(parents=True)
    params = {
        "system": SYSTEM,
        "environment": "local",
        "source_files": "data",
        "source_maintenance_switch": "data/maintenance.json",
        "source_closed_cleanly": True,
        "cloudflare_api": runtime.api,
        "cloudflare_account": "",
        "cloudflare_token": "",
        "d1_database_id": f"trial-{secrets.token_hex(8)}",
        "d1_database_name": "trial",
        "d1_plan": "paid",
        "r2_endpoint": runtime.s3,
        "r2_bucket": runtime.bucket,
        "r2_access_key": f"file:{runtime.state.folder / 'r2-access-key'}",
        "r2_secret_key": f"file:{runtime.state.folder / 'r2-secret-key'}",
        "approved_plan": "rehearsal",
    }
    return Rehearsal(root, {**params, **source})
