"""The system's own Worker, where it has one: read its wrangler.jsonc, bundle it, say how the runtime must bind it.

wrangler.jsonc names bindings, queues and consumers, here as in production.  Ids are not taken from it: database, KV
namespace and bucket are those of the params file, so that the Worker and the REST mirror see the same data.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import BadInput, CannotFinish

CONFIG = "wrangler.jsonc"
PATIENCE = 60.0  # seconds for the bundler; 0.2 on an idle machine
# A text stays as it is, a comment goes, a comma before a closing bracket goes.
_JSONC = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_SECRET = re.compile(r"^[A-Z][A-Z0-9_]*$")
_CONSUMER = {"max_batch_size": "maxBatchSize", "max_batch_timeout": "maxBatchTimeout", "max_retries": "maxRetries"}


@dataclass(frozen=True, slots=True)
class Worker:
    """What wrangler.jsonc says.  `producers`: binding → queue; `consumers`: queue → its options as miniflare's."""

    folder: Path
    name: str
    main: Path
    compatibility: str
    variables: Mapping[str, Any]
    secrets: tuple[str, ...]  # names alone
    database: str  # names of bindings, "" where there is none
    namespace: str
    bucket: str
    producers: Mapping[str, str]
    consumers: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A Worker ready for the runtime: its options, and a digest of everything that makes it what it is."""

    options: Mapping[str, Any]
    digest: str


def worker_folder(root: Path, system: str) -> Path | None:
    """Where the system's Worker lies; None if it has none."""
    folder = root / "runbooks" / system / "worker"
    return folder if (folder / CONFIG).is_file() else None


def read_worker(folder: Path) -> Worker:
    """Read wrangler.jsonc.  Raises BadInput, naming file and key."""
    path = folder / CONFIG
    found = read_config(path)
    main = folder / text(path, found, "main")
    if not main.is_file():
        raise wrong(path, f"main names {found['main']}, which is not there")
    queues = found.get("queues", {})
    producers = {text(path, one, "binding"): text(path, one, "queue") for one in queues.get("producers", ())}
    consumers = {text(path, one, "queue"): _consumer(one) for one in queues.get("consumers", ())}
    _closed(path, producers, consumers)
    return Worker(
        folder=folder,
        name=text(path, found, "name"),
        main=main,
        compatibility=text(path, found, "compatibility_date"),
        variables=found.get("vars", {}),
        secrets=_secrets(path, found),
        database=_one(path, found, "d1_databases"),
        namespace=_one(path, found, "kv_namespaces"),
        bucket=_one(path, found, "r2_buckets"),
        producers=producers,
        consumers=consumers,
    )


def bundle(worker: Worker, node: Path, packages: Path, to: Path) -> Bundle:
    """Bundle the Worker into the file `to`.  Raises BadInput with the bundler's first words, CannotFinish."""
    options = {
        "name": worker.name,
        "script": str(to),
        "compatibility": worker.compatibility,
        "variables": dict(worker.variables),
        "secrets": list(worker.secrets),
        "database": worker.database,
        "namespace": worker.namespace,
        "bucket": worker.bucket,
        "producers": dict(worker.producers),
        "consumers": {queue: dict(options) for queue, options in worker.consumers.items()},
    }
    return bundled(worker.main, options, node, packages, to)


def bundled(main: Path, options: Mapping[str, Any], node: Path, packages: Path, to: Path) -> Bundle:
    """One module out of `main` and what it imports.  Raises BadInput with the bundler's first words, CannotFinish."""
    script = Path(__file__).with_name("bundle.mjs")
    command = [node, script, packages, main.resolve(), to]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env={}, check=False)
    except subprocess.TimeoutExpired as slow:
        step = "start again; is the machine overloaded?"
        raise CannotFinish(f"esbuild does not end after {PATIENCE:.0f} s", object=str(main), next=step) from slow
    if done.returncode:
        said = " ".join(done.stderr.split())[:500]
        raise BadInput(f"the Worker cannot be bundled: {said}", object=str(main), next="correct the Worker")
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode() + to.read_bytes())
    return Bundle(options, digest.hexdigest())


def read_config(path: Path) -> dict[str, Any]:
    """A wrangler.jsonc as it stands.  Raises BadInput."""
    try:
        found = json.loads(_plain(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise wrong(path, f"cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise wrong(path, "is not an object")
    return found


def text(path: Path, found: Mapping[str, Any], key: str) -> str:
    """A text that must be there.  Raises BadInput."""
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise wrong(path, f"{key} is missing, or no text")
    return value


def wrong(path: Path, what: str) -> BadInput:
    """The error about a wrangler.jsonc."""
    return BadInput(what, object=str(path), next="correct wrangler.jsonc")


def _plain(text: str) -> str:
    """JSON with comments and trailing commas as plain JSON."""
    return _COMMA.sub(lambda found: found[1] or "", _JSONC.sub(lambda found: found[1] or " ", text))


def _secrets(path: Path, found: Mapping[str, Any]) -> tuple[str, ...]:
    names = found.get("secrets", {}).get("required", [])
    for name in names:
        if not isinstance(name, str) or not _SECRET.match(name):
            raise wrong(path, f"secrets.required names {name!r}, which is no name of a secret")
        if name in found.get("vars", {}):
            raise wrong(path, f"{name} is a secret, and vars has it too")
    return tuple(names)


def _one(path: Path, found: Mapping[str, Any], key: str) -> str:
    bound = found.get(key, [])
    if len(bound) > 1:
        raise wrong(path, f"{key} has {len(bound)} entries: a system has one of each")
    return text(path, bound[0], "binding") if bound else ""


def _consumer(one: Mapping[str, Any]) -> dict[str, Any]:
    options = {ours: one[theirs] for theirs, ours in _CONSUMER.items() if theirs in one}
    return options | ({"deadLetterQueue": one["dead_letter_queue"]} if "dead_letter_queue" in one else {})


def _closed(path: Path, producers: Mapping[str, str], consumers: Mapping[str, Mapping[str, Any]]) -> None:
    # The local broker drops what nobody consumes without a word.
    dead = [str(options["deadLetterQueue"]) for options in consumers.values() if "deadLetterQueue" in options]
    for queue in [*producers.values(), *dead]:
        if queue not in consumers:
            raise wrong(path, f"queue {queue} has no consumer: its messages would be lost")
