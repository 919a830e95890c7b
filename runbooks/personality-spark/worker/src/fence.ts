// The fence that a cutover puts into D1: triggers that refuse every write while it is closed (docs/traffic.md).
import { Refused } from './answers';
import type { Environment } from './environment';

const REFUSAL = 'towpath: this database accepts no writes now';

export function refusesWrites(error: unknown): boolean {
  return String(error).includes(REFUSAL);
}

/** What a client hears whose write was refused. */
export function maintenance(): Refused {
  const detail = 'Personality Spark is under maintenance: reading works, writing will be back soon';
  return new Refused(503, detail, { 'Retry-After': '10' });
}

/** True while the fence is closed, and where its row is missing: the triggers refuse then too; false where there is none. */
export async function closed(environment: Environment): Promise<boolean> {
  try {
    return (await environment.DB.prepare('SELECT closed FROM _towpath_fence').first<number>('closed')) !== 0;
  } catch (error) {
    if (String(error).includes('no such table')) return false;
    throw error;
  }
}
