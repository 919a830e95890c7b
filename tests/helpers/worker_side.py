"""Personality Spark's new side in tests: the statements of its migrations."""

from __future__ import annotations

import re
from pathlib import Path

from towpath.local import worker_folder


def migrations(root: Path) -> list[str]:
    """The statements of every migration, in order; none of them holds a semicolon inside."""
    folder = worker_folder(root, "personality-spark")
    assert folder is not None
    texts = [re.sub(r"--[^\n]*", "", file.read_text("utf-8")) for file in sorted(folder.glob("migrations/*.sql"))]
    return [statement.strip() for text in texts for statement in text.split(";") if statement.strip()]
