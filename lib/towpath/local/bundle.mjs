// Bundles a Worker with esbuild: one module, as the runtime takes it.  Started by worker.py with the real node binary.
//
// argv: the project's package.json, the entry point, the file to write.  Errors go to stderr, one line each.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

const [packages, entry, outfile] = process.argv.slice(2);
const { buildSync } = createRequire(packages)('esbuild');
try {
  buildSync({
    absWorkingDir: dirname(entry), // so that no path of this machine gets into the bundle
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'silent',
  });
} catch (error) {
  const said = ({ location, text }) => (location ? `${location.file}:${location.line}: ${text}` : text);
  console.error((error.errors?.map(said) ?? [String(error)]).join('; '));
  process.exit(1);
}
