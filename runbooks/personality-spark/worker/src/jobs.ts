// A job on its way: what /enqueue takes, what a message holds, what the consumer keeps.
import { isRecord } from './answers';
import type { Environment } from './environment';

/**
 * `body` is the text that Celery kept (arguments as JSON), never parsed on its way.  `eta`: not before this time;
 * `expires`: not after that.
 */
export interface Job {
  id: string;
  queue: string;
  task: string;
  body: string;
  eta?: string;
  expires?: string;
}

export const COMPLETED = 'analytics.track_quiz_completion';
export const SHARED = 'analytics.track_quiz_share';

/** The tasks that this Worker can run.  All are stubs: what they did stands in the legacy side's tasks. */
export const TASKS: ReadonlySet<string> = new Set([
  COMPLETED,
  SHARED,
  'shares.render_card',
  'mail.send_weekly_digest',
]);

export const LONGEST_DELAY = 86_400; // seconds, developers.cloudflare.com/queues/platform/limits/

/** The value as a job; a text that says why it is none. */
export function asJob(value: unknown): Job | string {
  if (!isRecord(value)) return 'not an object';
  const { id, queue, task, body } = value;
  for (const [name, text] of Object.entries({ id, queue, task })) {
    if (typeof text !== 'string' || text === '') return `${name} is not a text`;
  }
  if (typeof body !== 'string') return 'body is not a text';
  const job: Job = { id: id as string, queue: queue as string, task: task as string, body };
  for (const name of ['eta', 'expires'] as const) {
    const time = value[name];
    if (time === undefined || time === null) continue;
    if (typeof time !== 'string' || Number.isNaN(Date.parse(time))) return `${name} is not a time in ISO 8601`;
    job[name] = time;
  }
  return job;
}

/** Seconds from now until the job may run, at most what a message may be delayed. */
export function delay(job: Job, now: number): number {
  if (job.eta === undefined) return 0;
  return Math.min(LONGEST_DELAY, Math.max(0, Math.ceil((Date.parse(job.eta) - now) / 1000)));
}

/** Leaves a task to the queue, in the very text in which Celery would have kept it. */
export async function send(environment: Environment, task: string, args: (string | number)[]): Promise<void> {
  const given = args.map((argument) => JSON.stringify(argument)).join(', ');
  const body = `[[${given}], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]`;
  const job: Job = { id: crypto.randomUUID(), queue: 'analytics', task, body };
  await environment.ANALYTICS_QUEUE.send(job, { contentType: 'json' });
}
