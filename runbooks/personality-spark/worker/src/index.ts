// Personality Spark on Cloudflare: quizzes, results, share cards, and the jobs that Celery ran.  Its addresses and
// answers are those of the old application; where they cannot be, runbook.md says so.
//
// What is not here, and is meant not to be: the call of the AI (quizzes.ts has a declared stub) and the users' log-in.
import { Refused, json } from './answers';
import { consume } from './consumer';
import { enqueue } from './enqueue';
import type { Environment } from './environment';
import { closed, maintenance, refusesWrites } from './fence';
import { generate } from './quizzes';
import { list, save } from './results';
import { card, share } from './shares';

type Route = [method: string, path: RegExp, answer: (call: Call) => Promise<Response>];

interface Call {
  request: Request;
  environment: Environment;
  url: URL;
  part: string; // what stood for the one variable part of the path
}

const ROUTES: Route[] = [
  ['GET', /^\/health$/, ({ environment }) => health(environment)],
  ['GET', /^\/generate\/([^/]+)$/, ({ environment, part }) => generate(environment, part)],
  ['POST', /^\/results$/, ({ request, environment }) => save(environment, request)],
  ['GET', /^\/results$/, ({ environment, url }) => list(environment, url.searchParams)],
  ['POST', /^\/shares\/([^/]+)$/, ({ request, environment, part }) => share(environment, request, part)],
  ['GET', /^\/static\/shares\/([^/]+)$/, ({ request, environment, part }) => card(environment, request, part)],
  ['POST', /^\/enqueue$/, ({ request, environment }) => enqueue(environment, request)],
];

/** Nothing is ever under way past the fence: each write is one transaction, kept or refused. */
async function health(environment: Environment): Promise<Response> {
  const told = { maintenance: await closed(environment), writes_in_flight: 0 };
  return json(told, 200, { 'x-environment': environment.ENVIRONMENT });
}

async function answer(request: Request, environment: Environment): Promise<Response> {
  const url = new URL(request.url);
  const path = decoded(url.pathname);
  const there = ROUTES.filter(([, pattern]) => pattern.test(path));
  const found = there.find(([method]) => method === request.method);
  if (found !== undefined) {
    return await found[2]({ request, environment, url, part: found[1].exec(path)?.[1] ?? '' });
  }
  if (there.length > 0) throw new Refused(405, 'Method Not Allowed', { allow: there[0]![0] });
  const other = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
  if (!ROUTES.some(([, pattern]) => pattern.test(other))) throw new Refused(404, 'Not Found');
  url.pathname = other;
  return new Response(null, { status: 307, headers: { location: url.href } });
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function refused({ status, detail, headers }: Refused, method: string): Response {
  const response = json({ detail }, status, headers);
  return method === 'HEAD' ? new Response(null, response) : response;
}

export default {
  async fetch(request, environment): Promise<Response> {
    try {
      return await answer(request, environment);
    } catch (error) {
      if (error instanceof Refused) return refused(error, request.method);
      if (refusesWrites(error)) return refused(maintenance(), request.method);
      console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return new Response('Internal Server Error', { status: 500 }); // what failed is nobody's business but the log's
    }
  },

  async queue(batch, environment): Promise<void> {
    await consume(batch, environment);
  },
} satisfies ExportedHandler<Environment>;
