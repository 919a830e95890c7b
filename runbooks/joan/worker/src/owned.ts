// Rows that belong to the user who asks; anybody else's are not there.
import { notFound, Refused } from './answers';
import { first, type Value } from './database';
import type { FoldersRow, NotesRow, ProjectsRow, TasksRow, UsersRow } from './rows';

interface Kinds {
  Task: TasksRow;
  Note: NotesRow;
  Folder: FoldersRow;
}

const TABLES = { Task: 'tasks', Note: 'notes', Folder: 'folders' };
const REQUIRED = ['title', 'name', 'status', 'priority', 'content', 'is_pinned'];

/** The row, or 404. */
export async function owned<K extends keyof Kinds>(
  database: D1Database,
  kind: K,
  id: string,
  user: UsersRow,
): Promise<Kinds[K]> {
  const row = await first<Kinds[K]>(database, `SELECT * FROM ${TABLES[kind]} WHERE id = ?`, id);
  if (row === null || row.user_id !== user.id) throw notFound(kind);
  return row;
}

interface Named {
  folder_id?: string | null;
  parent_id?: string | null;
  parent_task_id?: string | null;
  project_id?: string | null;
}

/** 404 when a body names a folder, task or project that the user has not. */
export async function namedRowsExist(database: D1Database, named: Named, user: UsersRow): Promise<void> {
  if (named.folder_id) await owned(database, 'Folder', named.folder_id, user);
  if (named.parent_id) await owned(database, 'Folder', named.parent_id, user);
  if (named.parent_task_id) await owned(database, 'Task', named.parent_task_id, user);
  const { project_id } = named;
  if (project_id === null || project_id === undefined) return;
  const project = await first<ProjectsRow>(database, 'SELECT * FROM projects WHERE id = ?', project_id);
  if (project === null || project.owner_id !== user.id) throw notFound('Project');
}

/** A null where the column must have a value is 422. */
export function noNulls(values: Record<string, Value>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === null && REQUIRED.includes(name)) throw new Refused(422, `${name} must not be null`);
  }
}
