"""What the database keeps by itself: triggers and views, created after the tables.

Each trigger would spoil a copy if it fired while rows are loaded: activities would be written twice, note counts
doubled, and `folders.updated_at` would become the time of whichever note is loaded last.
"""

from __future__ import annotations

from sqlalchemy import DDL, event

from runbooks.joan.legacy.models.base import Base

TRIGGERS = {
    "tasks_log_created": """
        AFTER INSERT ON tasks BEGIN
            INSERT INTO task_activities (task_id, user_id, kind, new_value, created_at)
            VALUES (NEW.id, NEW.user_id, 'created', NEW.status, NEW.created_at);
        END""",
    "tasks_log_status": """
        AFTER UPDATE OF status ON tasks WHEN OLD.status IS NOT NEW.status BEGIN
            INSERT INTO task_activities (task_id, user_id, kind, old_value, new_value, created_at)
            VALUES (NEW.id, NEW.user_id, 'status', OLD.status, NEW.status, NEW.updated_at);
        END""",
    "notes_count_added": """
        AFTER INSERT ON notes WHEN NEW.folder_id IS NOT NULL BEGIN
            UPDATE folders SET note_count = note_count + 1, updated_at = NEW.updated_at WHERE id = NEW.folder_id;
        END""",
    "notes_count_moved": """
        AFTER UPDATE OF folder_id ON notes WHEN OLD.folder_id IS NOT NEW.folder_id BEGIN
            UPDATE folders SET note_count = note_count - 1, updated_at = NEW.updated_at WHERE id = OLD.folder_id;
            UPDATE folders SET note_count = note_count + 1, updated_at = NEW.updated_at WHERE id = NEW.folder_id;
        END""",
    "notes_count_removed": """
        AFTER DELETE ON notes WHEN OLD.folder_id IS NOT NULL BEGIN
            UPDATE folders SET note_count = note_count - 1 WHERE id = OLD.folder_id;
        END""",
}

VIEWS = {
    "open_task_overview": """
        SELECT t.id, t.title, t.status, t.due_date, p.name AS project, c.name AS client
        FROM tasks AS t
        LEFT JOIN projects AS p ON p.id = t.project_id
        LEFT JOIN clients AS c ON c.id = p.client_id
        WHERE t.completed_at IS NULL""",
    "folder_paths": """
        WITH RECURSIVE path (id, user_id, path) AS (
            SELECT id, user_id, name FROM folders WHERE parent_id IS NULL
            UNION ALL
            SELECT f.id, f.user_id, path.path || '/' || f.name FROM folders AS f JOIN path ON f.parent_id = path.id
        )
        SELECT id, user_id, path FROM path""",
}


def _statement(text: str) -> DDL:
    # DDL() formats its text with %, so a percent sign must be doubled
    return DDL(text.replace("%", "%%"))  # type: ignore[no-untyped-call]


for _name, _body in TRIGGERS.items():
    event.listen(Base.metadata, "after_create", _statement(f"CREATE TRIGGER {_name}{_body}"))
for _name, _body in VIEWS.items():
    event.listen(Base.metadata, "after_create", _statement(f"CREATE VIEW {_name} AS{_body}"))
