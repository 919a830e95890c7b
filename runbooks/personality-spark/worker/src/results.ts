// POST and GET /results over D1, in the columns of migrations/0001_init.sql.
import { Refused, body, isRecord, json } from './answers';
import type { Environment } from './environment';
import type { QuizResultsRow } from './rows';

const MOST_BYTES = 100_000;
const MOST_ROWS = 100;

type Row = Pick<QuizResultsRow, 'id' | 'user_id' | 'quiz_type' | 'results' | 'created_at'>;

export async function save(environment: Environment, request: Request): Promise<Response> {
  const sent = await body(request, MOST_BYTES);
  if (!isRecord(sent)) throw new Refused(400, 'the body must be an object');
  const { user_id = null, quiz_type, results } = sent;
  if (user_id !== null && typeof user_id !== 'string') throw new Refused(400, 'user_id must be text, or absent');
  if (typeof quiz_type !== 'string' || quiz_type === '') throw new Refused(400, 'quiz_type must be text');
  if (results === undefined) throw new Refused(400, 'results is missing');
  const row: Row = {
    id: crypto.randomUUID(),
    user_id,
    quiz_type,
    results: JSON.stringify(results),
    created_at: Math.floor(Date.now() / 1000),
  };
  try {
    await environment.DB.prepare(
      'INSERT INTO quiz_results (id, user_id, quiz_type, results, created_at) VALUES (?, ?, ?, ?, ?)',
    )
      .bind(row.id, row.user_id, row.quiz_type, row.results, row.created_at)
      .run();
  } catch (error) {
    if (String(error).includes('FOREIGN KEY')) throw new Refused(409, 'there is no such user');
    if (String(error).includes('CHECK')) throw new Refused(400, 'the database refuses such a row');
    throw error;
  }
  return json({ ...row, results }, 201);
}

export async function list(environment: Environment, asked: URLSearchParams): Promise<Response> {
  const user = asked.get('user_id');
  if (user === null) throw new Refused(400, 'user_id is missing');
  const limit = Number(asked.get('limit') ?? 10);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_ROWS) {
    throw new Refused(400, `limit must be a whole number from 1 to ${MOST_ROWS}`);
  }
  const found = await environment.DB.prepare(
    'SELECT id, user_id, quiz_type, results, created_at FROM quiz_results WHERE user_id = ? ORDER BY created_at DESC, id LIMIT ?',
  )
    .bind(user, limit)
    .all<Row>();
  return json(found.results.map((row) => ({ ...row, results: JSON.parse(row.results) as unknown })));
}
