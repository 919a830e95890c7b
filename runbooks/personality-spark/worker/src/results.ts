// POST and GET /results over D1, in the columns of migrations/0001_init.sql.
import { Refused, bytes, isRecord } from './answers';
import { Checks } from './checks';
import { compact, jsonb, kept, parse, unreadable } from './documents';
import type { Environment } from './environment';
import { COMPLETED, send } from './jobs';
import type { QuizResultsRow } from './rows';
import { TYPES } from './quizzes';

const MOST_BYTES = 1_990_000; // of a row in D1, with room for its other columns
const TOO_LONG = `a result has at most ${MOST_BYTES} bytes`;
const MOST_SECONDS = 86_399_999_999_999; // of a duration in Python
const MOST_ROWS = 100;
const FIELDS = ['user_id', 'quiz_type', 'results', 'tags', 'seconds'];
const SELECT = 'SELECT id, user_id, quiz_type, results, tags, created_at, shared FROM quiz_results';
const INSERT = `INSERT INTO quiz_results (id, user_id, quiz_type, results, tags, took, created_at, shared)
  VALUES (?, ?, ?, ?, ?, ?, ?, 0)`;

type Row = Omit<QuizResultsRow, 'took'>;

interface NewResult {
  user_id: string | null;
  quiz_type: string;
  results: string;
  tags: string;
  seconds: number | null;
}

export async function save(environment: Environment, request: Request): Promise<Response> {
  const sent = read(await parsed(request));
  if (new TextEncoder().encode(sent.results + sent.tags).byteLength > MOST_BYTES) throw new Refused(413, TOO_LONG);
  const { seconds, ...columns } = sent;
  const row: Row = { id: crypto.randomUUID(), ...columns, created_at: Math.floor(Date.now() / 1000), shared: 0 };
  const took = seconds === null ? null : interval(seconds);
  try {
    await environment.DB.prepare(INSERT)
      .bind(row.id, row.user_id, row.quiz_type, row.results, row.tags, took, row.created_at)
      .run();
  } catch (error) {
    if (String(error).includes('FOREIGN KEY')) throw new Refused(409, 'there is no such user');
    if (String(error).includes('CHECK')) throw unreadable(); // json_valid: nested more than 1000 deep, as for Python
    throw error;
  }
  await send(environment, COMPLETED, [row.id, seconds ?? 0]);
  return answer(view(row), 201);
}

export async function list(environment: Environment, asked: URLSearchParams): Promise<Response> {
  const checks = new Checks();
  const last = (name: string) => asked.getAll(name).at(-1);
  const [user, limit] = [last('user_id'), last('limit')];
  const id = user === undefined ? checks.missing(['query', 'user_id']) : checks.uuid(['query', 'user_id'], user);
  const most = limit === undefined ? 10 : checks.integer(['query', 'limit'], limit, { ge: 1, le: MOST_ROWS });
  checks.done();
  const found = await environment.DB.prepare(`${SELECT} WHERE user_id = ? ORDER BY created_at DESC, id LIMIT ?`)
    .bind(id, most)
    .all<Row>();
  return answer(`[${found.results.map(view).join(',')}]`, 200);
}

/** The body's value; a text where the client does not call it JSON, undefined where there is none. */
async function parsed(request: Request): Promise<unknown> {
  const body = await bytes(request, MOST_BYTES, TOO_LONG);
  if (body.byteLength === 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body);
  } catch {
    throw unreadable();
  }
  if (!/^\s*application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i.test(request.headers.get('content-type') ?? '')) return text;
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof RangeError) throw unreadable(); // nested too deeply
    if (!(error instanceof SyntaxError)) throw error;
    const ctx = { error: error.message };
    throw new Refused(422, [{ type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {}, ctx }]);
  }
}

function read(body: unknown): NewResult {
  const checks = new Checks();
  if (body === undefined) checks.missing(['body']);
  else if (!isRecord(body)) {
    checks.fault('model_attributes_type', ['body'], 'Input should be a valid dictionary or object to extract fields from', body);
  }
  checks.done();
  const given = body as Record<string, unknown>;
  const { user_id = null, quiz_type, results, tags = [], seconds = null } = given;
  const user = user_id === null ? null : checks.uuid(['body', 'user_id'], user_id);
  const kind = quiz_type === undefined ? checks.missing(['body', 'quiz_type'], given) : checks.text(['body', 'quiz_type'], quiz_type, 1, 20);
  if (kind !== null && !TYPES.includes(kind)) {
    const expected = `'${TYPES.slice(0, -1).join("', '")}' or '${TYPES.at(-1)}'`; // what the database takes
    checks.fault('literal_error', ['body', 'quiz_type'], `Input should be ${expected}`, quiz_type, { expected });
  }
  const found = results === undefined ? checks.missing(['body', 'results'], given) : checks.record(['body', 'results'], results);
  const words = checks.list(['body', 'tags'], tags)?.map((tag, at) => checks.text(['body', 'tags', at], tag));
  const length = seconds === null ? null : checks.integer(['body', 'seconds'], seconds, { ge: 0, le: MOST_SECONDS });
  for (const name of Object.keys(given).filter((name) => !FIELDS.includes(name))) {
    checks.fault('extra_forbidden', ['body', name], 'Extra inputs are not permitted', given[name]);
  }
  checks.done();
  const list = `[${(words as string[]).map(kept).join(',')}]`;
  return { user_id: user, quiz_type: kind as string, results: jsonb(found), tags: list, seconds: length };
}

/** Seconds as the mapping writes an interval: ISO 8601, days apart. */
function interval(seconds: number): string {
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor((seconds % 86_400) / 3600)];
  const rest = [hours, Math.floor((seconds % 3600) / 60), seconds % 60];
  const time = ['H', 'M', 'S'].map((unit, at) => (rest[at] ? `${rest[at]}${unit}` : '')).join('');
  return `P${days ? `${days}D` : ''}${time ? `T${time}` : days ? '' : 'T0S'}`;
}

/** A result as a client sees it.  Its JSON is passed on as text: a number of many digits stays what it is. */
function view(row: Row): string {
  const at = row.created_at === null ? null : new Date(row.created_at * 1000).toISOString().replace('.000Z', 'Z');
  const [id, user, kind, created] = [row.id, row.user_id, row.quiz_type, at].map((value) => JSON.stringify(value));
  return (
    `{"id":${id},"user_id":${user},"quiz_type":${kind},"results":${compact(row.results)},` +
    `"tags":${compact(row.tags)},"created_at":${created},"shared":${row.shared === 1}}`
  );
}

function answer(text: string, status: number): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json' } });
}
