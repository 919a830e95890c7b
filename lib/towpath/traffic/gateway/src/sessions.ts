// Which side a session is on, without any memory but its own: the same key is in the same bucket as long as the salt is
// the same, so who is in at 10 % is in at 50 %.  buckets.py computes the same.
import type { Environment } from './environment';

const SESSION = '__towpath_session';
const SIDE = '__towpath_side';
const BUCKETS = 10_000;
const LIFE = 30 * 86_400; // seconds: who is forgotten before the ramp has ended would read the old side again

/** 0 … 9999: the first four bytes of SHA-256 of salt, NUL, key. */
export async function bucketOf(salt: string, key: string): Promise<number> {
  return new DataView(await digest(`${salt}\0${key}`)).getUint32(0) % BUCKETS;
}

/** What a session that has written on the new side carries; of one cutover only, since each has a salt of its own. */
export async function pinOf(salt: string): Promise<string> {
  const bytes = new Uint8Array(await digest(`${salt}\0pin`), 0, 8);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
}

export class Session {
  private readonly cookies: [string, string][];

  constructor(private readonly request: Request) {
    const header = request.headers.get('cookie') ?? '';
    this.cookies = header.split(';').map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, at < 0 ? undefined : at).trim(), part];
    });
  }

  /** What it is known by; "" for a session that is seen the first time.  Our own cookie goes first: it outlives a login. */
  key({ SESSION: kind }: Environment): string {
    const own = this.cookie(SESSION);
    if (own !== '' || !kind) return own;
    const [where, name] = [kind.slice(0, kind.indexOf(':')), kind.slice(kind.indexOf(':') + 1)];
    return where === 'header' ? (this.request.headers.get(name) ?? '') : this.cookie(name);
  }

  get pin(): string {
    return this.cookie(SIDE);
  }

  /** The cookies that are the application's, as they came; "" if there is none. */
  get others(): string {
    const rest = this.cookies.filter(([name]) => name !== SESSION && name !== SIDE);
    return rest.map(([, part]) => part).join(';').trim();
  }

  /** A Set-Cookie that gives a session a key. */
  begin(key: string): string {
    return this.set(SESSION, key);
  }

  /** A Set-Cookie that keeps a session on the new side. */
  stay(pin: string): string {
    return this.set(SIDE, pin);
  }

  private set(name: string, value: string): string {
    const secure = new URL(this.request.url).protocol === 'https:' ? '; Secure' : '';
    return `${name}=${value}; Path=/; Max-Age=${LIFE}; HttpOnly; SameSite=Lax${secure}`;
  }

  private cookie(name: string): string {
    const part = this.cookies.find(([found]) => found === name)?.[1] ?? '';
    return part.slice(part.indexOf('=') + 1).trim();
  }
}
