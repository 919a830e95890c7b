"""Connections and states of one run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import apsw

from towpath import keys, objects, show
from towpath.checks import Comparison, Decision, Verdict
from towpath.cloudflare import prices
from towpath.cloudflare.limits import Limits
from towpath.errors import WrongUse
from towpath.runs.attempt import Run
from towpath.sensitive import Sensitive
from towpath.tables.census import Profile
from towpath.tables.conversion import Conversion
from towpath.tables.export import Exporter
from towpath.tables.load import receipt_prefix
from towpath.tables.manifest import NAME as MANIFEST
from towpath.tables.manifest import read_manifest
from towpath.tables.schema import Schema
from towpath.tables.snapshot import FILE
from towpath.tables.target import receipts
from towpath.workbench import hidden, references
from towpath.workbench.asked import sides
from towpath.workbench.ends import Ends
from towpath.workbench.file_back import FileBack
from towpath.workbench.file_origin import FileOrigin
from towpath.workbench.going_on import DoneBefore
from towpath.workbench.origin import Origin
from towpath.workbench.required import required
from towpath.workbench.server_back import ServerBack
from towpath.workbench.server_origin import ServerOrigin
from towpath.workbench.state import OBJECTS, SNAPSHOT, State
from towpath.workbench.way_back import WayBack

TITLES = {
    "00-ready": "Is everything here that the move needs?",
    "01-inventory": "What the source holds, and what stands in the way",
    "02-schema": "The schema of the target",
    "03-export": "One consistent snapshot, ready to send",
    "04-import": "Every row and every file, exactly once",
    "05-validate": "Is every cell and every byte there?",
    "06-cutover": "Freeze, delta, proof, and traffic",
    "07-roll-back": "What the target got, carried back; the source serves again",
}
PROFILE = "inventory/profile.json"


class Workbench(Ends):
    """Opens what the params name, when it is first asked for; `close` closes what was opened."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._banner: show.Banner | None = None
        self._open_states: dict[Path, State] = {}
        self.snapshot_seconds = 0.0  # that the last snapshot of a cutover took
        self.done_before: DoneBefore | None = None  # a cutover that was cut after it had opened the new side

    @property
    def limits(self) -> Limits:
        """The limits of the plan that the target is on."""
        return Limits.of(self.params.d1_plan)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions of mapping.yaml."""
        return self.run.mapping.decided()

    @cached_property
    def sensitive(self) -> Sensitive:
        """The columns whose values are shown as digests, as source and target call them."""
        return hidden.sensitive(self.run.mapping.sensitive, self.run.mapping.tables.fitted.tables)

    @property
    def claim(self) -> dict[str, str]:
        """Whose the target is, once this run wrote to it."""
        return {
            "system": self.params.system,
            "environment": self.params.environment,
            "run": self.run.run_folder.run_id,
        }

    @cached_property
    def origin(self) -> Origin:
        """Where the rows come from."""
        return ServerOrigin(self) if self.params.source_is_server else FileOrigin(self)

    @cached_property
    def way_back(self) -> WayBack:
        """How rows go back to where they came from."""
        origin = self.origin
        return ServerBack(self, origin) if isinstance(origin, ServerOrigin) else FileBack(self)

    @property
    def source(self) -> apsw.Connection:
        """The rows of the source, for reading only."""
        return self.origin.connection

    @property
    def schema(self) -> Schema:
        """What the source declares now."""
        return self.origin.schema

    @property
    def surfaces(self) -> frozenset[str]:
        """What this system has, as `required` and 00-ready ask it."""
        application = self.run.mapping.traffic.application
        has = {"cache": self.params.source_cache, "jobs": self.params.source_jobs, "routes": application}
        has["traffic"] = self.params.gateway_url
        kind = "server" if self.params.source_is_server else "file"
        asked = [name for name in (sides(self.params, self.run.mapping.traffic),) if name]
        return frozenset([self.run.mapping.tables.mode, kind, *asked, *(name for name, there in has.items() if there)])

    # -- opening and closing a phase

    def open(self) -> None:
        """Show the banner, say which source and target this phase works on, and prove that both answer."""
        run, params = self.run, self.params
        reads = ", ".join(filter(None, [self.origin.name, f"{params.source_files}/", *self._servers]))
        writes = f"D1 {params.d1_database_name} ({params.d1_database_id}), R2 {params.r2_bucket}"
        writes += f", KV {params.kv_namespace_id}" if params.source_cache else ""
        writes += f", jobs to {params.worker_url}" if params.source_jobs else ""
        facts = [
            ("System", f"{params.system}, {params.environment}"),
            ("Source", reads),
            ("Target", f"{writes} at {params.cloudflare_api}"),
            ("Run", f"{run.run_folder.run_id}, {run.result.stem}"),
            ("Plan", run.plan.hash),
        ]
        self._banner = show.Banner(TITLES[run.phase], facts).show()
        run.require(*required(run.phase, approved=run.approved, surfaces=self.surfaces))
        if run.phase != "00-ready":
            run.identify(source=self.source_identity, target=self.target_identity)

    @property
    def _servers(self) -> list[str]:
        cache, jobs = self.params.source_cache, self.params.source_jobs
        return [f"cache {cache}" if cache else "", f"jobs {jobs}" if jobs else ""]

    @property
    def source_identity(self) -> str:
        """The source as gates compare it: the file's name and what it declares."""
        known = None if self.run.phase == "01-inventory" else next(self._recorded_sources(), None)
        return known or self.origin.identity

    def _recorded_sources(self) -> Iterator[str]:
        for result in reversed(list(self.run.run_folder.results())):
            if result.source and result.phase != "00-ready" and self.run.phase == "05-validate":
                yield result.source

    @property
    def target_identity(self) -> str:
        """The target as gates compare it."""
        params = self.params
        kv = f" kv:{params.kv_namespace_id}" if params.source_cache else ""
        return f"d1:{params.cloudflare_account or 'local'}/{params.d1_database_id} r2:{params.r2_bucket}{kv}"

    @property
    def fingerprint(self) -> str:
        """The target as a person approves it: where it is, what it is called, and how much it holds now."""
        held = self.d1.facts()
        rows = sum(count for _, count in held.tables)
        files = objects.fingerprint(self.s3, self.params.r2_bucket)
        there = f"{self.target_identity} {held.name}: {len(held.tables)} tables, {rows} rows; {files.objects} objects"
        return there if self.kv is None else f"{there}; {keys.fingerprint(self.kv).keys} keys"

    def close(self, sentence: str) -> None:
        """Close the connections, take the verdict, and rewrite the banner with it."""
        self._stack.close()
        verdict = self.run.close()
        if self._banner is not None:
            waived = sum(check.verdict is Verdict.WAIVED for check in self.run.checks)
            accepted = f"  {waived} accepted losses, each with its waiver." if waived else ""
            self._banner.finish(verdict, sentence + accepted)

    def keep_differences(self, found: Comparison) -> None:
        """Every difference goes into the record, not only those that the page shows."""
        if found.differences:
            path = self.run.output(f"validate/{found.surface}-differences.jsonl")
            with path.open("w", encoding="utf-8") as file:
                for d in found.differences:
                    row = {s: getattr(d, s) for s in ("object", "key", "column", "kind", "expected", "found")}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self.run.artefact(path)

    # -- what earlier phases left

    @cached_property
    def profile(self) -> Profile:
        """The census that 01-inventory took."""
        return Profile.from_json(self.run.read_json(PROFILE))

    @cached_property
    def conversion(self) -> Conversion:
        """The target's schema, from the source's schema and the census; the same in every phase."""
        return self.origin.conversion(self._known_schema)

    @property
    def _known_schema(self) -> Schema:
        """The schema of the newest snapshot, or the source's own before there is one."""
        return self.state.exporter.schema if next(self._states(), None) else self.schema

    @cached_property
    def state(self) -> State:
        """What the target should hold: the newest complete snapshot, but for a delta of which nothing was sent yet.

        Raises WrongUse when there is none.
        """
        for state in self.states():
            if not state.is_delta or self.has_begun(state):
                return state
        raise WrongUse("there is no complete snapshot in this run", object=self.run.phase, next="run 03-export")

    def has_begun(self, state: State) -> bool:
        """True when the target has a receipt of this state, or there is nothing in it to send."""
        return not state.manifest.chunks or bool(receipts(self.d1, receipt_prefix(state.manifest)))

    def forget_state(self) -> None:
        """The target has moved on to a newer state."""
        self.__dict__.pop("state", None)

    def states(self) -> Iterator[State]:
        """Every complete snapshot of this run, opened, the newest first."""
        return (self._opened(folder) for folder in self._states())

    def _opened(self, folder: Path) -> State:
        if folder not in self._open_states:
            exporter = Exporter(folder / FILE, self.decisions, sensitive=self.sensitive)
            self.on_close(exporter.close)
            is_delta = folder in self._deltas()
            self._open_states[folder] = State(folder, read_manifest(folder), exporter, is_delta)
        return self._open_states[folder]

    @property
    def snapshot_ids(self) -> list[str]:
        """The ids of every complete snapshot of this run."""
        return [state.manifest.id for state in self.states()]

    def _states(self) -> Iterator[Path]:
        """Folders of complete snapshots, rows and files, the newest first."""
        for folder, _ in self._folders():
            if (folder / MANIFEST).is_file() and (folder / OBJECTS).is_file():
                yield folder

    def _deltas(self) -> set[Path]:
        return {folder for folder, phase in self._folders() if phase == "06-cutover"}

    def _folders(self) -> list[tuple[Path, str]]:
        """Folders of snapshots, the newest first, each with the phase that made it."""
        made = [(r.outputs or {}, r.phase) for r in reversed(list(self.run.run_folder.results()))]
        return [(self.run.folder / outputs[SNAPSHOT], phase) for outputs, phase in made if SNAPSHOT in outputs]

    # -- rows that name files

    @property
    def _references(self) -> list[references.Column]:
        return [references.Column(r.table, r.column, r.url) for r in self.run.mapping.objects.references]

    def references(self, exporter: Exporter | None = None) -> Iterator[tuple[str, str]]:
        """(row, path) for every column that mapping.yaml names as holding paths, read from a snapshot or the source."""
        if exporter is None:
            return references.rows(self.source, self.schema, self.origin.references(self._references))
        return references.rows(exporter.db, exporter.schema, self._references)

    def target_references(self) -> Iterator[tuple[str, str]]:
        """The same, read back from the target."""
        return references.target_rows(self.d1, self._known_schema, self._references)

    def estimate(self, files: int, file_bytes: int) -> prices.Estimate:
        """What the load costs, from measured rows and files."""
        sizes = [prices.TableSize(t.name, self.profile.table(t.name).rows, len(t.indexes)) for t in self.schema.moving]
        return prices.load_cost(sizes, database_bytes=self.profile.database_bytes, files=files, file_bytes=file_bytes)
