"""The old application's maintenance switch: a file that switches its writes off by being there."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write(switch: Path, at: str, by: str) -> None:
    """Switch writes off; `at` and `by` are for people.  It is there as a whole, and outlives a power cut."""
    draft = switch.with_name(switch.name + ".tmp")
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"since": at, "by": by}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, switch)  # noqa: PTH105 - atomic: the application reads it at any moment
    folder = os.open(switch.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # without it the switch might be gone after a power cut, and both sides would take writes
    finally:
        os.close(folder)
