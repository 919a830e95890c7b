// Personality Spark on Cloudflare: quizzes, results, share cards, and the jobs that Celery ran.
//
// What is not here, and is meant not to be: the call of the AI (quizzes.ts has a declared stub) and the users' log-in.
import { Refused, json } from './answers';
import { consume } from './consumer';
import { enqueue } from './enqueue';
import type { Environment } from './environment';
import { generate } from './quizzes';
import { list, save } from './results';
import { fetchCard, keepCard } from './shares';

type Route = [method: string, path: URLPattern, answer: (call: Call) => Promise<Response> | Response];

interface Call {
  request: Request;
  environment: Environment;
  url: URL;
  part: string; // what stood for the one variable part of the path
}

function route(method: string, path: string, answer: Route[2]): Route {
  return [method, new URLPattern({ pathname: path }), answer];
}

const ROUTES: Route[] = [
  route('GET', '/health', ({ environment }) => json({ status: 'ok', environment: environment.ENVIRONMENT })),
  route('GET', '/generate/:part', ({ environment, part }) => generate(environment, part)),
  route('POST', '/results', ({ request, environment }) => save(environment, request)),
  route('GET', '/results', ({ environment, url }) => list(environment, url.searchParams)),
  route('PUT', '/shares/:part', ({ request, environment, part }) => keepCard(environment, request, part)),
  route('GET', '/shares/:part', ({ request, environment, part }) => fetchCard(environment, request, part)),
  route('POST', '/enqueue', ({ request, environment }) => enqueue(environment, request)),
];

async function answer(request: Request, environment: Environment): Promise<Response> {
  const url = new URL(request.url);
  const methods: string[] = [];
  for (const [method, path, reply] of ROUTES) {
    const found = path.exec({ pathname: url.pathname });
    if (found === null) continue;
    if (method === request.method) {
      const part = decodeURIComponent(found.pathname.groups['part'] ?? '');
      return await reply({ request, environment, url, part });
    }
    methods.push(method);
  }
  if (methods.length === 0) throw new Refused(404, 'there is no such address');
  return new Response(null, { status: 405, headers: { allow: methods.join(', ') } });
}

export default {
  async fetch(request, environment): Promise<Response> {
    try {
      return await answer(request, environment);
    } catch (error) {
      if (error instanceof Refused) return json({ error: error.message }, error.status);
      console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return json({ error: 'the Worker failed' }, 500); // what failed is nobody's business but the log's
    }
  },

  async queue(batch, environment): Promise<void> {
    await consume(batch, environment);
  },
} satisfies ExportedHandler<Environment>;
