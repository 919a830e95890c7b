"""The tiny source of the golden notebooks, in a project of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import yaml

from helpers.project import HERE, Project, addresses, lay_out, running

FIXTURE = HERE / "tests" / "notebooks" / "tiny"


@contextmanager
def tiny(root: Path) -> Iterator[Project]:
    """A project with the tiny source, its files, and an empty target."""
    lay_out(root)
    book = root / "runbooks" / "tiny"
    book.mkdir(parents=True)
    for name in ("runbook.md", "mapping.yaml", "waivers.yaml"):
        shutil.copy(FIXTURE / name, book / name)
    with running(root, "tiny") as project:
        shutil.copytree(FIXTURE / "attachments", project.data / "attachments")
        sql(project, "source.sql")
        given = yaml.safe_load((HERE / "params" / "joan" / "local.yaml").read_text(encoding="utf-8"))
        ours = {key: value.replace("joan", "tiny") if isinstance(value, str) else value for key, value in given.items()}
        project.change_params(**{**ours, **addresses(project)})
        yield project


def sql(project: Project, name: str) -> None:
    """Run one of the fixture's scripts on the source, foreign keys off, as an application does that never asked."""
    with closing(apsw.Connection(str(project.database))) as db:
        db.execute((FIXTURE / name).read_text(encoding="utf-8"))


def written(project: Project) -> None:
    """What the new application writes on the target after the cutover: rows, and one file."""
    text = (FIXTURE / "written.sql").read_text(encoding="utf-8")
    with project.d1() as d1:
        d1.batch([line for line in text.splitlines() if not line.startswith("--")])
    with closing(project.runtime.r2()) as s3:
        s3.put_object(Bucket=project.runtime.bucket, Key="attachments/new-there.txt", Body=b"from the new side")
