"""The plan: everything that decides what a run does, as one value with one hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from towpath.checks import Waiver
from towpath.errors import WrongUse
from towpath.plan.mapping import SystemMapping, Tables, load_mapping
from towpath.plan.params import REHEARSAL, Params
from towpath.plan.root import inside, project_root
from towpath.plan.runbook import Runbook, load_runbook
from towpath.plan.waivers import load_waivers

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """Params, runbook, mapping and waivers of one system in one environment."""

    system: str
    environment: str
    params: Params
    runbook: Runbook
    mapping: SystemMapping
    waivers: tuple[Waiver, ...]

    @cached_property
    def hash(self) -> str:
        """SHA-256 (64 hex digits) of the plan as canonical JSON: sorted keys, no spaces, UTF-8.

        Approvals, run id, comments, key order and line ends do not count; every value and the runbook's prose do.
        """
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @cached_property
    def canonical(self) -> str:
        """The text that is hashed."""
        whole = {
            "format": FORMAT,
            "system": self.system,
            "environment": self.environment,
            "params": self.params.planned(),
            "runbook": self.runbook.model_dump(mode="json"),
            "mapping": {**self.mapping.model_dump(mode="json"), "system": self.system},
            "waivers": [_plain(waiver) for waiver in self.waivers],
        }
        return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of what the plan is in every environment: runbook, mapping and waivers, without the params."""
        return content_hash(json.loads(self.canonical))

    @property
    def approved(self) -> bool:
        """True for a real run.  Raises WrongUse when the approval names another plan."""
        given = self.params.approved_plan
        if given in ("", REHEARSAL):
            return bool(given)
        if given != self.hash:
            raise WrongUse(
                f"approved_plan names {given[:12]}…, the plan is now {self.hash[:12]}…",
                object=f"{self.system} {self.environment}",
                next=f"read `towpath plan {self.system} --env {self.environment}` and approve that hash",
                code="PL013",
            )
        return True

    def lines(self) -> list[str]:
        """The plan as people read it, one fact a line."""
        p = self.params
        steps = [
            f"  {step.phase:<14}{_gate(step.gate)}, about {step.minutes} min, approvers {step.approvers}"
            + (", POINT OF NO RETURN" if step.point_of_no_return else "")
            for step in self.runbook.all_steps
        ]
        decisions = [f"  {d.code} {d.object} → {d.do}: {d.reason}" for d in self.mapping.decisions]
        waivers = [
            f"  {w.code} {w.object} × {w.count or 'all'} by {w.owner} until {w.expires}: {w.reason}"
            for w in self.waivers
        ]
        tables = self.mapping.tables
        references = ", ".join(f"{r.table}.{r.column}" for r in self.mapping.objects.references) or "none"
        return [
            f"{self.runbook.title} ({self.system}, {self.environment})",
            f"source   {p.source_database}, files under {p.source_files}",
            *_more(("cache", p.source_cache), ("jobs", p.source_jobs)),
            f"target   D1 {p.d1_database_name} ({p.d1_database_id}), R2 {p.r2_bucket}",
            *_more(("", p.kv_namespace_id and f"KV {p.kv_namespace_id}"), ("", p.worker_url)),
            f"through  {p.cloudflare_api} and {p.r2_endpoint}",
            f"tables   {_tables(tables)}; naive timestamps are {tables.time_zone}",
            f"objects  referenced by {references}",
            f"steps    {len(steps)}",
            *steps,
            f"decided  {len(decisions)}",
            *decisions,
            f"waived   {len(waivers)}",
            *waivers,
            f"hash     {self.hash}",
        ]


def content_hash(canonical: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of runbook, mapping and waivers of a plan, given as its canonical text is read.

    Raises KeyError for what is no plan.
    """
    whole = {key: canonical[key] for key in ("system", "runbook", "mapping", "waivers")}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def make_plan(params: Params, root: Path | None = None) -> Plan:
    """Read the system's files and make the plan.  Raises PlanRefused (a WrongUse)."""
    root = root or project_root()
    folder = root / "runbooks" / params.system
    if not folder.is_dir():
        known = sorted(path.parent.name for path in (root / "runbooks").glob("*/runbook.md"))
        raise WrongUse(
            "no such system", object=params.system, next=f"use one of {', '.join(known) or 'none yet'}", code="PL008"
        )
    runbook, mapping, waivers = (folder / name for name in ("runbook.md", "mapping.yaml", "waivers.yaml"))
    return Plan(
        system=params.system,
        environment=params.environment,
        params=params,
        runbook=load_runbook(runbook, inside(root, runbook), params.system),
        mapping=load_mapping(mapping, inside(root, mapping), params.system),
        waivers=load_waivers(waivers, inside(root, waivers)),
    )


def _tables(tables: Tables) -> str:
    if tables.mode == "generate":
        return "generate, all of them"
    lines = f"adopt {tables.migrations}: {len(tables.fit)} rules"
    return f"{lines}, {len(tables.left)} tables left behind, {len(tables.empty)} stay empty"


def _more(*parts: tuple[str, str]) -> list[str]:
    return [f"         {name} {value}" if name else f"         {value}" for name, value in parts if value]


def _gate(gate: str) -> str:
    return {"previous": "after the step before", "begun": "only when it is named"}.get(gate, "may start a run")


def _plain(waiver: Waiver) -> Mapping[str, Any]:
    values = {name: getattr(waiver, name) for name in waiver.__slots__}
    return {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in values.items()}
