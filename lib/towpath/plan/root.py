"""Where the project lies: the folder that all paths in params are relative to."""

from __future__ import annotations

import os
from pathlib import Path

from towpath.errors import WrongUse

VARIABLE = "TOWPATH_ROOT"


def project_root(start: Path | None = None) -> Path:
    """The nearest folder from `start` (the working directory) upwards that holds environment.yml and runbooks/.

    The environment variable TOWPATH_ROOT overrides the search.  Raises WrongUse when there is no such folder.
    """
    given = os.environ.get(VARIABLE, "")
    if given:
        root = Path(given).expanduser().resolve()
        if not _is_root(root):
            raise WrongUse(
                "holds no environment.yml and runbooks/",
                object=f"{VARIABLE}={given}",
                next=f"set {VARIABLE} to the project's folder or unset it",
            )
        return root
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if _is_root(folder):
            return folder
    raise WrongUse(
        "no folder from here upwards holds environment.yml and runbooks/",
        object=str(here),
        next=f"change into the project, or set {VARIABLE} to its folder",
    )


def inside(root: Path, path: Path) -> str:
    """How people name `path`: relative to `root` where it lies inside, else whole."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path)


def _is_root(folder: Path) -> bool:
    return (folder / "environment.yml").is_file() and (folder / "runbooks").is_dir()
