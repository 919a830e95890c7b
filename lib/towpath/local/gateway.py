"""The gateway before a system's two sides, where it has one: read its wrangler.jsonc, bundle it for the local runtime.

runbooks/<system>/gateway/wrangler.jsonc is what `wrangler deploy` takes; bindings and variables are the same here.
Ids are not taken from it: the setting lies in a namespace, and the request lines in a database, of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from towpath.errors import BadInput
from towpath.local.worker import CONFIG, Bundle, bundled, read_config, text, wrong

NAMESPACE = "towpath-traffic"  # the id of the local KV namespace in which the setting lies
REQUESTS = "towpath-requests"  # the id of the local D1 database of the request lines
STATUS = "/.well-known/towpath-traffic"  # answered by the gateway itself
MAIN = Path(__file__).parents[1] / "traffic" / "gateway" / "src" / "index.ts"
STUMBLING = Path(__file__).with_name("stumbling.mjs")
STUMBLE = "stumble"  # the key in NAMESPACE that says {"share": 0.0 … 1.0, "from": per cent of the ramp}
BINDINGS = {"kv_namespaces": "TRAFFIC", "d1_databases": "REQUESTS", "services": "APP"}


@dataclass(frozen=True, slots=True)
class Gateway:
    """What wrangler.jsonc says.  `port`: where it answers on this machine, 0 for a free one."""

    folder: Path
    name: str
    compatibility: str
    variables: Mapping[str, Any]  # see traffic/gateway/src/environment.ts
    port: int
    stumbles: bool = False  # the fake of stumbling.mjs stands between it and the Worker

    def before(self, origin: str, port: int) -> Gateway:
        """The same before the old application at this address, on this port."""
        return replace(self, variables={**self.variables, "ORIGIN": origin}, port=port)

    def stumbling(self) -> Gateway:
        """The same before a new side that can be made to fail; for rehearsals."""
        return replace(self, stumbles=True)


def gateway_folder(root: Path, system: str) -> Path | None:
    """Where the system's gateway is declared; None if it has none."""
    folder = root / "runbooks" / system / "gateway"
    return folder if (folder / CONFIG).is_file() else None


def read_gateway(folder: Path) -> Gateway:
    """Read wrangler.jsonc.  Raises BadInput, naming file and key."""
    path = folder / CONFIG
    found = read_config(path)
    for key, binding in BINDINGS.items():
        names = [one.get("binding") for one in found.get(key, ())]
        if names != [binding]:
            raise wrong(path, f"{key} must bind {binding} and nothing else")
    variables = found.get("vars", {})
    if not str(variables.get("ORIGIN", "")).startswith(("http://", "https://")):
        raise wrong(path, "vars.ORIGIN must be the address of the old application")
    port = found.get("dev", {}).get("port")
    if not isinstance(port, int):
        raise wrong(path, "dev.port is missing: where the gateway answers on this machine")
    return Gateway(folder, text(path, found, "name"), text(path, found, "compatibility_date"), variables, port)


def bundle_gateway(gateway: Gateway, worker: Bundle | None, node: Path, packages: Path, to: Path) -> Bundle:
    """Bundle the gateway into the file `to`, before this Worker.  Raises BadInput, CannotFinish."""
    if worker is None:
        step = "write the new application's Worker first: runbooks/<system>/worker"
        raise BadInput("a gateway without a Worker behind it", object=str(gateway.folder), next=step)
    options = {
        "name": gateway.name,
        "script": str(to),
        "compatibility": gateway.compatibility,
        "variables": dict(gateway.variables),
        "namespace": NAMESPACE,
        "requests": REQUESTS,
        "worker": worker.options["name"],
        "port": gateway.port,
        "stumbling": str(STUMBLING) if gateway.stumbles else "",
    }
    return bundled(MAIN, options, node, packages, to)
