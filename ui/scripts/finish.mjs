// After the build: precompresses every file, and fails when the first load is over its budget.
// First load: what index.html names, and what those files import before anything is shown.
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const FIRST_LOAD_BYTES_MAX = 250_000;
const COMPRESSIBLE = new Set(['.html', '.js', '.css', '.svg', '.json', '.map']);
const site = new URL('../dist/site', import.meta.url).pathname;

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else if (!path.endsWith('.br') && !path.endsWith('.gz')) yield path;
  }
}

const brotli = new Map();
for (const path of files(site)) {
  const bytes = readFileSync(path);
  if (!COMPRESSIBLE.has(extname(path))) continue;
  const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  const small = brotliCompressSync(bytes, options);
  writeFileSync(`${path}.br`, small);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  // The server unpacks the gzip for the few that take neither.
  rmSync(path);
  brotli.set('/' + relative(site, path), { small: small.length, text: bytes.toString() });
}

const seen = new Set();
const wanted = ['/index.html'];
while (wanted.length > 0) {
  const path = wanted.pop();
  const file = brotli.get(path);
  if (!file || seen.has(path)) continue;
  seen.add(path);
  const named = path.endsWith('.html')
    ? file.text.matchAll(/(?:src|href)="(\/[^"]+)"/g)
    : path.endsWith('.js')
      ? file.text.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)
      : [];
  for (const [, name] of named) wanted.push(name.startsWith('/') ? name : `/assets/${name}`);
}
const first = [...seen].reduce((sum, path) => sum + brotli.get(path).small, 0);
const all = [...brotli.values()].reduce((sum, file) => sum + file.small, 0);
console.log(`first load ${(first / 1000).toFixed(1)} kB of ${FIRST_LOAD_BYTES_MAX / 1000} kB, everything ${(all / 1000).toFixed(1)} kB (brotli)`);
if (first > FIRST_LOAD_BYTES_MAX) {
  console.error('the first load is over its budget: load what is not needed at once with import()');
  process.exit(1);
}
