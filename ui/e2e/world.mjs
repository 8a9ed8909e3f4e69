// Servers and a browser for the tests. Nothing waits for luck: servers say when they listen, pages when they have answered.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { front } from './front.mjs';

const BINARY = process.env.SKEIN_BINARY;
if (!BINARY) throw new Error('SKEIN_BINARY names the built server; ui/e2e/run sets it');

const folders = [];
const processes = [];
const fronts = [];

/** The address of the pages of a server: its own, or with SKEIN_PAGES those of ui/dist before it. */
async function pagesOf(url) {
  if (!process.env.SKEIN_PAGES) return url;
  const one = await front(url);
  fronts.push(one);
  return one.url;
}

/** Starts a server; resolves when `until` was said on stderr, or with the ready line. */
async function start(command, more, until) {
  const data = mkdtempSync(join(tmpdir(), 'skein-ui-'));
  folders.push(data);
  const free = ['--http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0'];
  const child = spawn(BINARY, [command, '--data', data, ...free, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
  processes.push(child);
  let [out, err] = ['', ''];
  const ready = await new Promise((done, failed) => {
    const look = () => {
      const line = out.split('\n').find((one) => one.includes('"ready"'));
      if (line && (!until || err.includes(until))) done(JSON.parse(line));
    };
    child.stdout.on('data', (text) => ((out += text), look()));
    child.stderr.on('data', (text) => ((err += text), look()));
    child.on('exit', (code) => failed(new Error(`skein ${command} ended with ${code}: ${err}`)));
  });
  const server = `http://${ready.http}`;
  return { url: await pagesOf(server), server, child, said: () => out.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)) };
}

let demoServer;
/** A server with the demo's data: a quarter of an hour and an incident in it. SKEIN_UI_URL names one that runs already. */
export const demo = () => (demoServer ??= process.env.SKEIN_UI_URL ? Promise.resolve({ url: process.env.SKEIN_UI_URL, server: process.env.SKEIN_UI_URL }) : start('demo', ['--incident', '7', '--minutes', '15', '--rate', '6'], 'Three questions'));

/** A server with the incident of a seed, and the truth about it: `service` and `operation`. */
export async function incident(seed) {
  const started = await start('demo', ['--incident', String(seed), '--reveal', '--minutes', '15', '--rate', '6'], 'Three questions');
  return { ...started, truth: started.said().find(({ event }) => event === 'incident') };
}

/** A server that holds nothing. */
export const empty = () => start('serve', []);

let browserStarted;
const browser = () =>
  (browserStarted ??= chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  }));

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** A page that collects what went wrong in it. */
export async function open(url, { viewport = DESKTOP, theme = 'light' } = {}) {
  const context = await (await browser()).newContext({ viewport, colorScheme: theme, hasTouch: viewport.width < 600, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.wrong = [];
  page.on('pageerror', (error) => page.wrong.push(`error: ${error.message}`));
  page.on('console', (message) => message.type() === 'error' && page.wrong.push(`console: ${message.text()}`));
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  return page;
}

/** Until nothing on the page says that it is still asking. */
export async function settled(page) {
  await page.locator('#main :is(h1, h2, table, canvas, [role=status])').first().waitFor({ state: 'attached' });
  await page.waitForFunction(() => !/asking…|comparing every column|looking…/.test(document.getElementById('main')?.textContent ?? '') && !document.querySelector('#main .old, #main [aria-busy=true]'), undefined, { polling: 100 });
}

export async function close() {
  if (browserStarted) await (await browserStarted).close();
  for (const one of fronts) one.close();
  await Promise.all(
    processes.map(
      (child) =>
        new Promise((done) => {
          if (child.exitCode !== null || child.signalCode !== null) return done();
          child.removeAllListeners('exit');
          child.on('exit', done);
          child.kill('SIGTERM');
        }),
    ),
  );
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
