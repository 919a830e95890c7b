"""Who keeps a record besides this machine: what `towpath run` asks of a place, and knows nothing more of."""

from __future__ import annotations

from typing import Protocol

from towpath.runs.folder import RunFolder


class Keeper(Protocol):
    """Called under the lock: once before anything starts, after each sealed attempt, and once at the end."""

    def begin(self, system: str, environment: str, run_id: str, is_new: bool) -> list[str]:
        """Let no other machine work, and bring the run here that goes on; lines for the reader."""

    def keep(self, folder: RunFolder) -> str:
        """Keep the run as it stands; a line for the reader."""

    def end(self) -> None:
        """Let other machines work again."""
