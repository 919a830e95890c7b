// Cloudflare's own runtime on this machine: D1, R2 with its S3 route, KV, and the REST mirror of the real API; and the
// system's own Worker with its queues, and the gateway before it on a port of its own, where it has them.
//
// Started by runtime.py with the real node binary.  Everything it must know is in the environment variable
// TOWPATH_RUNTIME (JSON); credentials are read from the files named there, so that no process list shows them.
// When it answers it writes `ready` (a file).  It lives as long as its stdin ("stdin") or until SIGTERM ("signal").
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

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

const bucket = (id) => ({
  id,
  s3Credentials: { accessKeyId: secret(want.accessKey), secretAccessKey: secret(want.secretKey) },
});

const nobody = () => ({
  name: 'towpath',
  modules: true,
  script: 'export default { fetch() { return new Response("Towpath local runtime\\n") } }',
  compatibilityDate: want.compatibility,
  d1Databases: { DB: want.database },
  kvNamespaces: { KV: want.namespace },
  r2Buckets: Object.fromEntries(want.buckets.map((id, at) => [`R2_${at}`, bucket(id)])),
});

// The Worker takes the first place, which is the one that is served: its addresses are answered by it, the mirror's by
// the mirror.  It is bound to the same database, namespace and bucket.
const application = (worker) => ({
  name: worker.name,
  modules: [{ type: 'ESModule', path: worker.script }],
  modulesRoot: dirname(worker.script),
  compatibilityDate: worker.compatibility,
  bindings: {
    ...worker.variables,
    ...Object.fromEntries(worker.secrets.map((name) => [name, secret(join(want.secrets, name))])),
    ENQUEUE_TOKEN: secret(want.token),
  },
  d1Databases: { [worker.database || 'DB']: want.database },
  kvNamespaces: { [worker.namespace || 'KV']: want.namespace },
  r2Buckets: { [worker.bucket || 'R2']: bucket(want.buckets[0]) },
  queueProducers: Object.fromEntries(Object.entries(worker.producers).map(([name, queueName]) => [name, { queueName }])),
  queueConsumers: worker.consumers,
});

// A Worker of our own beside it, so that the self-test can prove the queues without touching the application's.
const prover = () => ({
  name: 'towpath-selftest',
  modules: true,
  script: readFileSync(want.prover, 'utf8'),
  compatibilityDate: want.compatibility,
  routes: [`*/cdn-cgi/towpath/selftest`],
  d1Databases: { DB: 'towpath-selftest' },
  queueProducers: { QUEUE: { queueName: 'towpath-selftest' } },
  queueConsumers: {
    'towpath-selftest': { maxBatchTimeout: 0, maxRetries: 1, deadLetterQueue: 'towpath-selftest-dead' },
    'towpath-selftest-dead': { maxBatchTimeout: 0 },
  },
});

// The gateway answers on a port of its own and nothing else does there, so that the application's paths are all its own.
const before = (gateway) => ({
  name: gateway.name,
  modules: [{ type: 'ESModule', path: gateway.script }],
  modulesRoot: dirname(gateway.script),
  compatibilityDate: gateway.compatibility,
  bindings: gateway.variables,
  kvNamespaces: { TRAFFIC: gateway.namespace },
  d1Databases: { REQUESTS: gateway.requests },
  serviceBindings: { APP: gateway.stumbling ? STUMBLING : gateway.worker },
  unsafeDirectSockets: [{ host: '127.0.0.1', port: gateway.port }],
});

// A fake, see stumbling.mjs.
const STUMBLING = 'towpath-stumbling';
const stumbling = (gateway) => ({
  name: STUMBLING,
  modules: true,
  script: readFileSync(gateway.stumbling, 'utf8'),
  compatibilityDate: want.compatibility,
  kvNamespaces: { TRAFFIC: gateway.namespace },
  serviceBindings: { APP: gateway.worker },
});

try {
  const workers = want.worker ? [application(want.worker), prover()] : [nobody()];
  if (want.gateway) workers.push(before(want.gateway));
  if (want.gateway?.stumbling) workers.push(stumbling(want.gateway));
  runtime = new Miniflare(convertV4MiniflareOptions({
    host: '127.0.0.1',
    port: want.port,
    cf: false, // no request to the outside at start
    log: new Log(LogLevel.WARN),
    logRequests: false,
    unsafeLocalExplorer: true, // the REST mirror
    resourcePersistencePath: want.state,
    workers,
  }));
  const url = await runtime.ready;
  const versions = { node: process.versions.node, miniflare: require('miniflare/package.json').version, workerd: require('workerd/package.json').version };
  const gateway = want.gateway ? Number((await runtime.unsafeGetDirectURL(want.gateway.name)).port) : 0;
  writeFileSync(`${want.ready}.new`, JSON.stringify({ pid: process.pid, port: Number(url.port), gateway, versions }));
  renameSync(`${want.ready}.new`, want.ready);
} catch (error) {
  console.error(error?.stack ?? String(error));
  leave(1);
}
