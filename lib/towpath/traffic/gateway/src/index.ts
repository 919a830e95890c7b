// The gateway: it stands before the old application and the new one, and says for each request which of them answers.
//
// It reads one setting from KV (setting.ts), knows a session by its key (sessions.ts), decides (decide.ts), passes the
// request on (forward.ts) and notes a line (lines.ts).  It never tries a second side: an error is counted and answered.
import { decide, type Side } from './decide';
import type { Environment } from './environment';
import { forward } from './forward';
import { note } from './lines';
import { listed, routeOf } from './routes';
import { Session, bucketOf, pinOf } from './sessions';
import { CACHE_SECONDS, known, type Setting } from './setting';

/** Answered by the gateway itself: the revision it works by, how old that may be, and who reads are for otherwise. */
const STATUS = '/.well-known/towpath-traffic';
const READING = ['GET', 'HEAD', 'OPTIONS'];
const RETRY_AFTER = '30'; // seconds

export default {
  async fetch(request, environment, context): Promise<Response> {
    const begun = Date.now();
    const now = await known(environment, begun);
    const revision = now.setting?.revision ?? 0;
    const { pathname } = new URL(request.url);
    if (pathname === STATUS) return signed(status(environment), 'gateway', revision, []);

    const { WRITES = [], READS = [] } = environment;
    const other = READING.includes(request.method) ? WRITES : READS; // what is not as its method says
    const writes = READING.includes(request.method) === listed(request.method, pathname, other);
    const session = new Session(request);
    const place = await placed(environment, session, now.setting, writes);
    // A WebSocket is refused by the gateway itself, so that it is no error of a side.
    const side = isSocket(request) ? 'gateway' : decide(now, writes, place.inside, environment.FALLBACK);
    const { answer, by } = await answered(environment, request, side, session);
    // Only what was acknowledged has to be read again by who wrote it.
    if (answer.status < 400) place.cookies.push(...place.pin);
    note(environment, context, {
      at: begun,
      route: routeOf(pathname, environment.ROUTES ?? []),
      side,
      method: request.method,
      status: answer.status,
      ms: Date.now() - begun,
      bucket: place.bucket,
      revision,
    });
    return signed(answer, by, revision, place.cookies);
  },
} satisfies ExportedHandler<Environment>;

/** What somebody who moves traffic has to know of a deployment; none of it is a secret. */
function status(environment: Environment): Response {
  const headers = {
    'x-towpath-fallback': environment.FALLBACK ?? 'origin',
    'x-towpath-cache-seconds': String(environment.CACHE_SECONDS ?? CACHE_SECONDS),
    'cache-control': 'no-store',
  };
  return new Response(null, { status: 204, headers });
}

interface Place {
  bucket: number | null;
  inside: boolean;
  cookies: string[]; // to be set in any case
  pin: string[]; // to be set once a write is acknowledged
}

/** Where a session stands in a split; in the other modes nobody has to be known. */
async function placed(
  environment: Environment,
  session: Session,
  setting: Setting | undefined,
  writes: boolean,
): Promise<Place> {
  if (setting?.mode !== 'split') return { bucket: null, inside: false, cookies: [], pin: [] };
  const told = session.key(environment);
  const key = told || crypto.randomUUID();
  const [bucket, pin] = await Promise.all([bucketOf(setting.salt, key), pinOf(setting.salt)]);
  const pinned = session.pin === pin;
  return {
    bucket,
    inside: pinned || bucket < setting.percent * 100,
    cookies: told ? [] : [session.begin(key)],
    pin: writes && !pinned ? [session.stay(pin)] : [],
  };
}

async function answered(
  environment: Environment,
  request: Request,
  side: Side,
  session: Session,
): Promise<{ answer: Response; by: Side }> {
  if (isSocket(request)) return { answer: refusal(501, 'the gateway carries no WebSockets'), by: 'gateway' };
  if (side === 'gateway') {
    const words = 'writing is switched off for a moment, reading works; please try again';
    return { answer: refusal(503, words, { 'retry-after': RETRY_AFTER }), by: 'gateway' };
  }
  try {
    return { answer: await forward(environment, request, side, session), by: side };
  } catch (error) {
    console.warn(`${side} does not answer: ${String(error)}`);
    return { answer: refusal(502, 'the application does not answer'), by: 'gateway' };
  }
}

/** Other upgrades (h2c) are offers that a server may pass over: RFC 9110, 7.8. */
function isSocket(request: Request): boolean {
  return request.headers.get('upgrade')?.toLowerCase() === 'websocket';
}

function refusal(status: number, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json({ detail }, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

function signed(answer: Response, by: Side, revision: number, cookies: readonly string[]): Response {
  answer.headers.set('x-served-by', by);
  answer.headers.set('x-towpath-revision', String(revision));
  for (const cookie of cookies) answer.headers.append('set-cookie', cookie);
  return answer;
}
