// Passwords (bcrypt) and tokens (JWT, HS256), as the old side has them: each side takes the other's.
import { compare, hash } from 'bcryptjs';
import { Refused } from './answers';
import { first } from './database';
import type { Environment } from './environment';
import { dashed } from './forms';
import type { UsersRow } from './rows';

const ROUNDS = 10;
const TOKEN_DAYS = 7;
const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' };
const ID = /^[0-9a-f]{32}$/;

/** The bcrypt hash (`$2b$`) of a password, of which bcrypt reads 72 bytes. */
export function passwordHash(password: string): Promise<string> {
  return hash(password, ROUNDS);
}

export function passwordMatches(password: string, hashed: string): Promise<boolean> {
  return compare(password, hashed);
}

export async function newToken(environment: Environment, user: UsersRow): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + TOKEN_DAYS * 86_400;
  const claims = { sub: user.email, user_id: dashed(user.id), exp };
  const signed = [{ alg: 'HS256', typ: 'JWT' }, claims].map((part) => encoded(bytes(JSON.stringify(part)))).join('.');
  const signature = await crypto.subtle.sign(ALGORITHM, await key(environment), bytes(signed));
  return `${signed}.${encoded(new Uint8Array(signature))}`;
}

/** The user of the request's token; refuses with 401. */
export async function currentUser(environment: Environment, request: Request): Promise<UsersRow> {
  const refusal = new Refused(401, 'Not authenticated', { 'www-authenticate': 'Bearer' });
  const [, scheme, token] = /^([^ ]*) (.*)$/.exec(request.headers.get('authorization') ?? '') ?? [];
  if (scheme?.toLowerCase() !== 'bearer' || !token) throw refusal;
  const id = await userOf(environment, token);
  const user = id && (await first<UsersRow>(environment.DB, 'SELECT * FROM users WHERE id = ?', id));
  if (!user || !user.is_active) throw refusal;
  return user;
}

/** The id in a token that is ours and not out of date; undefined for every other. */
async function userOf(environment: Environment, token: string): Promise<string | undefined> {
  const parts = token.split('.');
  const [head, claims, signature] = parts.map(decoded);
  if (parts.length !== 3 || !head || !claims || !signature) return undefined;
  const [told, said] = [parsed(head), parsed(claims)];
  if (told?.['alg'] !== 'HS256' || said === undefined) return undefined;
  const signed = bytes(token.slice(0, token.lastIndexOf('.')));
  if (!(await crypto.subtle.verify(ALGORITHM, await key(environment), signature, signed))) return undefined;
  const now = Date.now() / 1000;
  const { exp, nbf = 0, iat = 0, sub = '', aud, user_id } = said;
  const timely = typeof exp === 'number' && exp > now && Number(nbf) <= now && Number(iat) <= now;
  if (!timely || typeof sub !== 'string' || aud !== undefined || typeof user_id !== 'string') return undefined;
  const id = user_id.replaceAll('-', '').toLowerCase();
  return ID.test(id) ? id : undefined;
}

function key(environment: Environment): Promise<CryptoKey> {
  if (!environment.JWT_SECRET) throw new Error('the secret JWT_SECRET is not set: `wrangler secret put JWT_SECRET`');
  return crypto.subtle.importKey('raw', bytes(environment.JWT_SECRET), ALGORITHM, false, ['sign', 'verify']);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function encoded(plain: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...plain));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function decoded(part: string): Uint8Array | undefined {
  if (!/^[\w-]+$/.test(part)) return undefined;
  try {
    const base64 = part.replaceAll('-', '+').replaceAll('_', '/');
    return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function parsed(part: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
