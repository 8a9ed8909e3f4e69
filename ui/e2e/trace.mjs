// The trace page: a trace with everything that goes wrong in traces, by mouse, keyboard and touch, and for axe.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { demo, open, PHONE } from './world.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MS = 1_000_000n;
const text = (key, value) => ({ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } });
const random = () => Array.from({ length: 16 }, () => '0123456789abcdef'[Math.floor(Math.random() * 16)]).join('');

/** Sends a trace: retries, a loop, an exception, a link, a log record, a clock that is behind, a parent that is missing, a
    span that comes twice, and two that are each other's parents. */
async function send(url) {
  const traceId = random() + random();
  const other = random() + random();
  const start = (BigInt(Date.now()) - 60_000n) * MS;
  const id = (number) => number.toString(16).padStart(16, '0');
  const span = (number, parent, name, from, ms, more = {}) => ({
    traceId, spanId: id(number), ...(parent ? { parentSpanId: id(parent) } : {}), name, kind: 1,
    startTimeUnixNano: String(start + BigInt(from) * MS), endTimeUnixNano: String(start + BigInt(from + ms) * MS), ...more,
  });
  const failed = { status: { code: 2, message: 'no' } };
  const exception = [{ name: 'exception', timeUnixNano: String(start + 130n * MS), attributes: [text('exception.type', 'CardDeclined'), text('exception.message', 'the bank said no'), text('exception.stacktrace', 'at pay (pay.js:7)')] }];
  const services = {
    web: [
      span(1, 0, 'GET /checkout', 0, 1000, { attributes: [text('user.id', 'u-7')] }),
      span(2, 1, 'call stock', 20, 60, { kind: 3 }),
      ...[0, 1, 2].map((turn) => span(10 + turn, 1, 'POST /charge', 100 + turn * 100, 80, turn < 2 ? failed : { links: [{ traceId: other, spanId: id(99) }] })),
      ...Array.from({ length: 12 }, (_, turn) => span(30 + turn, 1, `SELECT item ${turn}`, 450 + turn * 20, 12)),
      span(50, 1, 'twice', 900, 30), span(50, 1, 'twice', 900, 30),
      span(60, 61, 'round', 930, 5), span(61, 60, 'about', 931, 5),
      span(70, 77, 'orphan', 940, 20),
    ],
    // Forty milliseconds behind: recorded before it was called.
    stock: [span(3, 2, 'reserve', -10, 40, { kind: 2 })],
    bank: [span(20, 10, 'charge', 110, 60, { ...failed, events: exception })],
  };
  const resource = (name) => ({ attributes: [text('service.name', name)] });
  const post = async (path, body) => {
    const response = await fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    assert.equal(response.status, 200, await response.text());
  };
  await post('/v1/traces', { resourceSpans: Object.entries(services).map(([name, spans]) => ({ resource: resource(name), scopeSpans: [{ spans }] })) });
  const record = { traceId, spanId: id(20), timeUnixNano: String(start + 140n * MS), severityNumber: 17, severityText: 'ERROR', body: { stringValue: 'giving up on card 4711' } };
  await post('/v1/logs', { resourceLogs: [{ resource: resource('bank'), scopeLogs: [{ logRecords: [record] }] }] });
  return { traceId, id };
}

const chosen = (page) => page.locator('[role=treegrid] [aria-selected=true]');
const opened = async (page) => chosen(page).waitFor({ state: 'attached' });

for (const [viewport, theme] of [[undefined, 'light'], [PHONE, 'dark']]) {
  test(`a trace shows what is wrong with it${viewport ? ', on a phone' : ''}`, async () => {
    const { url } = await demo();
    const { traceId, id } = await send(url);
    const page = await open(`${url}/trace/${traceId}`, { viewport, theme });
    await opened(page);
    await page.getByRole('heading', { name: 'GET /checkout' }).waitFor();
    for (const told of ['missing: 1 parent', '1 duplicate', '1 circle cut', /clock of stock \+/]) await page.getByRole('button', { name: told }).waitFor();
    const lines = page.locator('[role=treegrid] [role=row]');
    const said = async () => (await lines.allTextContents()).join('\n');
    // Whoever does not see the canvas has the same lines, as soon as they are drawn.
    await lines.filter({ hasText: 'reserve' }).waitFor({ state: 'attached' });
    assert.match(await said(), /12 × SELECT item #, repeated/);
    assert.match(await said(), /reserve, on the critical path, clock corrected|reserve, clock corrected/);

    // An exception, its span and its log record, by way of the button for errors.
    await page.getByRole('button', { name: /errors?$/ }).click();
    await page.getByRole('button', { name: /errors?$/ }).click();
    const details = page.getByRole('complementary', { name: 'Span' });
    await page.locator('[role=treegrid]').focus();
    for (let step = 0; step < 30 && !(await chosen(page).textContent()).includes('exception'); step += 1) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await details.getByRole('heading', { name: 'CardDeclined' }).waitFor();
    await details.getByText('the bank said no').first().waitFor();
    await details.getByText('giving up on card 4711').first().waitFor();
    await page.waitForURL((to) => to.searchParams.get('span') === id(20));

    // As the pages' policy allows: no script of the document's own.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ include: [['#main'], ['aside']] }, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
    assert.deepEqual(violations.map(({ id: rule, nodes }) => [rule, nodes.map(({ html }) => html.slice(0, 160))]), []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  });
}

test('the keyboard reaches every span, folds, finds and follows links', async () => {
  const { url } = await demo();
  const { traceId, id } = await send(url);
  const page = await open(`${url}/trace/${traceId}?span=${id(12)}`);
  await opened(page);
  const line = async () => (await chosen(page).textContent()).replace(/\s+/g, ' ');
  const becomes = (part) => page.waitForFunction((wanted) => document.querySelector('[role=treegrid] [aria-selected=true]')?.textContent?.includes(wanted), part);
  await becomes('POST /charge');
  await page.getByRole('complementary', { name: 'Span' }).getByRole('link', { name: /of trace/ }).waitFor();
  await page.getByRole('button', { name: 'Close details' }).click();

  await page.locator('[role=treegrid]').focus();
  await page.keyboard.press('Home');
  await becomes('GET /checkout');
  await page.keyboard.press('j');
  await becomes('call stock');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await chosen(page).getAttribute('aria-expanded'), 'false');
  await page.keyboard.press('ArrowRight');
  assert.equal(await chosen(page).getAttribute('aria-expanded'), 'true');
  await page.keyboard.press('ArrowRight');
  await becomes('reserve');
  await page.keyboard.press('ArrowLeft');
  await becomes('call stock');

  // A word is found at once, and opens what hides it.
  await page.keyboard.press('/');
  await page.keyboard.type('select item 7');
  await page.getByText('1 span', { exact: true }).waitFor();
  await page.keyboard.press('Enter');
  await becomes('SELECT item 7');
  // A field is asked of the server.
  await page.getByPlaceholder(/find/).fill('user.id = u-7');
  await page.getByText('1 span', { exact: true }).waitFor();
  await page.keyboard.press('Enter');
  await becomes('GET /checkout');
  await page.keyboard.press('Escape');

  // Zoom, and back.
  await page.locator('[role=treegrid]').focus();
  const whole = page.getByRole('button', { name: 'Whole trace' });
  assert.equal(await whole.isDisabled(), true);
  await page.keyboard.press('w');
  await page.keyboard.press('d');
  assert.equal(await whole.isDisabled(), false);
  await page.keyboard.press('f');
  assert.equal(await whole.isDisabled(), true);
  // Log records in place; the address says so, and a reload shows the same.
  await page.keyboard.press('l');
  await page.waitForURL(/logs=1/);
  // The choice follows when it has come to rest.
  await page.waitForURL((address) => address.searchParams.get('span') === id(1));
  await page.reload({ waitUntil: 'domcontentloaded' });
  await opened(page);
  await page.locator('[role=treegrid]').getByText('giving up on card 4711').waitFor({ state: 'attached' });
  assert.match(await line(), /GET \/checkout/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a trace that is not there says so', async () => {
  const { url } = await demo();
  const page = await open(`${url}/trace/${'0'.repeat(31)}1`);
  await page.getByText('No trace has this id').waitFor();
  await page.getByText(/complete to/).waitFor();
  await page.context().close();
});
