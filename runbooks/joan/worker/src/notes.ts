// Notes.
import { json } from './answers';
import type { Call } from './call';
import { all, changed, insert, update, write } from './database';
import { dashed, dashedOrNull, jsonTexts, newId, now, time } from './forms';
import { namedRowsExist, noNulls, owned } from './owned';
import type { NotesRow } from './rows';
import { flag, id, integer, list, orNull, text } from './shapes';

const TITLE = text(1, 500);
const FOLDER = { reads: orNull(id), or: null };
const TAGS = { reads: orNull(list(text())), or: null };

const NEW = { title: { reads: TITLE }, content: { reads: text(), or: '' }, folder_id: FOLDER, tags: TAGS };
const CHANGE = {
  title: { reads: orNull(TITLE), or: null },
  content: { reads: orNull(text()), or: null },
  folder_id: FOLDER,
  tags: TAGS,
  is_pinned: { reads: orNull(flag), or: null },
};
const LISTED = {
  folder_id: FOLDER,
  limit: { reads: integer(1, 200), or: 50 },
  offset: { reads: integer(0), or: 0 },
};

type Row = Omit<NotesRow, 'deleted_at' | 'user_id'>;

function view(row: Row): unknown {
  return {
    id: dashed(row.id),
    title: row.title,
    content: row.content,
    folder_id: dashedOrNull(row.folder_id),
    tags: row.tags === null ? null : (JSON.parse(row.tags) as unknown),
    is_pinned: Boolean(row.is_pinned),
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  };
}

/** The user's notes, last changed first. */
export async function listNotes(call: Call): Promise<Response> {
  const user = await call.user();
  const { folder_id, limit, offset } = call.query(LISTED);
  call.end();
  const rows = await all<NotesRow>(
    call.database,
    `SELECT * FROM notes WHERE user_id = ?1 AND deleted_at IS NULL AND (?2 IS NULL OR folder_id = ?2)
     ORDER BY updated_at DESC, id LIMIT ?3 OFFSET ?4`,
    ...[user.id, folder_id, limit, offset],
  );
  return json(rows.map(view));
}

/** A new note. */
export async function createNote(call: Call): Promise<Response> {
  const user = await call.user();
  const values = call.whole(NEW);
  const { database } = call;
  await namedRowsExist(database, values, user);
  const times = { created_at: now(), updated_at: now() };
  const row = { id: newId(), ...values, tags: jsonTexts(values.tags), is_pinned: 0 as const, ...times };
  await write(database, [insert(database, 'notes', { ...row, user_id: user.id })]);
  return json(view(row), 201);
}

/** One note. */
export async function getNote(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('note_id');
  call.end();
  return json(view(await owned(call.database, 'Note', id, user)));
}

/** Change the fields that are sent. */
export async function changeNote(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('note_id');
  const { tags, ...values } = call.sent(CHANGE);
  const { database } = call;
  const note = await owned(database, 'Note', id, user);
  await namedRowsExist(database, values, user);
  noNulls(values);
  // No tags are kept as SQL's NULL by some writers and as JSON's null by others: both are the same to everybody.
  const same = tags === undefined || jsonTexts(tags) === (note.tags ?? 'null');
  const change = { ...changed(note, values), ...(same ? {} : { tags: jsonTexts(tags) }) };
  if (Object.keys(change).length > 0) {
    await write(database, [update(database, 'notes', id, { ...change, updated_at: now() })]);
  }
  return json(view(await owned(database, 'Note', id, user)));
}

/** Delete a note; its files stay. */
export async function deleteNote(call: Call): Promise<Response> {
  const user = await call.user();
  const id = call.id('note_id');
  call.end();
  const { database } = call;
  await owned(database, 'Note', id, user);
  await write(database, [
    database.prepare('UPDATE attachments SET note_id = NULL WHERE note_id = ?').bind(id),
    database.prepare('DELETE FROM notes WHERE id = ?').bind(id),
  ]);
  return json({ message: 'Deleted' });
}
