// Folders, a tree per user.
import { json, Refused } from './answers';
import type { Call } from './call';
import { all, changed, first, insert, isTaken, update, write } from './database';
import { dashed, dashedOrNull, newId, now } from './forms';
import { namedRowsExist, noNulls, owned } from './owned';
import type { FoldersRow } from './rows';
import { id, orNull, text } from './shapes';

const NAME = text(1, 200);
const PARENT = { reads: orNull(id), or: null };
const NEW = { name: { reads: NAME }, parent_id: PARENT, color: { reads: orNull(text()), or: null } };
const CHANGE = { name: { reads: orNull(NAME), or: null }, parent_id: PARENT };

type Row = Pick<FoldersRow, 'id' | 'name' | 'parent_id' | 'color' | 'note_count'>;

function view({ id, name, parent_id, color, note_count }: Row): unknown {
  return { id: dashed(id), name, parent_id: dashedOrNull(parent_id), color, note_count };
}

/** All folders of the user as trees. */
export async function folderTree(call: Call): Promise<Response> {
  const user = await call.user();
  const sql = 'SELECT * FROM folders WHERE user_id = ? ORDER BY position, name';
  const children = Map.groupBy(await all<FoldersRow>(call.database, sql, user.id), (row) => row.parent_id);
  const trees = (parent: string | null): unknown[] =>
    (children.get(parent) ?? []).map((row) => ({ folder: view(row), children: trees(row.id) }));
  return json(trees(null));
}

/** A new folder. */
export async function createFolder(call: Call): Promise<Response> {
  const user = await call.user();
  const values = call.whole(NEW);
  const { database } = call;
  await namedRowsExist(database, values, user);
  const row = { id: newId(), user_id: user.id, ...values, position: 0, note_count: 0 };
  await keep(database, [insert(database, 'folders', { ...row, created_at: now(), updated_at: now() })]);
  return json(view(row), 201);
}

/** Rename or move a folder. */
export async function changeFolder(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('folder_id');
  const values = call.sent(CHANGE);
  const { database } = call;
  const folder = await owned(database, 'Folder', id, user);
  await namedRowsExist(database, values, user);
  if (values.parent_id && (await isBelow(database, values.parent_id, id))) {
    throw new Refused(422, 'A folder cannot lie in itself');
  }
  noNulls(values);
  const change = changed(folder, values);
  if (Object.keys(change).length > 0) {
    await keep(database, [update(database, 'folders', id, { ...change, updated_at: now() })]);
  }
  return json(view({ ...folder, ...change } as Row));
}

/** Delete a folder; what it holds moves up, folders under a free name. */
export async function deleteFolder(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('folder_id');
  call.end();
  const { database } = call;
  const folder = await owned(database, 'Folder', id, user);
  const beside = 'SELECT name FROM folders WHERE user_id = ? AND parent_id IS ? AND id <> ?';
  const names = await all<{ name: string }>(database, beside, user.id, folder.parent_id, id);
  const taken = new Set(names.map(({ name }) => name));
  const children = await all<FoldersRow>(database, 'SELECT * FROM folders WHERE parent_id = ? ORDER BY id', id);
  const updated_at = now();
  const moved = children.map((child) => {
    const name = freeName(child.name, taken);
    taken.add(name);
    return update(database, 'folders', child.id, { name, parent_id: folder.parent_id, updated_at });
  });
  const up = (table: string) =>
    database
      .prepare(`UPDATE ${table} SET folder_id = ?, updated_at = ? WHERE folder_id = ?`)
      .bind(folder.parent_id, updated_at, id);
  const gone = database.prepare('DELETE FROM folders WHERE id = ?').bind(id);
  await keep(database, [...moved, up('notes'), up('tasks'), gone]);
  return json({ message: 'Deleted' });
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${[...wanted].slice(0, 190).join('')} (${number})`;
  return name;
}

async function isBelow(database: D1Database, candidate: string, ancestor: string): Promise<boolean> {
  const above = `WITH RECURSIVE above (id) AS (
      SELECT ?1 UNION SELECT f.parent_id FROM folders AS f JOIN above ON f.id = above.id
    ) SELECT 1 FROM above WHERE id = ?2`;
  return (await first(database, above, candidate, ancestor)) !== null;
}

async function keep(database: D1Database, statements: D1PreparedStatement[]): Promise<void> {
  try {
    await write(database, statements);
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new Refused(409, 'A folder of that name is already there');
  }
}
