// D1.  What one request writes is one batch, and so one transaction; it comes before anything is written elsewhere.
import { notFound, Refused } from './answers';

/** What the triggers of the fence say (docs/traffic.md): D1 takes no writes before it is opened, and after it is shut. */
const SHUT = 'towpath: this database accepts no writes now';
const RETRY_AFTER = '10'; // seconds

/** Whether D1 takes no writes now; it takes them where no fence was ever put up. */
export async function shut(database: D1Database): Promise<boolean> {
  try {
    const fence = await first<{ closed: number }>(database, 'SELECT closed FROM _towpath_fence');
    return fence === null || fence.closed !== 0;
  } catch (error) {
    if (String(error).includes('no such table')) return false;
    throw error;
  }
}

export type Value = string | number | null;

/** A request's writes, all of them or none. */
export async function write(database: D1Database, statements: D1PreparedStatement[]): Promise<void> {
  try {
    await database.batch(statements);
  } catch (error) {
    const said = String(error);
    // The old side never enforced foreign keys: what is named was there a moment ago, and this Worker has looked.
    if (said.includes('FOREIGN KEY constraint failed')) throw notFound('What the request names was');
    if (!said.includes(SHUT)) throw error;
    const detail = 'Joan is under maintenance: reading works, writing will be back soon';
    throw new Refused(503, detail, { 'retry-after': RETRY_AFTER });
  }
}

/** Whether a row was refused because another one has its name. */
export function isTaken(error: unknown): boolean {
  return String(error).includes('UNIQUE constraint failed');
}

/** One row, or null. */
export function first<Row>(database: D1Database, sql: string, ...values: Value[]): Promise<Row | null> {
  return database.prepare(sql).bind(...values).first<Row>();
}

/** All rows. */
export async function all<Row>(database: D1Database, sql: string, ...values: Value[]): Promise<Row[]> {
  return (await database.prepare(sql).bind(...values).all<Row>()).results;
}

/** INSERT of these columns; the names come from this Worker's code, never from a request. */
export function insert(database: D1Database, table: string, row: Record<string, Value>): D1PreparedStatement {
  const names = Object.keys(row);
  const places = names.map(() => '?').join(', ');
  return database
    .prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${places})`)
    .bind(...Object.values(row));
}

/** UPDATE of these columns in the row with this id. */
export function update(
  database: D1Database,
  table: string,
  id: string,
  row: Record<string, Value>,
): D1PreparedStatement {
  const set = Object.keys(row).map((name) => `${name} = ?`).join(', ');
  return database.prepare(`UPDATE ${table} SET ${set} WHERE id = ?`).bind(...Object.values(row), id);
}

/** What of `wanted` differs from the row as it is: SQLAlchemy, too, writes nothing else. */
export function changed(row: object, wanted: Record<string, Value>): Record<string, Value> {
  const before = row as Record<string, unknown>;
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => before[name] !== value));
}
