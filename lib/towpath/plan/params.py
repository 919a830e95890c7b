"""Params: the flat, typed keys that every notebook of a system gets, the same file for all of them.

They say where the source lies and which target is meant.  Secrets stand in them only as references
(`env:NAME`, `file:PATH`); approvals and the run id are part of a call, not of the plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from towpath.errors import WrongUse
from towpath.plan import ends, traffic_keys
from towpath.plan.addresses import is_loopback, matching
from towpath.plan.document import Document, Refused, read_yaml
from towpath.plan.ends import HEX32, NAME, UNSIGNED
from towpath.plan.problems import PlanRefused, Problem, from_document, from_validation, inline_secrets, refuse
from towpath.plan.root import inside, project_root
from towpath.plan.traffic_keys import TrafficKeys
from towpath.secrets import Secret

REHEARSAL = "rehearsal"
SECRETS = (*ends.REFERENCES, *traffic_keys.REFERENCES)
IDS = (  # long and random, and no secrets
    "cloudflare_account",
    "d1_database_id",
    "kv_namespace_id",
    "gateway_namespace_id",
    "gateway_database_id",
    "dns_zone_id",
)
APPROVALS = ("approved_plan", "approved_target", "run_id")
RUN_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{4}$")
_HEX64 = re.compile(r"^[0-9a-f]{64}$")
_UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


class Params(TrafficKeys):
    """The params of one system in one environment.  Field descriptions say what is allowed."""

    approved_plan: str = Field(
        default="", description='"", the 64 hex digits of a plan hash, or rehearsal on this machine'
    )
    approved_target: str = Field(default="", description='"" or the target fingerprint that the dry run printed')
    run_id: str = Field(default="", description='"" or a run id such as 20260131T081500Z-1a2b')

    @field_validator("approved_plan")
    @classmethod
    def _approval(cls, value: str) -> str:
        return value if value in ("", REHEARSAL) else matching(_HEX64, value)

    @field_validator("run_id")
    @classmethod
    def _run(cls, value: str) -> str:
        return value and matching(RUN_ID, value)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if not is_loopback(self.cloudflare_api):
            wrong = {
                "cloudflare_account": not self.cloudflare_account,
                "cloudflare_token": not self.cloudflare_token,
                "d1_database_id": not _UUID.match(self.d1_database_id),
                "kv_namespace_id": bool(self.source_cache) and not HEX32.match(self.kv_namespace_id),
                "gateway_namespace_id": self.moves_traffic and not HEX32.match(self.gateway_namespace_id),
                "gateway_database_id": self.moves_traffic and not _UUID.match(self.gateway_database_id),
            }
            for key in (key for key, is_wrong in wrong.items() if is_wrong):
                allowed = type(self).model_fields[key].description
                raise _Together(key, "PL003", "a remote address needs it", f"allowed: {allowed}")
        lacking = {
            "source_password": self.source_is_server and not self.source_password,
            "kv_namespace_id": bool(self.source_cache) and not self.kv_namespace_id,
            "worker_url": bool(self.source_jobs or self.gateway_url) and not self.worker_url,
            "worker_token": bool(self.source_jobs) and not self.worker_token,
            "source_url": self.moves_traffic and not self.source_url,
            "gateway_namespace_id": self.moves_traffic and not self.gateway_namespace_id,
            "gateway_database_id": self.moves_traffic and not self.gateway_database_id,
            "dns_zone_id": bool(self.dns_api) and not self.dns_zone_id,
            "dns_token": bool(self.dns_api) and not self.dns_token,
        }
        for key in (key for key, is_lacking in lacking.items() if is_lacking):
            allowed = str(type(self).model_fields[key].description).partition('; ""')[0]
            raise _Together(key, "PL003", "another key of the params needs it", f"allowed: {allowed}")
        if self.approved_plan == REHEARSAL and not (self.is_practice and self.on_this_machine):
            raise _Together(
                "approved_plan",
                "PL007",
                "rehearsal is allowed only in the environments local and rehearsal, with every address on this machine",
                'write "" for a dry run, or the hash of the plan',
            )
        return self

    @property
    def source_is_server(self) -> bool:
        """True when the rows are read from PostgreSQL, not from a file."""
        return self.source_database.startswith("postgresql://")

    @property
    def on_this_machine(self) -> bool:
        """True when every target address is a loopback address."""
        more = (self.worker_url, self.gateway_url, self.source_url, self.dns_api)
        return all(is_loopback(url) for url in (self.cloudflare_api, self.r2_endpoint, *filter(None, more)))

    @property
    def is_practice(self) -> bool:
        """True in local and rehearsal: nobody has to sign, and no target has to be typed back."""
        return self.environment in UNSIGNED

    def secret(self, key: str, root: Path) -> Secret | None:
        """The secret that a key refers to (`file:` paths are relative to `root`); None where the key is empty."""
        reference = str(getattr(self, key))
        return Secret(reference, root) if reference else None

    def planned(self) -> dict[str, Any]:
        """The params that belong to the plan: all but approvals and run id."""
        return self.model_dump(exclude=set(APPROVALS))


class _Together(ValueError):
    """Keys that do not fit together; carries the problem out of pydantic."""

    def __init__(self, key: str, code: str, what: str, next: str) -> None:
        super().__init__(what)
        self.key, self.code, self.what, self.next = key, code, what, next


def params_path(root: Path, system: str, environment: str) -> Path:
    """Where the params of a system and an environment lie."""
    if not NAME.match(system) or not NAME.match(environment):
        raise WrongUse("no such system or environment", object=f"{system} {environment}", next="look into params/")
    return root / "params" / system / f"{environment}.yaml"


def load_params(path: Path) -> Params:
    """Read and validate a params file.  Raises PlanRefused (a WrongUse) with every problem of the file."""
    try:
        shown = inside(project_root(), path)
    except WrongUse:
        shown = str(path)
    return _validated(read_document(path, shown))


def params_from(mapping: Mapping[str, Any], file: str = "parameters") -> Params:
    """Validate params that are already values, e.g. a notebook's variables.  Raises PlanRefused."""
    return _validated(Document(file, dict(mapping)))


def read_document(path: Path, shown: str) -> Document:
    """Read a YAML file of the plan.  Raises PlanRefused when it is missing or no plain YAML."""
    return parse_document(read_file(path, shown), shown)


def parse_document(text: str, shown: str, before: int = 0) -> Document:
    """Read a YAML text of the plan; `before` lines stand above it in its file.  Raises PlanRefused."""
    try:
        return read_yaml(text, shown, before)
    except Refused as refused:
        raise from_document(refused, shown) from None


def read_file(path: Path, shown: str) -> str:
    """The text of a file of the plan.  Raises PlanRefused when it is missing or not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise refuse("PL008", shown, "", f"cannot be read: {reason}", "put the file there") from None
    except UnicodeDecodeError:
        raise refuse("PL008", shown, "", "is not UTF-8 text", "save the file as UTF-8") from None


def _validated(document: Document) -> Params:
    if not isinstance(document.data, Mapping):
        raise refuse("PL006", document.file, "", "holds no keys", "write `key: value` lines, see docs/params.md")
    problems = inline_secrets(document, exempt=(*SECRETS, *IDS, "approved_plan"))
    found = {problem.key for problem in problems}
    try:
        params = Params.model_validate(document.data)
    except ValidationError as error:
        together = [_as_problem(item["ctx"]["error"], document) for item in error.errors() if _is_together(item)]
        plain = from_validation(error, Params, document, silent=SECRETS) if not together else []
        problems += together + [_named(problem) for problem in plain if problem.key not in found]
        raise PlanRefused(problems) from None
    if problems:
        raise PlanRefused(problems)
    return params


def _is_together(item: Any) -> bool:
    return item["type"] == "value_error" and isinstance(item["ctx"]["error"], _Together)


def _as_problem(error: _Together, document: Document) -> Problem:
    return Problem(error.code, document.file, document.line((error.key,)), error.key, error.what, error.next)


def _named(problem: Problem) -> Problem:
    """A secret key with a wrong value is the rule about secrets, whatever else is wrong with it."""
    if problem.key in SECRETS and problem.code == "PL003":
        step = "write env:NAME or file:PATH; if a secret stood in the file, change that secret"
        return Problem("PL005", problem.file, problem.line, problem.key, "holds no reference to a secret", step)
    return problem
