/** A request that cannot be answered as it is; the message is for its sender. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export function json(value: unknown, status = 200): Response {
  return Response.json(value, { status });
}

/** The body as JSON; refuses what is longer than `most` bytes before it is read to its end. */
export async function body(request: Request, most: number): Promise<unknown> {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return JSON.parse(text.decode(await bytes(request, most)));
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(400, 'the body is not JSON in UTF-8');
  }
}

/** The body as bytes, at most `most` of them. */
export async function bytes(request: Request, most: number): Promise<Uint8Array> {
  if (request.body === null) throw new Refused(400, 'the body is empty');
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body as ReadableStream<Uint8Array>) {
    size += part.byteLength;
    if (size > most) throw new Refused(413, `the body is longer than ${most} bytes`);
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
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
