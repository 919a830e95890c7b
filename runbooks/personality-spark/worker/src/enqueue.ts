// POST /enqueue: the way into the queue for jobs that come from Celery.
//
// The same job may be sent again: what counts is the id, and the consumer keeps each id once.
import { Refused, bytes, isRecord, json } from './answers';
import type { Environment } from './environment';
import { LONGEST_DELAY, asJob, type Job } from './jobs';

// developers.cloudflare.com/queues/platform/limits/
const MOST_MESSAGES = 100;
const MESSAGE_BYTES = 128_000;
const BATCH_BYTES = 256_000;
const REQUEST_BYTES = 5_000_000;
const REQUEST_JOBS = 1000;

type Message = MessageSendRequest<Job> & { bytes: number };

/** Its refusals say `error`: the handing over of jobs reads them, and no client of the old application. */
export async function enqueue(environment: Environment, request: Request): Promise<Response> {
  try {
    return await accept(environment, request);
  } catch (error) {
    if (error instanceof Refused) return json({ error: error.detail }, error.status);
    throw error;
  }
}

async function accept(environment: Environment, request: Request): Promise<Response> {
  await permit(environment, request);
  const sent = await parsed(request);
  if (!Array.isArray(sent)) throw new Refused(400, 'the body must be an array of jobs');
  if (sent.length > REQUEST_JOBS) throw new Refused(413, `more than ${REQUEST_JOBS} jobs in one request`);
  const messages = sent.map(message);
  if (new Set(messages.map(({ body }) => body.id)).size !== messages.length) {
    throw new Refused(400, 'the same id stands in this request twice');
  }
  for (const batch of batches(messages)) {
    await environment.ANALYTICS_QUEUE.sendBatch(batch.map(({ bytes: _, ...rest }) => rest));
  }
  return json({ ids: messages.map(({ body }) => body.id) }, 202);
}

async function parsed(request: Request): Promise<unknown> {
  const body = await bytes(request, REQUEST_BYTES, `the body is longer than ${REQUEST_BYTES} bytes`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw new Refused(400, 'the body is not JSON in UTF-8');
  }
}

/** Refuses who does not know the token; comparing digests takes the same time for every wrong one. */
async function permit(environment: Environment, request: Request): Promise<void> {
  if (!environment.ENQUEUE_TOKEN) throw new Refused(503, 'ENQUEUE_TOKEN is not set');
  const [told, known] = await Promise.all([
    digest(request.headers.get('authorization') ?? ''),
    digest(`Bearer ${environment.ENQUEUE_TOKEN}`),
  ]);
  if (!crypto.subtle.timingSafeEqual(told, known)) throw new Refused(401, 'the token is missing or wrong');
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
}

function message(item: unknown, at: number): Message {
  const job = asJob(item);
  if (typeof job === 'string') throw new Refused(400, `job ${at}: ${job}`);
  const delaySeconds = isRecord(item) ? (item['delay_seconds'] ?? 0) : 0;
  if (typeof delaySeconds !== 'number' || !Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > LONGEST_DELAY) {
    throw new Refused(400, `job ${at}: delay_seconds is not a whole number from 0 to ${LONGEST_DELAY}`);
  }
  const bytes = new TextEncoder().encode(JSON.stringify(job)).byteLength;
  if (bytes > MESSAGE_BYTES) throw new Refused(413, `job ${at}: its message has ${bytes} bytes, ${MESSAGE_BYTES} are allowed`);
  return { body: job, contentType: 'json', delaySeconds, bytes };
}

function* batches(messages: Message[]): Generator<Message[]> {
  let batch: Message[] = [];
  let size = 0;
  for (const one of messages) {
    if (batch.length === MOST_MESSAGES || (batch.length > 0 && size + one.bytes > BATCH_BYTES)) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(one);
    size += one.bytes;
  }
  if (batch.length > 0) yield batch;
}
