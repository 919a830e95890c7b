// Tasks.
import { json, Refused } from './answers';
import type { Call } from './call';
import { all, changed, first, insert, update, write } from './database';
import { dashed, dashedOrNull, newId, now, time, timeOrNull } from './forms';
import { namedRowsExist, noNulls, owned } from './owned';
import type { TasksRow } from './rows';
import { day, decimal, id, integer, oneOf, orNull, text, type Part } from './shapes';

const STATUS = oneOf('pending', 'in_progress', 'blocked', 'done');
const TITLE = text(1, 500);
const PRIORITY = integer(0, 5);

function optional<T>(reads: (value: unknown) => T): Part<T | null> {
  return { reads: orNull(reads), or: null };
}

const NEW = {
  title: { reads: TITLE },
  description: optional(text()),
  status: { reads: STATUS, or: 'pending' as const },
  priority: { reads: PRIORITY, or: 0 },
  due_date: optional(day),
  folder_id: optional(id),
  project_id: optional(text()),
  parent_task_id: optional(id),
  estimated_minutes: optional(integer()),
  hourly_rate: optional(decimal(10, 2)),
};
const CHANGE = {
  title: optional(TITLE),
  description: optional(text()),
  status: optional(STATUS),
  priority: optional(PRIORITY),
  due_date: optional(day),
  folder_id: optional(id),
  project_id: optional(text()),
  parent_task_id: optional(id),
  actual_minutes: optional(integer()),
};
const LISTED = {
  status: { reads: orNull(STATUS), or: null },
  folder_id: { reads: orNull(id), or: null },
  limit: { reads: integer(1, 200), or: 50 },
  offset: { reads: integer(0), or: 0 },
};

function view(row: TasksRow): unknown {
  return {
    id: dashed(row.id),
    title: row.title,
    description: row.description,
    status: row.status,
    priority: row.priority,
    due_date: row.due_date,
    completed_at: timeOrNull(row.completed_at),
    folder_id: dashedOrNull(row.folder_id),
    project_id: row.project_id,
    parent_task_id: dashedOrNull(row.parent_task_id),
    progress_percent: row.progress_percent,
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  };
}

/** The user's tasks, newest first. */
export async function listTasks(call: Call): Promise<Response> {
  const user = await call.user();
  const { status, folder_id, limit, offset } = call.query(LISTED);
  call.end();
  const rows = await all<TasksRow>(
    call.database,
    `SELECT * FROM tasks WHERE user_id = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR folder_id = ?3)
     ORDER BY created_at DESC, id LIMIT ?4 OFFSET ?5`,
    ...[user.id, status, folder_id, limit, offset],
  );
  return json(rows.map(view));
}

/** A new task. */
export async function createTask(call: Call): Promise<Response> {
  const user = await call.user();
  const values = call.whole(NEW);
  const { database } = call;
  await namedRowsExist(database, values, user);
  const row = { id: newId(), user_id: user.id, ...values, ...completion(values), board_position: 0 };
  await write(database, [insert(database, 'tasks', { ...row, created_at: now(), updated_at: now() })]);
  return json(view(await owned(database, 'Task', row.id, user)), 201);
}

/** One task. */
export async function getTask(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('task_id');
  call.end();
  return json(view(await owned(call.database, 'Task', id, user)));
}

/** Change the fields that are sent. */
export async function changeTask(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('task_id');
  const values = call.sent(CHANGE);
  const { database } = call;
  const task = await owned(database, 'Task', id, user);
  await namedRowsExist(database, values, user);
  if (values.parent_task_id && (await isBelow(database, values.parent_task_id, id))) {
    throw new Refused(422, 'A task cannot lie under itself');
  }
  noNulls(values);
  const change = changed(task, { ...values, ...completion(values) });
  if (Object.keys(change).length > 0) {
    await write(database, [update(database, 'tasks', id, { ...change, updated_at: now() })]);
  }
  return json(view(await owned(database, 'Task', id, user)));
}

/** Delete a task with what belongs to it; its subtasks move up. */
export async function deleteTask(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('task_id');
  call.end();
  const { database } = call;
  const task = await owned(database, 'Task', id, user);
  const one = (sql: string) => database.prepare(sql).bind(id);
  const up = 'UPDATE tasks SET parent_task_id = ?, updated_at = ? WHERE parent_task_id = ?';
  await write(database, [
    database.prepare(up).bind(task.parent_task_id, now(), id),
    ...['daily_schedule_tasks', 'task_goal_links', 'task_activities', 'task_resources'].map((table) =>
      one(`DELETE FROM ${table} WHERE task_id = ?`),
    ),
    ...['pomodoro_sessions', 'ai_workflow_executions', 'attachments'].map((table) =>
      one(`UPDATE ${table} SET task_id = NULL WHERE task_id = ?`),
    ),
    one('DELETE FROM tasks WHERE id = ?'),
  ]);
  return json({ message: 'Deleted' });
}

function completion({ status }: { status?: string | null }): { completed_at?: string | null } {
  return status === undefined ? {} : { completed_at: status === 'done' ? now() : null };
}

async function isBelow(database: D1Database, candidate: string, ancestor: string): Promise<boolean> {
  const above = `WITH RECURSIVE above (id) AS (
      SELECT ?1 UNION SELECT t.parent_task_id FROM tasks AS t JOIN above ON t.id = above.id
    ) SELECT 1 FROM above WHERE id = ?2`;
  return (await first(database, above, candidate, ancestor)) !== null;
}
