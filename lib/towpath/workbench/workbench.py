"""Connections and states of one run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import apsw

from towpath import objects, show
from towpath.checks import Decision, Finding, Verdict
from towpath.cloudflare import D1, Client, prices
from towpath.cloudflare.limits import Limits
from towpath.cloudflare.r2 import r2
from towpath.errors import WrongUse
from towpath.runs.attempt import Run
from towpath.tables.census import Profile
from towpath.tables.conversion import Conversion
from towpath.tables.export import Exporter
from towpath.tables.load import receipt_prefix
from towpath.tables.manifest import NAME as MANIFEST
from towpath.tables.manifest import Manifest, read_manifest
from towpath.tables.schema import Schema
from towpath.tables.snapshot import FILE
from towpath.tables.target import receipts
from towpath.workbench import references
from towpath.workbench.file_origin import FileOrigin
from towpath.workbench.origin import Origin
from towpath.workbench.required import required

TITLES = {
    "00-ready": "Is everything here that the move needs?",
    "01-inventory": "What the source holds, and what stands in the way",
    "02-schema": "The schema of the target",
    "03-export": "One consistent snapshot, ready to send",
    "04-import": "Every row and every file, exactly once",
    "05-validate": "Is every cell and every byte there?",
    "06-cutover": "Freeze, delta, proof",
}
SNAPSHOT, OBJECTS, DECIDED, PROFILE = "snapshot", "objects.jsonl", "decided.json", "inventory/profile.json"


@dataclass(frozen=True, slots=True)
class State:
    """What the target should hold: a snapshot of the rows, and the list of files that went with it."""

    folder: Path
    manifest: Manifest
    exporter: Exporter
    is_delta: bool  # made by a cutover: it changes the state before it, and is none by itself

    @property
    def objects(self) -> objects.Manifest:
        """The files of this state."""
        return objects.read(self.folder / OBJECTS)

    @property
    def decided(self) -> list[tuple[Finding, Decision]]:
        """What was decided about its files."""
        rows = json.loads((self.folder / DECIDED).read_text(encoding="utf-8"))
        return [(Finding(**{**f, "samples": tuple(f["samples"])}), Decision(**d)) for f, d in rows]


def keep_decided(folder: Path, decided: Sequence[tuple[Finding, Decision]]) -> None:
    """Write down, beside a snapshot, what was decided about its files."""
    rows = [(asdict(finding), asdict(decision)) for finding, decision in decided]
    (folder / DECIDED).write_text(json.dumps(rows, indent=1), encoding="utf-8")


class Workbench:
    """Opens what the params name, when it is first asked for; `close` closes what was opened."""

    def __init__(self, run: Run) -> None:
        self.run, self.params, self.root = run, run.params, run.root
        self._stack = ExitStack()
        self._banner: show.Banner | None = None
        self._open_states: dict[Path, State] = {}

    # -- the two ends

    @cached_property
    def origin(self) -> Origin:
        """Where the rows come from."""
        return FileOrigin(self)

    @property
    def source(self) -> apsw.Connection:
        """The rows of the source, for reading only."""
        return self.origin.connection

    @property
    def schema(self) -> Schema:
        """What the source declares now."""
        return self.origin.schema

    def on_close(self, step: Callable[[], object]) -> None:
        """Do this when the phase ends."""
        self._stack.callback(step)

    @cached_property
    def d1(self) -> D1:
        """The target database."""
        params = self.params
        token = self.run.secret("cloudflare_token")
        client = Client(params.cloudflare_api, params.cloudflare_account, token)
        return D1(self._stack.enter_context(client), params.d1_database_id)

    @cached_property
    def s3(self) -> Any:
        """The S3 client of the target bucket."""
        access, secret = self.run.secret("r2_access_key"), self.run.secret("r2_secret_key")
        if access is None or secret is None:
            raise WrongUse("R2 needs two keys", object="params", next="name r2_access_key and r2_secret_key")
        client = r2(self.params.r2_endpoint, access, secret)
        self._stack.callback(client.close)
        return client

    @property
    def limits(self) -> Limits:
        """The limits of the plan that the target is on."""
        return Limits.of(self.params.d1_plan)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions of mapping.yaml."""
        return self.run.mapping.decided()

    @property
    def claim(self) -> dict[str, str]:
        """Whose the target is, once this run wrote to it."""
        return {
            "system": self.params.system,
            "environment": self.params.environment,
            "run": self.run.run_folder.run_id,
        }

    # -- opening and closing a phase

    def open(self) -> None:
        """Show the banner, say which source and target this phase works on, and prove that both answer."""
        run, params = self.run, self.params
        reads = f"{params.source_database} and {params.source_files}/"
        writes = f"D1 {params.d1_database_name} ({params.d1_database_id}), R2 {params.r2_bucket}"
        facts = [
            ("System", f"{params.system}, {params.environment}"),
            ("Source", reads),
            ("Target", f"{writes} at {params.cloudflare_api}"),
            ("Run", f"{run.run_folder.run_id}, {run.result.stem}"),
            ("Plan", run.plan.hash),
        ]
        self._banner = show.Banner(TITLES[run.phase], facts).show()
        run.require(*required(run.phase, approved=run.approved))
        if run.phase != "00-ready":
            run.identify(source=self.source_identity, target=self.target_identity)

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
        return f"d1:{params.cloudflare_account or 'local'}/{params.d1_database_id} r2:{params.r2_bucket}"

    @property
    def fingerprint(self) -> str:
        """The target as a person approves it: where it is, what it is called, and how much it holds now."""
        held = self.d1.facts()
        rows = sum(count for _, count in held.tables)
        files = objects.fingerprint(self.s3, self.params.r2_bucket)
        return f"{self.target_identity} {held.name}: {len(held.tables)} tables, {rows} rows; {files.objects} objects"

    def close(self, sentence: str) -> None:
        """Close the connections, take the verdict, and rewrite the banner with it."""
        self._stack.close()
        verdict = self.run.close()
        if self._banner is not None:
            waived = sum(check.verdict is Verdict.WAIVED for check in self.run.checks)
            accepted = f"  {waived} accepted losses, each with its waiver." if waived else ""
            self._banner.finish(verdict, sentence + accepted)

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
            exporter = Exporter(folder / FILE, self.decisions)
            self._stack.callback(exporter.close)
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
