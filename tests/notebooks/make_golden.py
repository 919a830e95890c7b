"""Make the golden copies anew: `make golden`, then read the difference in git before you commit it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from helpers.golden import GOLDEN, compared, make_all, write  # noqa: E402
from helpers.tiny import tiny  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, tiny(Path(folder) / "project") as project:
        made = make_all(project)
    for phase, notebook in made.items():
        write(GOLDEN / f"{phase}.ipynb", notebook)
        print(f"{phase:<14} {len(compared(notebook))} cells compared")


if __name__ == "__main__":
    main()
