// The consumer of both queues.
//
// Queues deliver at least once, so a job is kept by INSERT … ON CONFLICT(id) DO NOTHING: however often its message
// comes, received_jobs holds it once.  A job with an eta is kept at once, too, and its message is sent on with a delay:
// what arrived can be proved on the day of the move, what runs later runs later.
import { isRecord } from './answers';
import type { Environment } from './environment';
import { TASKS, asJob, delay, type Job } from './jobs';

const KEEP = `INSERT INTO received_jobs (id, queue, task, body, received_at) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (id) DO NOTHING`;
const BURY = `INSERT INTO received_jobs_dead (id, queue, task, body, reason, attempts, received_at)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`;

class UnknownTask extends Error {}

export async function consume(batch: MessageBatch<unknown>, environment: Environment): Promise<void> {
  await (batch.queue === environment.DEAD_LETTER_QUEUE ? bury(batch, environment) : keep(batch, environment));
}

async function keep(batch: MessageBatch<unknown>, environment: Environment): Promise<void> {
  const now = Date.now();
  const good: Job[] = [];
  const later: MessageSendRequest<Job>[] = [];
  const never: MessageSendRequest<unknown>[] = [];
  const failed = new Set<Message<unknown>>();
  for (const message of batch.messages) {
    const job = asJob(message.body);
    if (typeof job === 'string') {
      never.push({ body: message.body }); // no attempt can make a job of it
      continue;
    }
    try {
      if (!TASKS.has(job.task)) throw new UnknownTask(`no task ${job.task}`);
      const delaySeconds = delay(job, now);
      if (delaySeconds > 0) later.push({ body: job, contentType: 'json', delaySeconds });
      else if (job.expires === undefined || Date.parse(job.expires) > now) run(job);
      good.push(job);
    } catch (error) {
      console.error(`job ${job.id}, attempt ${message.attempts}: ${String(error)}`);
      failed.add(message);
    }
  }
  // First the rows, then what is sent on, then the acknowledgement: a fault in between repeats, it never loses.
  if (good.length > 0) {
    const keeping = environment.DB.prepare(KEEP);
    await environment.DB.batch(good.map((job) => keeping.bind(job.id, job.queue, job.task, job.body, seconds(now))));
  }
  for (const one of later) await environment.ANALYTICS_QUEUE.send(one.body, one);
  for (const one of never) await environment.DLQ.send(one.body, { contentType: 'json' });
  for (const message of batch.messages) {
    if (failed.has(message)) message.retry();
    else message.ack();
  }
}

/** Runs a job that is due.  A stub: what the tasks did is out of this slice, so only the log shows that it would run. */
function run(job: Job): void {
  console.debug(`job ${job.id} runs: ${job.task}`);
}

async function bury(batch: MessageBatch<unknown>, environment: Environment): Promise<void> {
  // Cloudflare tells no reason with a dead letter, so it is looked for again.
  const burying = environment.DB.prepare(BURY);
  const now = seconds(Date.now());
  const rows = batch.messages.map((message) => {
    const job = asJob(message.body);
    if (typeof job !== 'string') {
      const reason = TASKS.has(job.task) ? 'failed at every attempt' : `no task ${job.task}`;
      return burying.bind(job.id, job.queue, job.task, job.body, reason, message.attempts, now);
    }
    const told = isRecord(message.body) && typeof message.body['id'] === 'string' ? message.body['id'] : message.id;
    return burying.bind(told, '', '', JSON.stringify(message.body), `not a job: ${job}`, message.attempts, now);
  });
  await environment.DB.batch(rows);
  batch.ackAll();
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
