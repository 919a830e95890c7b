/** A request that is answered with an error, in the form of the old side: `{"detail": …}`. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly detail: unknown,
    readonly headers: Record<string, string> = {},
  ) {
    super(String(detail));
  }

  get answer(): Response {
    return Response.json({ detail: this.detail }, { status: this.status, headers: this.headers });
  }
}

export function json(value: unknown, status = 200): Response {
  return Response.json(value, { status });
}

export function notFound(what: string): Refused {
  return new Refused(404, `${what} not found`);
}
