// One line for each request, so that the watch sees what users see.  Lines are gathered and written after the answers:
// writing them never delays a request and never fails one.  What could not be written is counted, and the next line that
// can be written tells how many are missing before it.
import type { Environment } from './environment';

export interface Line {
  at: number; // milliseconds since 1970
  route: string;
  side: string;
  method: string;
  status: number;
  ms: number;
  bucket: number | null;
  revision: number;
}

const INSERT = `INSERT INTO _towpath_requests (at, route, side, method, status, ms, bucket, revision, lost)
  SELECT value ->> 'at', value ->> 'route', value ->> 'side', value ->> 'method', value ->> 'status', value ->> 'ms',
    value ->> 'bucket', value ->> 'revision', iif(key = 0, ?2, 0) FROM json_each(?1)`;
const GATHER = 200; // milliseconds
const MOST = 2000; // lines that wait at once
const GIVEN_UP = 10_000; // milliseconds after which whoever gathers is taken for gone

let waiting: Line[] = [];
let lost = 0;
let gathering = 0; // since when somebody gathers; 0: nobody

export function note(environment: Environment, context: ExecutionContext, line: Line): void {
  try {
    environment.ANALYTICS?.writeDataPoint({
      indexes: [line.route],
      blobs: [line.route, line.side, line.method],
      doubles: [line.status, line.ms, line.bucket ?? -1, line.revision],
    });
  } catch (error) {
    console.warn(`no data point: ${String(error)}`);
  }
  if (waiting.length < MOST) waiting.push(line);
  else lost += 1;
  if (gathering === 0 || line.at - gathering > GIVEN_UP) {
    gathering = line.at;
    context.waitUntil(write(environment));
  }
}

async function write(environment: Environment): Promise<void> {
  await scheduler.wait(GATHER);
  const [lines, missing] = [waiting, lost];
  [waiting, lost, gathering] = [[], 0, 0];
  try {
    await environment.REQUESTS.prepare(INSERT).bind(JSON.stringify(lines), missing).run();
  } catch (error) {
    lost += lines.length + missing;
    console.warn(`${lines.length} request lines are lost: ${String(error)}`);
  }
}
