// Joan on Cloudflare: the same API as her old side (runbooks/joan/legacy), over D1 and R2.
//
// What is not here: /docs, /redoc and /openapi.json, which FastAPI makes for developers.
import { json, Refused } from './answers';
import { deleteAttachment, download, upload } from './attachments';
import { login, me, register } from './auth';
import { Call } from './call';
import { shut } from './database';
import type { Environment } from './environment';
import { changeFolder, createFolder, deleteFolder, folderTree } from './folders';
import { changeNote, createNote, deleteNote, getNote, listNotes } from './notes';
import { BadRange } from './ranges';
import { changeTask, createTask, deleteTask, getTask, listTasks } from './tasks';

type Route = [method: string, path: string, answer: (call: Call) => Promise<Response>, body?: 'json'];

const ROUTES: Route[] = [
  ['POST', '/auth/register', register, 'json'],
  ['POST', '/auth/login', login, 'json'],
  ['GET', '/auth/me', me],
  ['GET', '/tasks', listTasks],
  ['POST', '/tasks', createTask, 'json'],
  ['GET', '/tasks/:task_id', getTask],
  ['PATCH', '/tasks/:task_id', changeTask, 'json'],
  ['DELETE', '/tasks/:task_id', deleteTask],
  ['GET', '/notes', listNotes],
  ['POST', '/notes', createNote, 'json'],
  ['GET', '/notes/:note_id', getNote],
  ['PATCH', '/notes/:note_id', changeNote, 'json'],
  ['DELETE', '/notes/:note_id', deleteNote],
  ['GET', '/folders', folderTree],
  ['POST', '/folders', createFolder, 'json'],
  ['PATCH', '/folders/:folder_id', changeFolder, 'json'],
  ['DELETE', '/folders/:folder_id', deleteFolder],
  ['POST', '/attachments/upload', upload],
  ['GET', '/attachments/:attachment_id', download],
  ['DELETE', '/attachments/:attachment_id', deleteAttachment],
  ['GET', '/health', health],
];

/** Whether writes are switched off.  None is under way once the fence is shut: a transaction of D1 is before it or after. */
async function health(call: Call): Promise<Response> {
  return json({ maintenance: await shut(call.database), writes_in_flight: 0 });
}

/** The named parts of a path; null if it is not of this pattern. */
function parts(pattern: string, path: string): Record<string, string> | null {
  const [wanted, found] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== found.length) return null;
  const named: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const value = found[at] ?? '';
    if (part.startsWith(':') && value !== '') named[part.slice(1)] = decoded(value);
    else if (part !== value) return null;
  }
  return named;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function answer(request: Request, environment: Environment): Promise<Response> {
  const url = new URL(request.url);
  let other: string | undefined;
  for (const [method, pattern, reply, body] of ROUTES) {
    const path = parts(pattern, url.pathname);
    if (path === null) continue;
    if (method === request.method) return reply(await Call.of(environment, request, path, url, body));
    other ??= method;
  }
  if (other !== undefined) throw new Refused(405, 'Method Not Allowed', { allow: other });
  return elsewhere(url);
}

/** Another address with a slash more or less, if there is a route for that. */
function elsewhere(url: URL): Response {
  const path = url.pathname.endsWith('/') ? url.pathname.replace(/\/+$/, '') : `${url.pathname}/`;
  if (path === '' || !ROUTES.some(([, pattern]) => parts(pattern, path) !== null)) throw new Refused(404, 'Not Found');
  return new Response(null, { status: 307, headers: { location: `${url.origin}${path}${url.search}` } });
}

export default {
  async fetch(request, environment): Promise<Response> {
    try {
      return await answer(request, environment);
    } catch (error) {
      if (error instanceof Refused || error instanceof BadRange) return error.answer;
      console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return new Response('Internal Server Error', { status: 500 }); // what failed is nobody's business but the log's
    }
  },
} satisfies ExportedHandler<Environment>;
