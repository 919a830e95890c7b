// The consumer of both queues.
//
// Queues deliver at least once, so a job is kept by INSERT … ON CONFLICT(id) DO NOTHING: however often its message
// comes, received_jobs holds it once.  A job with an eta is kept at once, too, and its message is sent on with a delay:
// what arrived can be proved on the day of the move, what runs later runs later.
//
// Before a job runs it is taken up in job_states, and after that it is marked there.  A job that has run is not run again,
// and one that the way back has handed back to Celery is left alone, whenever its delayed message comes.
import { isRecord } from './answers';
import type { Environment } from './environment';
import { TASKS, asJob, delay, type Job } from './jobs';

const KEEP = `INSERT INTO received_jobs (id, queue, task, body, received_at) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (id) DO NOTHING`;
const KNOW = `INSERT INTO job_states (id, eta, expires)
  SELECT value ->> 'id', value ->> 'eta', value ->> 'expires' FROM json_each(?1) WHERE true ON CONFLICT (id) DO NOTHING`;
const TAKE_UP = `UPDATE job_states SET begun_at = coalesce(begun_at, ?2)
  WHERE id IN (SELECT value FROM json_each(?1)) AND ran_at IS NULL AND returned_at IS NULL RETURNING id`;
const DONE = 'UPDATE job_states SET ran_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))';
const BURY = `INSERT INTO received_jobs_dead (id, queue, task, body, reason, attempts, received_at)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`;

class UnknownTask extends Error {}

export async function consume(batch: MessageBatch<unknown>, environment: Environment): Promise<void> {
  await (batch.queue === environment.DEAD_LETTER_QUEUE ? bury(batch, environment) : keep(batch, environment));
}

async function keep(batch: MessageBatch<unknown>, environment: Environment): Promise<void> {
  const now = Date.now();
  const good = new Map<Message<unknown>, Job>();
  const due: Job[] = [];
  const later: MessageSendRequest<Job>[] = [];
  const never: MessageSendRequest<unknown>[] = [];
  const failed = new Set<Message<unknown>>();
  for (const message of batch.messages) {
    const job = asJob(message.body);
    if (typeof job === 'string') {
      never.push({ body: message.body }); // no attempt can make a job of it
    } else if (!TASKS.has(job.task)) {
      fail(failed, message, job, new UnknownTask(`no task ${job.task}`));
    } else {
      good.set(message, job);
      const delaySeconds = delay(job, now);
      if (delaySeconds > 0) later.push({ body: job, contentType: 'json', delaySeconds });
      else if (job.expires === undefined || Date.parse(job.expires) > now) due.push(job);
    }
  }
  const ours = good.size > 0 ? await takeUp([...good.values()], due, now, environment) : new Set<string>();
  const ran: string[] = [];
  for (const [message, job] of good) {
    if (!ours.delete(job.id)) continue; // the same message may stand in a batch twice
    try {
      run(job);
      ran.push(job.id);
    } catch (error) {
      fail(failed, message, job, error);
      good.delete(message);
    }
  }
  // First the rows, then what is sent on, then the acknowledgement: a fault in between repeats, it never loses.
  if (good.size > 0) {
    const { DB } = environment;
    const keeping = DB.prepare(KEEP);
    const rows = [...good.values()].map((job) => keeping.bind(job.id, job.queue, job.task, job.body, seconds(now)));
    await DB.batch([...rows, DB.prepare(DONE).bind(JSON.stringify(ran), seconds(Date.now()))]);
  }
  for (const one of later) await environment.ANALYTICS_QUEUE.send(one.body, one);
  for (const one of never) await environment.DLQ.send(one.body, { contentType: 'json' });
  for (const message of batch.messages) {
    if (failed.has(message)) message.retry();
    else message.ack();
  }
}

/** Notes these jobs, and takes up those that are due; the ids of those that are to run now. */
async function takeUp(jobs: Job[], due: Job[], now: number, environment: Environment): Promise<Set<string>> {
  const ids = JSON.stringify(due.map(({ id }) => id));
  const [, taken] = await environment.DB.batch<{ id: string }>([
    know(jobs, environment),
    environment.DB.prepare(TAKE_UP).bind(ids, seconds(now)),
  ]);
  return new Set(taken?.results.map(({ id }) => id));
}

function know(jobs: Job[], environment: Environment): D1PreparedStatement {
  const times = jobs.map(({ id, eta, expires }) => ({ id, eta, expires }));
  return environment.DB.prepare(KNOW).bind(JSON.stringify(times));
}

function fail(failed: Set<Message<unknown>>, message: Message<unknown>, job: Job, error: unknown): void {
  console.error(`job ${job.id}, attempt ${message.attempts}: ${String(error)}`);
  failed.add(message);
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
  const jobs = batch.messages.map(({ body }) => asJob(body)).filter((job) => typeof job !== 'string');
  await environment.DB.batch([...rows, know(jobs, environment)]);
  batch.ackAll();
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
