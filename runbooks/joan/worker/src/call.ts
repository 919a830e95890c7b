// One request on its way through a route: its user, its body, the parts of its path and of its query.
import { Refused } from './answers';
import type { Environment } from './environment';
import type { UsersRow } from './rows';
import { currentUser } from './security';
import { bodyParts, completed, Faults, id, type Part, type Whole } from './shapes';

type Parts = Record<string, Part<unknown>>;

export class Call {
  private readonly faults = new Faults();

  private constructor(
    readonly environment: Environment,
    readonly request: Request,
    private readonly path: Record<string, string>,
    private readonly url: URL,
    private readonly body: unknown,
  ) {}

  /** A body that is no JSON is refused before anybody asks who sends it, as FastAPI does; a form is left to its route. */
  static async of(
    environment: Environment,
    request: Request,
    path: Record<string, string>,
    url: URL,
    body: 'json' | undefined,
  ): Promise<Call> {
    return new Call(environment, request, path, url, body && (await sentBody(request)));
  }

  get database(): D1Database {
    return this.environment.DB;
  }

  user(): Promise<UsersRow> {
    return currentUser(this.environment, this.request);
  }

  /** The id in the path.  Faults are collected; `end` tells them. */
  id(name: string): string {
    return this.faults.read(id, this.path[name], ['path', name]) ?? '';
  }

  /** The parts of the query, each with what stands for it if it is not there. */
  query<P extends Parts>(parts: P): Whole<P> {
    return completed(parts, this.faults.parts(parts, Object.fromEntries(this.url.searchParams), ['query']));
  }

  /** The fields of the body that were sent. */
  sent<P extends Parts>(parts: P): Partial<Whole<P>> {
    const sent = bodyParts(this.faults, parts, this.body);
    this.end();
    return sent;
  }

  /** All fields of the body. */
  whole<P extends Parts>(parts: P): Whole<P> {
    return completed(parts, this.sent(parts));
  }

  /** Refuses the request if path or query had a fault. */
  end(): void {
    this.faults.end();
  }
}

async function sentText(request: Request): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await request.arrayBuffer());
  } catch {
    throw new Refused(400, 'There was an error parsing the body');
  }
}

async function sentBody(request: Request): Promise<unknown> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  const text = await sentText(request);
  if (text === '') return undefined;
  if (!/^application\/(.+\+)?json$/.test(type)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const ctx = { error: String(error) };
    const fault = { type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {}, ctx };
    throw new Refused(422, [fault]);
  }
}
