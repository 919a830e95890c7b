"""Read the `pip:` list of environment.yml with the standard library alone.

conda reads environment.yml itself; this reader gives everyone else the same list,
so that there is no second list to keep equal.  It understands the restricted shape
that the file has (one exact requirement a line under `- pip:`) and refuses any other.

    python tools/environment.py             print the requirements, one a line
    python tools/environment.py --python    print the constraint on Python itself
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parent.parent / "environment.yml"
EXACT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,-]+\])?==[0-9][A-Za-z0-9.]*$")


def read(path: Path = ENVIRONMENT) -> tuple[str, list[str]]:
    """Return the constraint on Python and the exact requirements, in file order.

    Raises ValueError, with file and line, for a requirement that is not exact.
    """
    python, requirements, inside = "", [], False
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.split("#", 1)[0].rstrip()
        if not line:
            continue
        item = line.strip().removeprefix("- ")
        if item.startswith("python") and not inside:
            python = item.removeprefix("python")
        elif item == "pip:":
            inside = True
        elif inside:
            if not EXACT.match(item):
                raise ValueError(f"{path.name}:{number}: not an exact requirement: {item}")
            requirements.append(item)
    return python, requirements


if __name__ == "__main__":
    constraint, exact = read()
    print(constraint if "--python" in sys.argv[1:] else "\n".join(exact))
