// The first five minutes: an empty server, the first event, a rejection, the demo.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { empty, open } from './world.mjs';

const hex = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

test('from an empty server to the first event, a rejection, and the demo', async () => {
  const { url } = await empty();
  const page = await open(url);
  await page.getByRole('heading', { name: /Nothing has been stored yet/ }).waitFor();
  await page.getByRole('heading', { name: 'Waiting for the first event' }).waitFor();
  await page.getByRole('button', { name: 'Collector' }).click();
  assert.ok((await page.getByRole('region', { name: 'Collector: In its configuration' }).textContent()).includes(`endpoint: ${url}`));
  for (const language of ['Python', 'Node', 'Java', 'Go', 'Rust']) {
    await page.getByRole('button', { name: language, exact: true }).click();
    const set = await page.getByRole('region', { name: `${language}: Set` }).textContent();
    assert.ok(set.includes(`OTEL_EXPORTER_OTLP_ENDPOINT=${url}`), language);
  }
  // What an exporter that was pointed at that address does.
  const now = BigInt(Date.now()) * 1_000_000n;
  const span = { traceId: hex(16), spanId: hex(8), name: 'hello', kind: 2, startTimeUnixNano: `${now}`, endTimeUnixNano: `${now + 42_000_000n}` };
  const body = { resourceSpans: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'first-service' } }] }, scopeSpans: [{ spans: [span] }] }] };
  const send = (text) => fetch(`${url}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
  assert.equal((await send(JSON.stringify(body))).status, 200);
  await page.goto(`${url}/setup`, { waitUntil: 'domcontentloaded' });
  await page.getByText('✓ 1 event', { exact: true }).waitFor();
  await page.getByText('first-service').first().waitFor();
  assert.equal((await send('{"resourceSpans": 5')).status, 400);
  await page.getByRole('region', { name: 'Rejections' }).getByText('malformed', { exact: true }).waitFor();

  await page.getByRole('button', { name: 'Load the demo' }).click();
  await page.waitForURL(/\/query\?.*env=demo/);
  await page.getByRole('application', { name: /Heatmap/ }).waitFor();
  // Apart from the user's own.
  const own = await (await fetch(`${url}/api/v1/datasets`)).json();
  assert.deepEqual(own.map((dataset) => dataset.name), ['first-service']);
  await page.context().close();
});
