// Measures the trace page: sends a trace of so many spans to a running server, opens it in Chromium, scrolls, and tells how
// long it took to open, what the main thread did per frame, its longest task, and the memory it holds.
//
//   SKEIN_URL=http://127.0.0.1:8080 node bench/trace.mjs [--spans 1000000] [--page http://127.0.0.1:4173] [--json]
//
// The page is what the server serves, unless --page names another (vite preview). Exits 1 when a bound is broken.

import { chromium } from 'playwright-core';

const option = (name, otherwise) => (process.argv.includes(`--${name}`) ? process.argv[process.argv.indexOf(`--${name}`) + 1] : otherwise);
const server = process.env.SKEIN_URL ?? 'http://127.0.0.1:8080';
const site = option('page', server);
const wanted = Number(option('spans', '1000000'));
const BOUNDS = { frame_ms_p95: 8, task_ms_max: 50, heap_mb: 400 };

/** The same numbers on every run. */
let state = 0x2545f491;
const random = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};

const traceId = `${wanted.toString(16).padStart(16, '0')}${Date.now().toString(16).padStart(16, '0')}`;
const start = (BigInt(Date.now()) - 600_000n) * 1_000_000n;
const spanId = (number) => number.toString(16).padStart(16, '0');
const NAMES = ['SELECT items', 'SELECT prices', 'GET cache', 'UPDATE stock', 'render row'];

/** Spans in a tree: a job, its batches, their requests, and of each request many short calls. */
function* spans(count) {
  let sent = 0;
  const length = 500_000_000_000;
  const span = (id, parent, name, from, duration, failed) => ({
    traceId, spanId: spanId(id), ...(parent ? { parentSpanId: spanId(parent) } : {}), name, kind: 1,
    startTimeUnixNano: String(start + BigInt(Math.round(from))), endTimeUnixNano: String(start + BigInt(Math.round(from + duration))),
    attributes: [{ key: 'job.step', value: { intValue: String(id % 97) } }],
    ...(failed ? { status: { code: 2, message: 'no' } } : {}),
  });
  yield [0, span(1, 0, 'nightly job', 0, length, false)];
  sent = 1;
  const requests = Math.ceil((count - 1) / 100);
  for (let request = 0; sent < count; request += 1) {
    const from = (request / requests) * length * 0.98;
    const wide = (length / requests) * (0.4 + random() * 6);
    const id = sent + 1;
    yield [1, span(id, 1, `POST /batch/{id}`, from, wide, random() < 0.01)];
    sent += 1;
    for (let call = 0; call < 99 && sent < count; call += 1) {
      yield [2 + (call % 3), span(sent + 1, id, NAMES[Math.floor(random() * NAMES.length)], from + (wide * call) / 99, (wide / 99) * random(), random() < 0.002)];
      sent += 1;
    }
  }
}

async function send() {
  const SERVICES = ['worker', 'gateway', 'db', 'cache', 'stock'];
  let lists = SERVICES.map(() => []);
  let held = 0;
  const flush = async () => {
    const resourceSpans = lists.flatMap((list, service) => (list.length ? [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: SERVICES[service] } }] }, scopeSpans: [{ spans: list }] }] : []));
    for (let attempt = 0; ; attempt += 1) {
      const response = await fetch(`${server}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ resourceSpans }) });
      if (response.ok) break;
      if (attempt > 100 || ![429, 503].includes(response.status)) throw new Error(`${response.status}: ${await response.text()}`);
      await new Promise((done) => setTimeout(done, 200));
    }
    lists = SERVICES.map(() => []);
    held = 0;
  };
  for (const [service, span] of spans(wanted)) {
    lists[service].push(span);
    held += 1;
    if (held === 20_000) await flush();
  }
  await flush();
}

const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

/** Durations of tasks of the page's main thread, and their sums per frame, in milliseconds. */
function read(trace) {
  const events = trace.traceEvents;
  const main = events.find((event) => event.name === 'thread_name' && event.args.name === 'CrRendererMain' && events.some((other) => other.pid === event.pid && other.name === 'FireAnimationFrame'));
  if (!main) throw new Error('the trace has no main thread that drew');
  const here = events.filter((event) => event.pid === main.pid && event.tid === main.tid);
  const tasks = here.filter((event) => event.ph === 'X' && event.name === 'RunTask').sort((a, b) => a.ts - b.ts);
  const frames = here.filter((event) => event.name === 'FireAnimationFrame').map((event) => event.ts).sort((a, b) => a - b);
  const sums = new Array(Math.max(0, frames.length - 1)).fill(0);
  let frame = 0;
  for (const task of tasks) {
    while (frame < sums.length && frames[frame + 1] <= task.ts) frame += 1;
    if (frame < sums.length && task.ts + task.dur >= frames[0]) sums[frame] += (task.tdur ?? task.dur) / 1000;
  }
  return { frames: sums, tasks: tasks.map((task) => (task.tdur ?? task.dur) / 1000) };
}

const sending = Date.now();
await send();
const sent_ms = Date.now() - sending;
const asking = Date.now();
const answer = await fetch(`${server}/api/v1/traces/${traceId}/analysis`, { headers: { accept: 'application/vnd.skein.columns' } });
if (!answer.ok) throw new Error(await answer.text());
const bytes = (await answer.arrayBuffer()).byteLength;
const answer_ms = Date.now() - asking;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
const categories = ['devtools.timeline', 'disabled-by-default-devtools.timeline'];
const opening = Date.now();
await browser.startTracing(page, { categories });
await page.goto(`${site}/trace/${traceId}?fold=0`, { waitUntil: 'commit' });
await page.waitForSelector('[role=treegrid] [aria-selected=true]', { state: 'attached', timeout: 120_000 });
const open_ms = Date.now() - opening;
await page.waitForTimeout(1500);
const opened = read(JSON.parse((await browser.stopTracing()).toString()));

await browser.startTracing(page, { categories });
await page.mouse.move(900, 500);
const box = await page.locator('.waterfall').boundingBox();
for (let turn = 0; turn < 400; turn += 1) await page.mouse.wheel(0, turn % 100 < 50 ? 240 : 2400);
// The scroll bar: through the whole list and back.
for (let turn = 0; turn <= 60; turn += 1) {
  await page.evaluate((share) => {
    const bar = document.querySelector('.waterfall .bar');
    bar.scrollTop = share * bar.scrollHeight;
  }, Math.abs(30 - turn) / 30);
  await page.waitForTimeout(16);
}
await page.mouse.move(box.x + box.width * 0.7, box.y + 200);
for (let turn = 0; turn < 60; turn += 1) await page.keyboard.press(['w', 'd', 'd', 's', 'j', 'j'][turn % 6]);
const scrolled = read(JSON.parse((await browser.stopTracing()).toString()));

const session = await page.context().newCDPSession(page);
await session.send('HeapProfiler.collectGarbage');
const heap = await session.send('Runtime.getHeapUsage');
if (option('shot', '')) await page.screenshot({ path: option('shot', '') });
await browser.close();

const round = (value) => Math.round(value * 10) / 10;
const result = {
  spans: wanted, sent_ms, answer_ms, answer_mb: round(bytes / 1e6), open_ms,
  open_task_ms_max: round(Math.max(...opened.tasks)),
  frames: scrolled.frames.length,
  frame_ms_p50: round(percentile(scrolled.frames, 0.5)), frame_ms_p95: round(percentile(scrolled.frames, 0.95)),
  task_ms_max: round(Math.max(...scrolled.tasks, ...opened.tasks)),
  heap_mb: round((heap.usedSize + (heap.backingStorageSize ?? 0) + (heap.embedderHeapUsedSize ?? 0)) / 1e6),
};
console.log(JSON.stringify(result, null, process.argv.includes('--json') ? 0 : 2));
const broken = Object.entries(BOUNDS).filter(([name, bound]) => result[name] > bound);
for (const [name, bound] of broken) console.error(`${name} is ${result[name]}, more than ${bound}`);
process.exitCode = broken.length ? 1 : 0;
