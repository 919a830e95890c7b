// Attached files: upload, download, delete.  The row is in D1, the file in R2 under the row's storage_key.
import { json, notFound, Refused } from './answers';
import type { Call } from './call';
import { first, insert, write } from './database';
import { dashed, dashedOrNull, newId, now } from './forms';
import { owned } from './owned';
import { rangeOf } from './ranges';
import type { AttachmentsRow, UsersRow } from './rows';
import { Faults, id, orNull, Wrong } from './shapes';

const LARGEST = 25 * 2 ** 20; // bytes
const BESIDE = 2 ** 20; // bytes of a form beside its file; a larger form is refused before it fills the memory
const LONGEST_NAME = 180; // bytes; file systems stop at 255 with the id in front
const UNKNOWN = 'application/octet-stream';
const CACHE_CONTROL = 'private, max-age=3600'; // as mapping.yaml says for the files that were moved

type Row = Omit<AttachmentsRow, 'user_id' | 'created_at'>;

function view({ id, filename, mime_type, storage_key, size, task_id, note_id }: Row): unknown {
  const named = { task_id: dashedOrNull(task_id), note_id: dashedOrNull(note_id) };
  return { id: dashed(id), filename, mime_type, storage_key, size, ...named };
}

/** A file name without separators and control characters, shortened in its stem to fit any file system. */
export function safeName(told: string): string {
  const last = told.replaceAll('\\', '/').split('/').filter((part) => part !== '' && part !== '.').at(-1) ?? '';
  const name = last.replace(/[\x00-\x1f\x7f/\\:*?"<>|]/g, '_').replace(/^[ .]+|[ .]+$/g, '') || 'file';
  const at = name.lastIndexOf('.');
  const suffix = at < 0 || bytes(name.slice(at + 1)).length > 20 ? '' : name.slice(at);
  const stem = suffix === '' ? name : name.slice(0, at);
  return cut(stem, LONGEST_NAME - bytes(suffix).length) + suffix;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The first characters that fit into so many bytes. */
function cut(text: string, most: number): string {
  let room = most;
  const fit = [...text].map((character) => (room -= bytes(character).length) >= 0);
  const end = fit.indexOf(false);
  return end < 0 ? text : [...text].slice(0, end).join('');
}

/** Store a row and its file: the row first, because D1 may refuse it; it goes again if the file cannot be kept. */
export async function upload(call: Call): Promise<Response> {
  const user = await call.user();
  const { database, environment, request } = call;
  const tooLarge = new Refused(413, `The file is larger than ${LARGEST} bytes`);
  if (Number(request.headers.get('content-length')) > LARGEST + BESIDE) throw tooLarge;
  const { file, task_id, note_id } = read(await sentForm(request));
  if (task_id !== null) await owned(database, 'Task', task_id, user);
  if (note_id !== null) await owned(database, 'Note', note_id, user);
  if (file.size > LARGEST) throw tooLarge;
  const id = newId();
  const filename = safeName(file.name || 'file');
  const storage_key = `attachments/${id.slice(0, 2)}/${dashed(id)}-${filename}`;
  const row = { id, task_id, note_id, filename, mime_type: file.type || null, storage_key, size: file.size };
  await write(database, [insert(database, 'attachments', { ...row, user_id: user.id, created_at: now() })]);
  try {
    const httpMetadata = { contentType: row.mime_type ?? UNKNOWN, cacheControl: CACHE_CONTROL };
    await environment.ATTACHMENTS.put(storage_key, file, { httpMetadata });
  } catch (error) {
    await write(database, [database.prepare('DELETE FROM attachments WHERE id = ?').bind(id)]);
    throw error;
  }
  return json(view(row), 201);
}

async function sentForm(request: Request): Promise<FormData> {
  try {
    return await request.formData();
  } catch {
    return new FormData();
  }
}

interface Upload {
  file: File;
  task_id: string | null;
  note_id: string | null;
}

function read(form: FormData): Upload {
  const faults = new Faults();
  const file = form.get('file') as unknown;
  if (file === null) faults.add(['body', 'file'], null, new Wrong('missing', 'Field required'));
  else if (!(file instanceof File)) {
    const error = "Expected UploadFile, received: <class 'str'>";
    faults.add(['body', 'file'], file, new Wrong('value_error', `Value error, ${error}`, { error: {} }));
  }
  const named = (name: string) => faults.read(orNull(id), form.get(name) || null, ['body', name]) ?? null;
  const found = { file: file as File, task_id: named('task_id'), note_id: named('note_id') };
  faults.end();
  return found;
}

/** The file, or the part of it that a Range header asks for; 404 when the row or the file is not there. */
export async function download(call: Call): Promise<Response> {
  const row = await found(call);
  const bucket = call.environment.ATTACHMENTS;
  const asked = call.request.headers.get('range');
  const there = asked === null ? null : await bucket.head(row.storage_key);
  const part = asked === null || there === null ? null : rangeOf(asked, call.request.headers, there);
  const object = await bucket.get(row.storage_key, part === null ? {} : { range: part });
  if (object === null) throw new Refused(404, 'The file is missing');
  const type = row.mime_type ?? object.httpMetadata?.contentType ?? UNKNOWN;
  const headers = new Headers({
    'accept-ranges': 'bytes',
    'content-disposition': disposition(row.filename),
    'content-length': String(part?.length ?? object.size),
    'content-type': type.startsWith('text/') && !type.includes('charset=') ? `${type}; charset=utf-8` : type,
    etag: object.httpEtag,
    'last-modified': object.uploaded.toUTCString(),
  });
  if (part === null) return new Response(object.body, { headers });
  headers.set('content-range', `bytes ${part.offset}-${part.offset + part.length - 1}/${object.size}`);
  return new Response(object.body, { status: 206, headers });
}

function disposition(name: string): string {
  const escaped = (one: string) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`;
  const quoted = encodeURIComponent(name).replace(/[!'()*]/g, escaped).replaceAll('%2F', '/');
  return `attachment; ${quoted === name ? `filename="${name}"` : `filename*=utf-8''${quoted}`}`;
}

/** Delete the row, then its file. */
export async function deleteAttachment(call: Call): Promise<Response> {
  const row = await found(call);
  await write(call.database, [call.database.prepare('DELETE FROM attachments WHERE id = ?').bind(row.id)]);
  await call.environment.ATTACHMENTS.delete(row.storage_key);
  return json({ message: 'Deleted' });
}

async function found(call: Call): Promise<AttachmentsRow> {
  const user: UsersRow = await call.user();
  const id = call.id('attachment_id');
  call.end();
  const row = await first<AttachmentsRow>(call.database, 'SELECT * FROM attachments WHERE id = ?', id);
  if (row === null || row.user_id !== user.id) throw notFound('Attachment');
  return row;
}
