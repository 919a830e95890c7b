// Share cards in R2 under shares/<id>.png.  Browsers keep a card for a year, so a card never changes.
import { Refused, bytes, json } from './answers';
import type { Environment } from './environment';

const MOST_BYTES = 5_000_000;
const ID = /^[A-Za-z0-9_-]{1,100}$/;
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const HEADERS = { contentType: 'image/png', cacheControl: 'public, max-age=31536000' };

export async function keepCard(environment: Environment, request: Request, name: string): Promise<Response> {
  const key = keyOf(name);
  const card = await bytes(request, MOST_BYTES);
  if (!SIGNATURE.every((byte, at) => card[at] === byte)) throw new Refused(415, 'a share card is a PNG');
  const only = new Headers({ 'if-none-match': '*' });
  const kept = await environment.MEDIA.put(key, card, { onlyIf: only, httpMetadata: HEADERS });
  if (kept === null) throw new Refused(409, 'there is a card with this id');
  return json({ key, size: kept.size, etag: kept.etag }, 201);
}

export async function fetchCard(environment: Environment, request: Request, name: string): Promise<Response> {
  const found = await environment.MEDIA.get(keyOf(name), { onlyIf: request.headers });
  if (found === null) throw new Refused(404, 'there is no such card');
  const headers = new Headers({ etag: found.httpEtag });
  found.writeHttpMetadata(headers);
  if (!('body' in found)) return new Response(null, { status: 304, headers });
  return new Response(found.body, { headers });
}

function keyOf(name: string): string {
  const id = name.endsWith('.png') ? name.slice(0, -'.png'.length) : name;
  if (!ID.test(id)) throw new Refused(400, 'not the id of a card');
  return `shares/${id}.png`;
}
