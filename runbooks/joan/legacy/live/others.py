"""Changes to notes, folders, files, projects, settings, and the metrics log."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import ColumnElement, Integer, column, delete, exists, func, insert, select, update

from runbooks.joan.legacy import security, storage
from runbooks.joan.legacy.generator.people import sealing_key
from runbooks.joan.legacy.live.worker import NothingToChange, Worker
from runbooks.joan.legacy.models import (
    AIWorkflowConfig,
    AIWorkflowExecution,
    AIWorkflowMetrics,
    Attachment,
    Folder,
    Note,
    ProjectMembership,
    UserSettings,
)
from runbooks.joan.legacy.removal import remove_folder, remove_note

HAS_NOTES = exists().where(Note.folder_id == Folder.id)
rowid_column: ColumnElement[int] = column("rowid", Integer)


async def add_note(worker: Worker) -> None:
    """A new note; a trigger counts it in its folder."""
    folder = await worker.folder()
    worker.session.add(
        Note(
            id=worker.new_id(),
            user_id=folder.user_id,
            folder_id=folder.id,
            title=worker.texts.title(worker.rng),
            content=worker.texts.markdown(worker.rng, 1 + worker.rng.randrange(6)),
            tags=["new"],
            created_at=worker.now,
            updated_at=worker.now,
        )
    )


async def change_note(worker: Worker) -> None:
    """A note grows, or is thrown into the bin."""
    note = await worker.note()
    if worker.rng.random() < 0.2:
        note.deleted_at = worker.now
    else:
        note.content += "\n\n" + worker.texts.text(worker.rng)
    note.updated_at = worker.now


async def move_note(worker: Worker) -> None:
    """A note goes to another folder of its user; triggers count."""
    note = await worker.note()
    folder = await worker.pick(Folder, Folder.user_id == note.user_id)
    note.folder_id, note.updated_at = folder.id, worker.now


async def delete_note(worker: Worker) -> None:
    """A note goes."""
    await remove_note(worker.session, await worker.note())


async def add_folder(worker: Worker) -> None:
    """A folder in a folder, under a name of its own."""
    parent = await worker.folder()
    id = worker.new_id()
    name = f"New {id.hex[:8]}"
    worker.session.add(
        Folder(
            id=id, user_id=parent.user_id, parent_id=parent.id, name=name, created_at=worker.now, updated_at=worker.now
        )
    )


async def delete_folder(worker: Worker) -> None:
    """A folder that holds notes goes; what it holds moves up."""
    await remove_folder(worker.session, await worker.folder(HAS_NOTES), worker.now)


async def add_attachment(worker: Worker) -> None:
    """A file and its row."""
    task, rng = await worker.task(), worker.rng
    id, name = worker.new_id(), rng.choice(("scan.png", "Anhang größer.txt", "новый.bin"))
    content = rng.randbytes(1 + rng.randrange(40_000))
    row = Attachment(
        id=id,
        user_id=task.user_id,
        task_id=task.id,
        filename=name,
        mime_type=None if name.endswith("bin") else "image/png" if name.endswith("png") else "text/plain",
        storage_key=storage.storage_key(id, name),
        size=len(content),
        created_at=worker.now,
    )
    storage.write(storage.located(worker.settings.data, row.storage_key), content)
    worker.session.add(row)


async def replace_attachment(worker: Worker) -> None:
    """A file gets another content under the same path."""
    row = await worker.attachment()
    content = worker.rng.randbytes(row.size + 1 + worker.rng.randrange(1_000))
    row.size = len(content)
    storage.write(storage.located(worker.settings.data, row.storage_key), content)


async def delete_attachment(worker: Worker) -> None:
    """A row goes, then its file."""
    row = await worker.attachment()
    path = storage.located(worker.settings.data, row.storage_key)
    await worker.session.delete(row)
    worker.after_commit.append(path.unlink)


async def change_project(worker: Worker) -> None:
    """Another budget, and another member leads: both directions of the cycle move."""
    project = await worker.project()
    member = await worker.pick(ProjectMembership, ProjectMembership.project_id == project.id)
    project.budget = Decimal(worker.rng.randrange(10**7)).scaleb(-2)
    project.lead_membership_id = None if project.lead_membership_id == member.id else member.id
    project.updated_at = worker.now


async def change_settings(worker: Worker) -> None:
    """A new provider key, sealed."""
    settings = await worker.pick(UserSettings, UserSettings.user_id != worker.away)
    key = f"sk-{worker.rng.getrandbits(160):040x}"
    settings.openai_api_key_encrypted = security.seal(
        sealing_key(worker.data_seed), key, worker.rng.randbytes(security.NONCE_BYTES)
    )
    settings.updated_at = worker.now


async def change_config(worker: Worker) -> None:
    """A setting of a composite key changes its value, and the kind of its value."""
    config = await worker.pick(AIWorkflowConfig, AIWorkflowConfig.user_id != worker.away)
    config.value = worker.rng.choice((1, 0.5, "text", None, {"a": [1, 2.5]}, False))


async def add_metrics(worker: Worker) -> None:
    """Two equal lines in the log."""
    execution = await worker.pick(AIWorkflowExecution)
    row = {
        "execution_id": execution.id,
        "name": "latency_seconds",
        "value": worker.rng.random(),
        "labels": {"live": True},
        "recorded_at": worker.now,
    }
    await worker.session.execute(insert(AIWorkflowMetrics), [row, row])


async def _metric(worker: Worker) -> int:
    """The rowid of one line of the log; never one of the planted twins."""
    highest = await worker.session.scalar(select(func.max(rowid_column)).select_from(AIWorkflowMetrics))
    start = worker.rng.randrange(highest or 1)
    query = select(rowid_column).select_from(AIWorkflowMetrics).where(AIWorkflowMetrics.c.name != "twin")
    ordered = query.order_by(rowid_column).limit(1)
    found: int | None = await worker.session.scalar(ordered.where(rowid_column > start))
    if found is None:
        found = await worker.session.scalar(ordered)
    if found is None:
        raise NothingToChange("ai_workflow_metrics")
    return found


async def change_metric(worker: Worker) -> None:
    """One line of the log gets another value; its equals keep theirs."""
    row = await _metric(worker)
    await worker.session.execute(update(AIWorkflowMetrics).where(rowid_column == row).values(value=worker.rng.random()))


async def delete_metric(worker: Worker) -> None:
    """One line of the log goes; its equals stay."""
    row = await _metric(worker)
    await worker.session.execute(delete(AIWorkflowMetrics).where(rowid_column == row))
