"""00-ready: is everything here that the move needs?  Each condition is a row: must, or should."""

from __future__ import annotations

import datetime as dt
import email.utils
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import psutil
from redis import RedisError

from towpath import keys, objects
from towpath.checks import Check, Rule, Severity
from towpath.errors import TowpathError
from towpath.workbench.workbench import Workbench

EXACT = re.compile(r"^\s*- ([A-Za-z0-9._-]+)==(\S+)\s*$", re.MULTILINE)
CLOCK_SECONDS = 60
MEMORY_BYTES = 1_000_000_000
COPIES = 3  # snapshot, chunks, the delta's snapshot


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: what is asked, whether it must hold, what to do when it does not."""

    code: str
    title: str
    must: bool
    advice: str
    ask: Callable[[Workbench], tuple[bool, str]]
    surface: str = ""  # asked only of a system that has it


def _python(bench: Workbench) -> tuple[bool, str]:  # noqa: ARG001
    return sys.version_info >= (3, 11), sys.version.split()[0]


def _packages(bench: Workbench) -> tuple[bool, str]:
    listed = EXACT.findall((bench.root / "environment.yml").read_text(encoding="utf-8"))
    wrong = []
    for name, version in listed:
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            wrong.append(f"{name} {installed}, not {version}")
    return not wrong, "; ".join(wrong) or f"{len(listed)} packages as listed"


def _runtime(bench: Workbench) -> tuple[bool, str]:
    if not bench.params.is_practice:
        return True, "not needed in this environment"
    wanted = json.loads((bench.root / "package.json").read_text(encoding="utf-8"))["dependencies"]
    wrong = []
    for name, version in wanted.items():
        file = bench.root / "node_modules" / name / "package.json"
        installed = json.loads(file.read_text(encoding="utf-8"))["version"] if file.is_file() else "missing"
        if installed != version:
            wrong.append(f"{name} {installed}, not {version}")
    return not wrong, "; ".join(wrong) or ", ".join(f"{n} {v}" for n, v in wanted.items())


def _source(bench: Workbench) -> tuple[bool, str]:
    return True, bench.origin.answers()


def _files(bench: Workbench) -> tuple[bool, str]:
    root = bench.run.source("source_files")
    return root.is_dir(), f"{bench.params.source_files} is {'a' if root.is_dir() else 'not a'} folder"


def _d1(bench: Workbench) -> tuple[bool, str]:
    answer = bench.d1.query("SELECT 1").rows
    return answer == [[1]], f"answers as {bench.d1.name()}"


def _r2(bench: Workbench) -> tuple[bool, str]:
    return True, str(objects.fingerprint(bench.s3, bench.params.r2_bucket))


def _empty(bench: Workbench) -> tuple[bool, str]:
    held = bench.d1.facts()
    return held.empty, "empty" if held.empty else f"{len(held.tables)} tables already"


def _disk(bench: Workbench) -> tuple[bool, str]:
    needed = bench.origin.bytes * COPIES
    free = shutil.disk_usage(bench.run.folder).free
    return free > needed, f"{free / 1e9:,.1f} GB free, {needed / 1e9:,.1f} GB needed for the record"


def _memory(bench: Workbench) -> tuple[bool, str]:  # noqa: ARG001
    free = psutil.virtual_memory().available
    return free > MEMORY_BYTES, f"{free / 1e9:,.1f} GB available"


def _clock(bench: Workbench) -> tuple[bool, str]:
    answer = httpx.get(bench.params.cloudflare_api, timeout=10)
    told = answer.headers.get("date")
    if told is None:
        return bench.params.is_practice, "the target tells no time"
    apart = abs((dt.datetime.now(dt.UTC) - email.utils.parsedate_to_datetime(told)).total_seconds())
    return apart < CLOCK_SECONDS, f"{apart:.0f} s apart"


def _commit(bench: Workbench) -> tuple[bool, str]:
    command = ["git", "-C", str(bench.root), "status", "--porcelain", "--untracked-files=no"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return False, "not a git checkout"
    changed = len(done.stdout.splitlines())
    head = subprocess.run(
        ["git", "-C", str(bench.root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return not changed, f"{head[:12]}{f', {changed} files changed since' if changed else ''}"


def _cache(bench: Workbench) -> tuple[bool, str]:
    assert bench.redis is not None
    found = keys.facts(bench.redis)
    return True, f"{found.keys:,} keys in {found.address}, Redis {found.version}"


def _kv(bench: Workbench) -> tuple[bool, str]:
    assert bench.kv is not None
    held = keys.fingerprint(bench.kv)
    return not held.keys, str(held)


def _jobs(bench: Workbench) -> tuple[bool, str]:
    assert bench.broker is not None
    return True, f"{bench.broker.dbsize():,} keys in {bench.params.source_jobs}"


def _worker(bench: Workbench) -> tuple[bool, str]:
    answer = httpx.get(f"{bench.params.worker_url}/health", timeout=10)
    return answer.status_code == httpx.codes.OK, f"{bench.params.worker_url}/health says {answer.status_code}"


CONDITIONS = (
    Condition("RD001", "Python 3.11 or later", True, "install Python 3.11 or later, then `make install`", _python),
    Condition("RD002", "The packages of environment.yml", True, "run `make install`", _packages),
    Condition("RD003", "Cloudflare's runtime, as pinned", True, "run `make install`", _runtime),
    Condition("RD004", "The source database opens", True, "correct source_database, or do as the error says", _source),
    Condition("RD005", "The folder of files is there", True, "correct source_files in the params", _files),
    Condition("RD006", "D1 answers", True, "start it: `towpath local up`; or look at address, account and token", _d1),
    Condition("RD007", "The R2 bucket answers to these keys", True, "create the bucket, or correct the keys", _r2),
    Condition("RD008", "Disk for the record", True, "free space where outputs/ lies", _disk),
    Condition("RD009", "The clocks agree", False, "set this machine's clock: records are ordered by it", _clock),
    Condition("RD010", "Memory", False, "close other programs: a kernel needs up to 500 MB", _memory),
    Condition("RD011", "The target is empty", False, "02-schema will refuse tables that it did not make", _empty),
    Condition("RD012", "The code is committed", False, "commit first, so that the record names what ran", _commit),
    Condition("RD013", "The cache answers", True, "correct source_cache and its password", _cache, "cache"),
    Condition("RD014", "The KV namespace is empty", False, "04-import will refuse keys of others", _kv, "cache"),
    Condition("RD015", "The broker of the jobs answers", True, "correct source_jobs and its password", _jobs, "jobs"),
    Condition("RD016", "The new Worker answers", True, "deploy it, or correct worker_url", _worker, "jobs"),
)
RULES: dict[str, Rule] = {
    c.code: Rule(c.code, "ready", c.title, Severity.REFUSE if c.must else Severity.WARN, c.advice) for c in CONDITIONS
}


def look(bench: Workbench, codes: tuple[str, ...]) -> list[Check]:
    """Ask the conditions of these codes; one that cannot even be asked has not been met."""
    wanted = [c for c in CONDITIONS if c.code in codes and (not c.surface or c.surface in bench.surfaces)]
    return [_asked(bench, condition) for condition in wanted]


def _asked(bench: Workbench, condition: Condition) -> Check:
    step = ""
    try:
        met, found = condition.ask(bench)
    except TowpathError as error:
        met, found, step = False, f"{error.object}: {error.what}".removeprefix(": "), error.next
    except (OSError, httpx.HTTPError, RedisError) as error:
        met, found = False, f"{type(error).__name__}: {error}"
    expected = "must hold" if condition.must else "should hold"
    return RULES[condition.code].check(condition.title, expected, found, met, step=step)
