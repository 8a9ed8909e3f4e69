// Every page: it answers, nothing goes wrong in it, axe finds nothing, and nothing is wider than a phone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { close, demo, DESKTOP, open, PHONE, settled } from './world.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
after(close);

export const PATHS = ['/', '/query', '/query?view=raw', '/query?text=', '/query?text=stats%20count(*)%20by%20service.name%2C%20bin(1m)', '/traces', '/logs', '/services', '/map', '/boards', '/usage', '/rejections', '/setup', '/settings'];

/** What is wrong, as text; empty when nothing is. */
async function check(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  const told = violations.map((one) => `${one.id}: ${one.help}\n${one.nodes.slice(0, 3).map((node) => `    ${node.html.slice(0, 200)} ${node.failureSummary?.split('\n')[1] ?? ''}`).join('\n')}`);
  return told.map((one) => `${what}: ${one}`);
}

for (const [name, viewport, theme] of [['desktop, light', DESKTOP, 'light'], ['phone, dark', PHONE, 'dark']]) {
  test(`every page is whole: ${name}`, async () => {
    const { url } = await demo();
    const page = await open(`${url}/settings`, { viewport, theme });
    const wrong = [];
    for (const path of PATHS) {
      await page.goto(url + path, { waitUntil: 'domcontentloaded' });
      await settled(page);
      wrong.push(...(await check(page, path)));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) wrong.push(`${path} is ${wide} pixels wider than the window`);
    }
    // The theme that the system does not have, by choice: colours of the other ground.
    await page.goto(`${url}/settings`, { waitUntil: 'domcontentloaded' });
    await page.getByRole('button', { name: theme === 'light' ? 'dark' : 'light', exact: true }).click();
    wrong.push(...(await check(page, '/settings, other theme')));
    await page.goto(`${url}/query`, { waitUntil: 'domcontentloaded' });
    await settled(page);
    wrong.push(...(await check(page, '/query, other theme')), ...page.wrong);
    assert.equal(wrong.length, 0, `${name}:\n${wrong.join('\n')}`);
    await page.context().close();
  });
}

test('files come compressed, and are kept where their name has their digest', async () => {
  const { server: url } = await demo();
  const page = await fetch(url, { headers: { 'accept-encoding': 'br' } });
  assert.equal(page.headers.get('content-encoding'), 'br');
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/);
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1];
  assert.ok(script, 'the page names its script');
  const asset = await fetch(url + script, { headers: { 'accept-encoding': 'identity' } });
  assert.match(asset.headers.get('cache-control') ?? '', /immutable/);
  assert.equal(asset.headers.get('content-encoding'), null);
  assert.ok((await asset.text()).length > 1000);
  const again = await fetch(url, { headers: { 'accept-encoding': 'br', 'if-none-match': page.headers.get('etag') ?? '' } });
  assert.equal(again.status, 304);
});
