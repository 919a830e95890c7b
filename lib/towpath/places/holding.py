"""One machine at a time for each system and environment: an object that says who holds the place.

It is made only where there is none, so of two machines one is refused.  A machine that died leaves it behind, because
nobody else can know; `towpath place unlock` removes it after a person has looked.
"""

from __future__ import annotations

import json
import secrets
from types import TracebackType

from towpath.errors import WrongUse
from towpath.places.record import whoever
from towpath.places.store import Store
from towpath.runs.results import now


class Holding:
    """Held from `take` until `release`, or until somebody unlocks the place."""

    def __init__(self, store: Store, system: str, environment: str) -> None:
        self._store, self._system, self._environment = store, system, environment
        self._name = f"{system}/{environment}/lock"
        self._mine = b""

    def __enter__(self) -> Holding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, purpose: str) -> Holding:
        """Take it.  Raises WrongUse (RN003) naming who has it, since when and for what."""
        holder = {"by": whoever(), "since": now(), "for": purpose, "token": secrets.token_hex(8)}
        mine = json.dumps(holder).encode()
        if not self._store.create(self._name, mine):
            step = (
                f"wait for it; if that machine is gone: towpath place unlock {self._system} --env {self._environment}"
            )
            where = f"{self._store.address}, {self._name}"
            raise WrongUse(f"is held by {self.holder()}", object=where, next=step, code="RN003")
        self._mine = mine
        return self

    def release(self) -> None:
        """Give it back, unless it is somebody else's by now."""
        if self._mine and self._store.read(self._name) == self._mine:
            self._store.remove(self._name)
        self._mine = b""

    def holder(self) -> str:
        """Who holds it in words; "" when nobody does."""
        data = self._store.read(self._name)
        if data is None:
            return ""
        try:
            found = json.loads(data)
            return f"{found['by']} since {found['since']} for {found['for']}"
        except (ValueError, KeyError, TypeError):
            return "somebody who wrote no name"

    def unlock(self) -> str:
        """Remove it whoever holds it, and say who did; "" when nobody did."""
        holder = self.holder()
        if holder:
            self._store.remove(self._name)
        return holder
