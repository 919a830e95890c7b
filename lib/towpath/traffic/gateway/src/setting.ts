// What moves during a cutover: one JSON value in KV, written through Cloudflare's API alone.  There is no route that
// changes it, so no door more stands open.
//
// An isolate uses what it has read for CACHE_SECONDS.  When KV does not answer, or what it answers is broken, the isolate
// goes on with what it knew for KEEP_SECONDS; after that nothing is known.  It never goes back to an older revision.
import type { Environment } from './environment';

export const KEY = 'traffic';
const MODES = ['origin', 'frozen', 'split', 'worker'] as const;
export const CACHE_SECONDS = 5; // for which an isolate uses what it has read, if nothing is said
const EDGE_SECONDS = 30; // the shortest time for which Cloudflare's edge may keep a value of KV
const PATIENCE = 1000; // milliseconds that a request waits for KV

export type Mode = (typeof MODES)[number];

export interface Setting {
  mode: Mode;
  percent: number;
  salt: string;
  revision: number;
}

/** What an isolate knows: `setting` undefined when nothing is known; `last` is the mode it knew last. */
export interface Known {
  setting: Setting | undefined;
  last: Mode | undefined;
}

let setting: Setting | undefined;
let readAt = 0; // of the last good answer, milliseconds
let triedAt = 0; // of the last question, good or not
let failedAt = -Infinity; // of the last answer that was none

export async function known(environment: Environment, now: number): Promise<Known> {
  const cache = (environment.CACHE_SECONDS ?? CACHE_SECONDS) * 1000;
  const keep = (environment.KEEP_SECONDS ?? 60) * 1000;
  // While nothing is known every request asks, or those that come together would not wait for the first answer.
  if (now - (setting === undefined ? failedAt : triedAt) >= cache) {
    triedAt = now;
    const found = await read(environment);
    if (found === undefined) failedAt = now;
    else if (setting === undefined || found.revision >= setting.revision) [setting, readAt] = [found, now];
  }
  const good = setting !== undefined && now - readAt <= Math.max(keep, cache);
  return { setting: good ? setting : undefined, last: setting?.mode };
}

async function read(environment: Environment): Promise<Setting | undefined> {
  try {
    const late = scheduler.wait(PATIENCE).then(() => null);
    return parse(await Promise.race([environment.TRAFFIC.get(KEY, { type: 'text', cacheTtl: EDGE_SECONDS }), late]));
  } catch (error) {
    console.warn(`the setting cannot be read: ${String(error)}`);
    return undefined;
  }
}

/** The setting in this text; undefined for anything that is not one, whole and in its bounds. */
export function parse(text: string | null): Setting | undefined {
  if (text === null) return undefined;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof found !== 'object' || found === null) return undefined;
  const { mode, percent, salt, revision } = found as Record<string, unknown>;
  if (!MODES.includes(mode as Mode) || typeof salt !== 'string' || salt === '') return undefined;
  if (!whole(percent, 0, 100) || !whole(revision, 1, Number.MAX_SAFE_INTEGER)) return undefined;
  return { mode: mode as Mode, percent, salt, revision };
}

function whole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}
