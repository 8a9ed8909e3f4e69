// What can go wrong has a state of its own, which says what to do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demo, open, settled } from './world.mjs';

const refuse = (status, error) => (route) => route.fulfill({ status, contentType: 'application/json', body: JSON.stringify({ error }) });

test('unreachable, a bad key, a limit, nothing found, a page that is none', async () => {
  const { url, server } = await demo();
  const page = await open(`${url}/query?from=now-20m`);
  await settled(page);
  await page.getByRole('region', { name: 'Groups' }).getByText('gateway').first().waitFor();

  await page.route('**/api/v1/query', (route) => route.abort('connectionrefused'));
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const note = page.locator('.note');
  await page.locator('.note[data-code=unreachable]').waitFor();
  // The last answer stays on screen.
  assert.ok(await page.getByRole('region', { name: 'Groups' }).getByText('gateway').first().isVisible());
  // The server is back: the page notices by itself.
  await page.unroute('**/api/v1/query');
  await note.waitFor({ state: 'detached' });

  await page.route('**/api/v1/query', refuse(401, { code: 'unauthenticated', message: 'the key is not known' }));
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('textbox', { name: 'Key' }).waitFor();
  await page.unroute('**/api/v1/query');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await note.waitFor({ state: 'detached' });

  await page.route('**/api/v1/query', refuse(422, { code: 'limit_exceeded', message: 'the query needs more memory than 512 MiB', hint: 'ask for less' }));
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('more than the limits allow').waitFor();
  await page.unroute('**/api/v1/query');

  await page.goto(`${url}/query?from=2020-01-01T00:00:00Z&to=2020-01-01T01:00:00Z`, { waitUntil: 'domcontentloaded' });
  await page.getByRole('button', { name: 'Show the last of them' }).click();
  await page.getByRole('application', { name: /Heatmap/ }).waitFor();

  const answer = await page.goto(`${server}/nowhere`, { waitUntil: 'domcontentloaded' });
  assert.equal(answer.status(), 404);
  await page.context().close();
});
