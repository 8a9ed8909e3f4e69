// How the UI is built: hashed files into dist/site, which crates/api embeds. `npm run dev` serves the source and
// hands what is not a page to a running server (SKEIN_URL).
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const server = process.env.SKEIN_URL ?? 'http://127.0.0.1:8080';
// The server refuses what another origin asks (DESIGN.md §8), so the proxy asks as itself.
const proxied = {
  target: server,
  changeOrigin: true,
  configure: (proxy: { on: (event: 'proxyReq', act: (request: { removeHeader: (name: string) => void }) => void) => void }) =>
    proxy.on('proxyReq', (request) => request.removeHeader('origin')),
};

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: 'dist/site',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    port: 5173,
    proxy: { '/api': proxied, '/v1': proxied, '/healthz': proxied, '/readyz': proxied, '/metrics': proxied },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
