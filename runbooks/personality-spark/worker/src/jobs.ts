// A job on its way: what /enqueue takes, what a message holds, what the consumer keeps.
import { isRecord } from './answers';

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

/** The tasks that this Worker can run.  All are stubs: what they did stands in the legacy side's tasks. */
export const TASKS: ReadonlySet<string> = new Set([
  'analytics.track_quiz_completion',
  'analytics.track_quiz_share',
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
