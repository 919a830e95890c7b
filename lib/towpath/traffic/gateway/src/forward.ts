// A request on its way to a side, and the answer on its way back: bodies are streamed, redirects are left to the client.
import type { Environment } from './environment';
import type { Session } from './sessions';

// RFC 9110, 7.6.1; what the header Connection names goes too.
const HOP_BY_HOP = [
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade',
];

export async function forward(
  environment: Environment,
  request: Request,
  side: 'origin' | 'worker',
  session: Session,
): Promise<Response> {
  const asked = new URL(request.url);
  const target = side === 'worker' ? asked : new URL(asked.pathname + asked.search, environment.ORIGIN);
  const headers = withoutHops(request.headers);
  headers.delete('host');
  if (session.others) headers.set('cookie', session.others);
  else headers.delete('cookie');
  // Whoever asks cannot be trusted to say where from: Cloudflare says it.
  const client = request.headers.get('cf-connecting-ip');
  if (client) headers.set('x-forwarded-for', client);
  else headers.delete('x-forwarded-for');
  headers.set('x-forwarded-proto', asked.protocol.slice(0, -1));
  headers.set('x-forwarded-host', asked.host);
  const late = new AbortController();
  const { method, body } = request;
  const sent = new Request(target, { method, headers, body, redirect: 'manual', signal: late.signal });
  const timer = setTimeout(() => late.abort(), (environment.ANSWER_SECONDS ?? 60) * 1000);
  const answer = await (side === 'worker' ? environment.APP.fetch(sent) : fetch(sent));
  clearTimeout(timer); // once it has begun, an answer may take as long as it likes
  const back = withoutHops(answer.headers);
  const location = back.get('location');
  if (location !== null && side === 'origin') back.set('location', outward(location, environment.ORIGIN, asked.origin));
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers: back });
}

function withoutHops(from: Headers): Headers {
  const headers = new Headers(from);
  const named = (from.get('connection') ?? '').split(',').map((name) => name.trim().toLowerCase());
  for (const name of [...HOP_BY_HOP, ...named.filter((name) => /^[\w-]+$/.test(name))]) headers.delete(name);
  return headers;
}

/** An old application names itself by the address it was asked at; the client must stay at ours. */
function outward(location: string, inner: string, outer: string): string {
  const address = new URL(inner).origin;
  return location === address || location.startsWith(`${address}/`) ? outer + location.slice(address.length) : location;
}
