// Cloudflare's own runtime on this machine: D1, R2 with its S3 route, KV, and the REST mirror of the real API.
//
// Started by runtime.py with the real node binary.  Everything it must know is in the environment variable
// TOWPATH_RUNTIME (JSON); credentials are read from the files named there, so that no process list shows them.
// When it answers it writes `ready` (a file).  It lives as long as its stdin ("stdin") or until SIGTERM ("signal").
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const want = JSON.parse(process.env.TOWPATH_RUNTIME);
const secret = (file) => readFileSync(file, 'utf8').trim();
let runtime;
let leaving;

function leave(code) {
  leaving ??= (async () => {
    try {
      await runtime?.dispose();
    } finally {
      process.exit(code);
    }
  })();
}

process.on('SIGTERM', () => leave(0));
if (want.life === 'stdin') {
  process.stdin.on('end', () => leave(0));
  process.stdin.on('error', () => leave(0));
  process.stdin.resume();
}

// The packages stand in the project's node_modules, wherever this file is installed.
const require = createRequire(want.packages);
const { Log, LogLevel, Miniflare, convertV4MiniflareOptions } = require('miniflare');

try {
  runtime = new Miniflare(convertV4MiniflareOptions({
    host: '127.0.0.1',
    port: want.port,
    cf: false, // no request to the outside at start
    log: new Log(LogLevel.WARN),
    logRequests: false,
    unsafeLocalExplorer: true, // the REST mirror
    resourcePersistencePath: want.state,
    workers: [{
      name: 'towpath',
      modules: true,
      script: 'export default { fetch() { return new Response("Towpath local runtime\\n") } }',
      compatibilityDate: want.compatibility,
      d1Databases: { DB: want.database },
      kvNamespaces: { KV: want.namespace },
      r2Buckets: Object.fromEntries(want.buckets.map((id, at) => [`R2_${at}`, {
        id,
        s3Credentials: { accessKeyId: secret(want.accessKey), secretAccessKey: secret(want.secretKey) },
      }])),
    }],
  }));
  const url = await runtime.ready;
  const versions = { node: process.versions.node, miniflare: require('miniflare/package.json').version, workerd: require('workerd/package.json').version };
  writeFileSync(`${want.ready}.new`, JSON.stringify({ pid: process.pid, port: Number(url.port), versions }));
  renameSync(`${want.ready}.new`, want.ready);
} catch (error) {
  console.error(error?.stack ?? String(error));
  leave(1);
}
