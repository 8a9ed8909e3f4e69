// The pages of ui/dist before a running server, for who changes pages only: nothing is compiled. Tests do the same with
// SKEIN_PAGES=1 (world.mjs); what is served has the headers that matter to a page, and those of caches only there.
// usage: node e2e/front.mjs SERVER [PORT]
import { createReadStream, existsSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SITE = fileURLToPath(new URL('../dist/site', import.meta.url));
const TYPES = { js: 'text/javascript', css: 'text/css', html: 'text/html', svg: 'image/svg+xml', json: 'application/json' };

/** Starts the front; resolves with its address. */
export async function front(server, port = 0) {
  const to = new URL(server);
  // What the server's own pages may do, these may.
  const policy = (await fetch(server)).headers.get('content-security-policy') ?? "default-src 'self'";
  const handler = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, server);
    if (/^\/(api|v1|healthz|readyz|metrics)(\/|$)/.test(pathname)) {
      const headers = { ...request.headers, host: to.host };
      // The server refuses what another origin asks, so the front asks as itself.
      delete headers.origin;
      const onward = http.request({ host: to.hostname, port: to.port, path: request.url, method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
      return;
    }
    const file = existsSync(`${join(SITE, pathname)}.br`) && pathname !== '/' ? pathname : '/index.html';
    response.writeHead(200, { 'content-type': TYPES[file.split('.').pop()] ?? 'application/octet-stream', 'content-encoding': 'br', 'cache-control': 'no-cache', 'content-security-policy': policy });
    createReadStream(`${join(SITE, file)}.br`).pipe(response);
  });
  return new Promise((done) => handler.listen(port, '127.0.0.1', () => done({ url: `http://127.0.0.1:${handler.address().port}`, close: () => (handler.closeAllConnections(), handler.close()) })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await front(process.argv[2] ?? 'http://127.0.0.1:8080', Number(process.argv[3] ?? 0));
  process.stdout.write(`${url}\n`);
}
