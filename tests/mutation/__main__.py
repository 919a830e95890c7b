"""The validator's own score, as a table.

make mutation
PYTHONPATH=tests:. python -m mutation --faults 10000 --clean 1000 --seed 1 --to docs/mutation.md
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from mutation import report
from mutation.campaign import run


def progress(line: str) -> None:
    """One line while it runs."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run, print the table, write it where asked; 0 if all was named exactly and nothing else ever was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--clean", type=int, default=1_000, help="generated sources that are carried whole")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing new after that, faults or not")
    parser.add_argument("--to", type=Path, help="write the page here too")
    given = parser.parse_args()
    result = run(given.faults, given.clean, given.seed, given.minutes, tell=progress)
    print(report.plain(result))
    if given.to:
        given.to.write_text(report.page(result), encoding="utf-8")
    return 0 if result.perfect else 1


if __name__ == "__main__":
    sys.exit(main())
