"""What is wrong, or merely strange, in the generated data: on purpose, exactly counted, the same at every scale.

PLANTED are defects: somebody must decide what becomes of each.  ODDITIES are legal values that a careless copy spoils;
no decision is needed, they must arrive as they are.  `query` counts them in the database; it is empty where the disk
has to be asked too.  Every planted row belongs to the first user, except where its table has none.
"""

from __future__ import annotations

from dataclasses import dataclass

BEYOND_DOUBLE = (2**53 + 1, -(2**53) - 1, 2**60 + 1, 2**63 - 1, -(2**63))
STRAY_FILE = "attachments/zz/left-behind-by-a-crashed-upload.tmp"
LONG_NOTES = (120_000, 200_000, 300_000)  # bytes of UTF-8, at least
SPECIAL_POSITIONS = (0.1 + 0.2, 1e308, 5e-324, float("inf"), float("-inf"), 1 / 3)
SEQUENCE_AHEAD = 25  # activities that were deleted again: sqlite_sequence stays ahead of max(id)
METRIC_TWINS = 4  # a metrics row that is there this many times


@dataclass(frozen=True, slots=True)
class Planted:
    """One kind of planted thing: where it is and exactly how often."""

    name: str
    table: str
    column: str
    count: int
    what: str
    query: str = ""


def _orphans(table: str, column: str, parent: str) -> str:
    return f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {parent})"


PLANTED = (
    Planted(
        "tasks without their project",
        "tasks",
        "project_id",
        3,
        "project_id names a project that is gone; the column may be NULL",
        _orphans("tasks", "project_id", "projects"),
    ),
    Planted(
        "scheduled tasks without their task",
        "daily_schedule_tasks",
        "task_id",
        2,
        "task_id names a task that is gone; the column must not be NULL",
        _orphans("daily_schedule_tasks", "task_id", "tasks"),
    ),
    Planted(
        "a note without its folder",
        "notes",
        "folder_id",
        1,
        "folder_id names a folder that is gone; the column may be NULL",
        _orphans("notes", "folder_id", "folders"),
    ),
    Planted(
        "an attachment without its file",
        "attachments",
        "storage_key",
        1,
        "the row names a file that is not on disk",
    ),
    Planted(
        "a file without its row",
        "attachments",
        "storage_key",
        1,
        f"{STRAY_FILE} is on disk and no row names it",
    ),
    Planted(
        "integers beyond 2^53",
        "ai_workflow_executions",
        "provider_trace_id",
        len(BEYOND_DOUBLE),
        "exact as 64-bit integers, not as JSON numbers; all others in the column are smaller",
        "SELECT count(*) FROM ai_workflow_executions WHERE provider_trace_id NOT BETWEEN -9007199254740992 AND "
        "9007199254740992",
    ),
)

ODDITIES = (
    Planted(
        "infinite positions",
        "tasks",
        "board_position",
        2,
        "+Infinity and -Infinity, which JSON cannot carry",
        "SELECT count(*) FROM tasks WHERE abs(board_position) > 1.7976931348623157e308",
    ),
    Planted(
        "long notes",
        "notes",
        "content",
        len(LONG_NOTES),
        "over 100,000 bytes: more than one SQL statement of D1 may hold",
        "SELECT count(*) FROM notes WHERE length(CAST(content AS BLOB)) > 100000",
    ),
    Planted(
        "equal metrics",
        "ai_workflow_metrics",
        "(whole row)",
        METRIC_TWINS,
        "one row four times over in a table without a key; each copy counts",
        "SELECT count(*) FROM ai_workflow_metrics WHERE name = 'twin'",
    ),
    Planted(
        "replacement character",
        "notes",
        "content",
        1,
        "a real U+FFFD, which must not be taken for damage",
        "SELECT count(*) FROM notes WHERE instr(content, char(65533)) > 0",
    ),
    Planted(
        "long integer inside JSON",
        "personal_activities",
        "data",
        1,
        "9007199254740995 inside JSON text: exact as text, not once parsed by JavaScript",
        "SELECT count(*) FROM personal_activities WHERE instr(data, '9007199254740995') > 0",
    ),
    Planted(
        "digits in text",
        "tasks",
        "external_ref",
        2,
        "'00123' and '1e5': numbers to a column of NUMERIC affinity, text here",
        "SELECT count(*) FROM tasks WHERE external_ref IN ('00123', '1e5')",
    ),
)
