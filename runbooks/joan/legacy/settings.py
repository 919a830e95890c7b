"""Where Joan's data lies, and the secret that signs its tokens."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the application reads from outside.

    `maintenance_switch` defaults to `<data>/maintenance.json`.  Without JOAN_JWT_SECRET the tokens of this process die
    with it.
    """

    data: Path
    maintenance_switch: Path
    jwt_secret: str = field(repr=False)
    token_days: int = 7
    largest_upload: int = 25 * 2**20  # bytes

    @classmethod
    def of(cls, data: Path, maintenance_switch: Path | None = None) -> Settings:
        """The settings for one data folder, secrets from the environment."""
        return cls(
            data=data,
            maintenance_switch=maintenance_switch or data / "maintenance.json",
            jwt_secret=os.environ.get("JOAN_JWT_SECRET") or secrets.token_urlsafe(32),
        )

    @property
    def database(self) -> Path:
        return self.data / "joan.sqlite"

    @property
    def attachments(self) -> Path:
        return self.data / "attachments"
