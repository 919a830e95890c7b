// Share cards in R2 under shares/<id>.png.  Browsers keep a card for a year, so a card never changes.
import { Refused, bytes, json } from './answers';
import { Checks } from './checks';
import { jsonb, parse } from './documents';
import type { Environment } from './environment';
import { SHARED, send } from './jobs';

const MOST_BYTES = 5_000_000;
const MEDIA = 'https://media.personalityspark.com/';
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const HEADERS = { contentType: 'image/png', cacheControl: 'public, max-age=31536000' };
const RANGE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/;
const TRIES = 5;

// It changes nothing, and it is a write: the fence refuses it before R2 holds a card that no row will name.
const ASK = 'UPDATE quiz_results SET shared = shared WHERE id = ? RETURNING results';
const KEEP = 'UPDATE quiz_results SET shared = 1, results = ? WHERE id = ? AND results = ?';
const CARD = `INSERT INTO share_cards (id, quiz_result_id, object_key, url, created_at)
  SELECT ?, id, ?, ?, ? FROM quiz_results WHERE id = ? AND results = ?`;

export async function share(environment: Environment, request: Request, name: string): Promise<Response> {
  const checks = new Checks();
  const result = checks.uuid(['path', 'result_id'], name);
  checks.done();
  const content = await bytes(request, MOST_BYTES, `a share card has at most ${MOST_BYTES} bytes`);
  if (!SIGNATURE.every((byte, at) => content[at] === byte)) throw new Refused(415, 'a share card is a PNG');
  const id = crypto.randomUUID();
  const [key, url] = [`shares/${id}.png`, `${MEDIA}shares/${id}.png`];
  let results = await asked(environment, result as string);
  // The file before its row: a row without its file is worse than a file without its row.
  await environment.MEDIA.put(key, content, { httpMetadata: HEADERS });
  for (let tries = 1; !(await named(environment, result as string, results, { id, key, url })); tries += 1) {
    if (tries === TRIES) throw new Error(`result ${result} changed ${TRIES} times while it was shared`);
    results = await asked(environment, result as string);
  }
  await send(environment, SHARED, [result as string, 'upload']);
  return json({ id, url }, 201);
}

export async function card(environment: Environment, request: Request, name: string): Promise<Response> {
  const key = `shares/${name}`;
  const part = await partOf(environment, key, request.headers.get('range') ?? '');
  const found = await environment.MEDIA.get(key, { onlyIf: request.headers, ...(part && { range: part }) });
  if (found === null) throw new Refused(404, 'there is no such card');
  const headers = new Headers({
    'content-type': HEADERS.contentType,
    'cache-control': HEADERS.cacheControl,
    'accept-ranges': 'bytes',
    'last-modified': found.uploaded.toUTCString(),
    etag: found.httpEtag,
  });
  if (!('body' in found)) return new Response(null, { status: 304, headers });
  if (part === null) return new Response(found.body, { headers });
  headers.set('content-range', `bytes ${part.offset}-${part.offset + part.length - 1}/${found.size}`);
  return new Response(found.body, { status: 206, headers });
}

/** The part of a card that a Range header asks for; null for the whole: of several parts, or what is no range. */
async function partOf(environment: Environment, key: string, header: string): Promise<{ offset: number; length: number } | null> {
  const [, first, last, suffix] = RANGE.exec(header) ?? [];
  if (first === undefined && suffix === undefined) return null;
  const size = (await environment.MEDIA.head(key))?.size;
  if (size === undefined) return null;
  const offset = first === undefined ? Math.max(0, size - Number(suffix)) : Number(first);
  const end = last ? Math.min(size, Number(last) + 1) : size;
  if (offset >= end) throw new Refused(416, 'Range Not Satisfiable', { 'content-range': `bytes */${size}` });
  return { offset, length: end - offset };
}

/** What a result holds now.  Refuses one that is not there. */
async function asked(environment: Environment, result: string): Promise<string> {
  const found = await environment.DB.prepare(ASK).bind(result).first<string>('results');
  if (found === null) throw new Refused(404, 'there is no such result');
  return found;
}

/** Writes the card's row and its address into the result, if that is still what was read; says whether it was. */
async function named(
  environment: Environment,
  result: string,
  read: string,
  { id, key, url }: { id: string; key: string; url: string },
): Promise<boolean> {
  const made = jsonb({ ...(parse(read) as Record<string, unknown>), share: { url, views: 0 } });
  const now = new Date().toISOString().replace('Z', '000Z'); // as the mapping writes a moment: six digits
  const [kept] = await environment.DB.batch([
    environment.DB.prepare(KEEP).bind(made, result, read),
    environment.DB.prepare(CARD).bind(id, key, url, now, result, made),
  ]);
  return kept!.meta.changes > 0;
}
