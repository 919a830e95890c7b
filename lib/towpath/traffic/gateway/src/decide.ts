// Who answers a request.  docs/traffic.md explains each row; tests/unit/test_traffic_gateway.py holds them.
import type { Known } from './setting';

export type Side = 'origin' | 'worker' | 'gateway'; // gateway: refused with 503

export function decide(
  { setting, last }: Known,
  writes: boolean,
  inside: boolean, // its bucket is below the percentage, or it has written on the new side
  fallback: string | undefined,
): Side {
  switch (setting?.mode) {
    case 'origin':
      return 'origin';
    case 'frozen':
      return writes ? 'gateway' : 'origin';
    case 'split':
      return writes || inside ? 'worker' : 'origin';
    case 'worker':
      return 'worker';
    case undefined:
      // Nothing is known.  Reads go to the side that surely can answer.  A write goes where it cannot do harm: to the old
      // side if it had the writes when we last knew (its own switch refuses it if it has them no more), else nowhere.
      if (fallback === 'worker') return 'worker';
      return writes && last !== 'origin' ? 'gateway' : 'origin';
  }
}
