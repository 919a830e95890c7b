"""Many users at once: locust in a process of its own, its numbers read back.

locust changes the process that it is imported into (gevent), so it is never imported here.  What it was told and what
it said lies in a folder that nobody else may read and that is removed afterwards, because ready requests carry tokens.
"""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import CannotFinish
from towpath.percentiles import percentile
from towpath.routes.corpus import Recorded

CROWD = Path(__file__).with_name("crowd") / "locustfile.py"
GRACE = 60.0  # seconds that it may take longer than it was told: start, last answers, numbers
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")  # of our environment: no secret has to be known there
_TAIL = 300  # characters of its log that an error repeats


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under load: the route that its numbers are counted for, and the status that it had before (0: any)."""

    route: str
    request: Recorded  # its placeholders filled
    status: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """The numbers of one route, or of all with `route` "".  Milliseconds, above 100 in locust's steps of ten."""

    route: str
    requests: int
    errors: int
    p50: float
    p95: float
    p99: float

    @property
    def errors_percent(self) -> float:
        """Errors of a hundred requests."""
        return 100 * self.errors / self.requests


@dataclass(frozen=True, slots=True)
class Load:
    """What users saw: all requests together, and route by route."""

    users: int
    seconds: int
    total: Loaded
    routes: tuple[Loaded, ...]


def put_under_load(
    url: str, requests: Sequence[Asked], users: int, seconds: int, *, crowd: Path = CROWD, grace: float = GRACE
) -> Load:
    """Let so many users read for so long; each sends one request a second.

    Raises CannotFinish when locust was killed, hung, or brought no numbers: no data is no success.
    """
    with tempfile.TemporaryDirectory(prefix="towpath-load-") as name:
        folder = Path(name)  # mkdtemp makes it for its owner alone
        told = folder / "requests.json"
        told.write_text(json.dumps([_plain(one) for one in requests]), encoding="utf-8")
        words = [sys.executable, "-m", "locust", "-f", str(crowd), "--headless", "--host", url.rstrip("/")]
        words += ["-u", str(users), "-r", str(users), "-t", f"{seconds}s", "--stop-timeout", "10"]
        words += ["--json-file", str(folder / "stats"), "--only-summary", "--exit-code-on-error", "0"]
        _run(words, {"TOWPATH_CROWD": str(told)}, folder, seconds + grace)
        return Load(users, seconds, *_numbers(folder / "stats.json"))


def _plain(one: Asked) -> dict[str, Any]:
    request = one.request
    body = base64.b64encode(request.body).decode()
    plain = {"method": request.method, "path": request.path, "headers": dict(request.headers), "body": body}
    return {**plain, "route": one.route, "status": one.status}


def _run(words: Sequence[str], more: dict[str, str], folder: Path, patience: float) -> None:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | more
    with (folder / "log").open("w+", encoding="utf-8") as log:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            code = child.wait(patience)
        except subprocess.TimeoutExpired:
            step = "look whether the new side answers at all, then run the phase again"
            raise CannotFinish(f"it did not end within {patience:.0f} s", object="locust", next=step) from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if code:
            log.seek(0)
            said = " ".join(log.read().split())[-_TAIL:]
            what = f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}: {said}"
            raise CannotFinish(what, object="locust", next="run the phase again; is the machine overloaded?")


def _numbers(path: Path) -> tuple[Loaded, tuple[Loaded, ...]]:
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        counted = {
            str(one["name"]): (
                int(one["num_requests"]),
                int(one["num_failures"]),
                Counter({float(ms): int(count) for ms, count in one["response_times"].items()}),
            )
            for one in found
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_numbers(f"its numbers cannot be read: {type(error).__name__}") from error
    total: Counter[float] = Counter()
    for _, _, times in counted.values():
        total.update(times)
    requests = sum(one[0] for one in counted.values())
    if not requests:
        raise _no_numbers("no request was sent")
    routes = tuple(_loaded(name, *numbers) for name, numbers in sorted(counted.items()) if numbers[0])
    return _loaded("", requests, sum(one[1] for one in counted.values()), total), routes


def _loaded(route: str, requests: int, errors: int, times: Counter[float]) -> Loaded:
    ranked = (percentile(times, percent) if times.total() else math.nan for percent in (50, 95, 99))
    return Loaded(route, requests, errors, *ranked)


def _no_numbers(what: str) -> CannotFinish:
    return CannotFinish(what, object="locust", next="look whether the new side answers, then run the phase again")
