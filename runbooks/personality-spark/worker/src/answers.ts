/** A request that cannot be answered as it is; `detail` is for its sender, in the form that FastAPI gives it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly detail: unknown,
    readonly headers: Record<string, string> = {},
  ) {
    super(String(detail));
  }
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(value, { status, headers });
}

/** The body as bytes; refuses what is longer than `most` of them before it is read to its end. */
export async function bytes(request: Request, most: number, refusal: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.byteLength;
    if (size > most) throw new Refused(413, refusal);
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** True for an object with keys; null and arrays are none. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Numeral);
}

/** A number of JSON by its own digits, because a double has no room for all that PostgreSQL keeps. */
export class Numeral {
  constructor(readonly text: string) {}

  get value(): number {
    return Number(this.text);
  }

  get whole(): boolean {
    return /^-?\d+$/.test(this.text);
  }

  toJSON(): unknown {
    return JSON.rawJSON(this.text);
  }
}
