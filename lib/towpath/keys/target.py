"""What identifies the state of a namespace before anything is written to it."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.cloudflare.kv import KV
from towpath.keys.rules import RESERVED


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A namespace and the number of its keys, ours left out."""

    namespace: str
    keys: int

    def __str__(self) -> str:
        return f"{self.namespace}: {self.keys} keys"


def fingerprint(kv: KV) -> Fingerprint:
    """Count the keys of a namespace by listing it.  Raises CloudflareError."""
    return Fingerprint(kv.namespace, sum(not listed.key.startswith(RESERVED) for listed in kv.list()))
