// Question → heatmap → explain → trace, with the mouse and without.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demo, open, PHONE, settled } from './world.mjs';

const heatmap = (page) => page.getByRole('application', { name: /Heatmap/ });

/** The place of the incident: the darkest part is below, so the upper edge of what is drawn is the slow one. */
async function dragOverTop(page) {
  const box = await heatmap(page).boundingBox();
  const left = box.x + 70;
  const right = box.x + box.width - 20;
  await page.mouse.move(left, box.y + 8);
  await page.mouse.down();
  await page.mouse.move((left + right) / 2, box.y + 40, { steps: 4 });
  await page.mouse.move(right, box.y + 70, { steps: 4 });
  await page.mouse.up();
}

for (const viewport of [undefined, PHONE]) {
  test(`a drag explains, a click opens a trace${viewport ? ', on a phone' : ''}`, async () => {
    const { url } = await demo();
    const page = await open(`${url}/query?from=now-20m`, { viewport });
    await heatmap(page).waitFor();
    await settled(page);
    await dragOverTop(page);
    await page.getByRole('region', { name: 'Explain' }).waitFor();
    assert.match(page.url(), /sel=/);
    await settled(page);
    const { paths } = await (await fetch(`${url}/api/v1/openapi.json`)).json();
    if (paths['/api/v1/explain'].post.requestBody) {
      // The best finding is open.
      await page.getByRole('button', { name: 'only these' }).click();
      await page.waitForURL((to) => !to.search.includes('sel=') && to.search.includes('%22w%22'));
      await page.goBack();
      assert.match(page.url(), /sel=/);
      assert.deepEqual(page.wrong, []);
    }
    await page.getByRole('button', { name: 'slowest traces in it' }).click();
    await page.getByRole('region', { name: 'Slowest matching spans' }).getByRole('link').first().click();
    await page.waitForURL(/\/trace\/[0-9a-f]{32}\?.*span=[0-9a-f]{16}/);
    await page.goBack();
    await settled(page);
    await page.getByRole('button', { name: 'Close explain' }).click();
    // The middle of the densest rows has events whatever the seed.
    await heatmap(page).focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Shift+ArrowUp');
    assert.match(page.url(), /sel=/);
    await page.context().close();
  });
}

test('a cell opens the slowest trace in it', async () => {
  const { url } = await demo();
  const page = await open(`${url}/query?from=now-20m`);
  await heatmap(page).waitFor();
  await settled(page);
  // The fullest cell, as the table beneath says.
  await page.getByText('as a table').first().click();
  const most = await page.getByRole('region', { name: 'Heatmap as a table' }).evaluate((region) => {
    const rows = [...region.querySelectorAll('tbody tr')].map((row) => [...row.querySelectorAll('td')].map((cell) => Number(cell.textContent || 0)));
    let best = { row: 0, column: 0, value: -1 };
    rows.forEach((cells, row) => cells.forEach((value, column) => value > best.value && (best = { row, column, value })));
    return { ...best, rows: rows.length };
  });
  assert.ok(most.value > 0);
  const canvas = await heatmap(page).boundingBox();
  const times = await page.getByRole('region', { name: 'Heatmap as a table' }).locator('thead th').count();
  assert.ok(times > 10);
  const y = canvas.y + 6 + ((most.row + 0.5) / most.rows) * (canvas.height - 26);
  await page.mouse.move(canvas.x + canvas.width * 0.6, y);
  await page.mouse.click(canvas.x + canvas.width * 0.6, y);
  await page.waitForURL(/\/trace\/[0-9a-f]{32}/);
  await page.goBack();
  await page.waitForURL(/\/query/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a question is typed with completion from what exists, and Back undoes it', async () => {
  const { url } = await demo();
  const page = await open(`${url}/query?from=now-20m`);
  await settled(page);
  await page.keyboard.press('w');
  await page.keyboard.type('http.rou');
  await page.getByRole('option', { name: 'http.route' }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('option', { name: '=', exact: true }).waitFor();
  await page.keyboard.type('= ');
  const value = page.getByRole('option', { name: /checkout/ });
  await value.waitFor();
  await value.click();
  await page.waitForURL(/checkout/);
  await page.getByRole('button', { name: 'http.route = /api/checkout', exact: true }).waitFor();
  await settled(page);
  await page.keyboard.press('Escape');
  await page.goBack();
  await page.getByRole('button', { name: 'Remove http.route = /api/checkout' }).waitFor({ state: 'detached' });
  // A name that does not exist: the server says where and what was meant, and one press takes it.
  await page.goto(`${url}/query?from=now-20m&q=${encodeURIComponent('{"c":["P99(durtion_ms)"]}')}`, { waitUntil: 'domcontentloaded' });
  await page.getByRole('alert').getByRole('button', { name: 'duration_ms' }).click();
  await page.getByRole('button', { name: 'P99(duration_ms)', exact: true }).first().waitFor();
  await settled(page);
  await page.context().close();
});

test('groups: order, only this, its rows, dry run, a link to the answer', async () => {
  const { url } = await demo();
  const page = await open(`${url}/query?from=now-20m`);
  await settled(page);
  await page.getByRole('region', { name: 'Groups' }).getByRole('button', { name: /What next with gateway/ }).click();
  await page.getByRole('button', { name: 'only this' }).click();
  await page.getByRole('button', { name: 'service.name = gateway', exact: true }).waitFor();
  await page.getByRole('button', { name: 'dry run' }).click();
  await page.getByText(/would scan .* rows/).waitFor();
  await page.getByRole('tab', { name: 'events' }).click();
  // The newest event may be a point of a metric, which has no trace.
  await page.getByRole('region', { name: 'Events' }).locator('tbody tr', { has: page.getByRole('link') }).first().getByRole('button').click();
  const drawer = page.getByRole('complementary').filter({ hasText: 'Open its trace' });
  await drawer.getByPlaceholder('find a field or a value').fill('k8s.pod');
  await drawer.getByText('k8s.pod.name').first().waitFor();
  await drawer.getByRole('button', { name: 'Group by k8s.pod.name' }).click();
  await page.getByRole('button', { name: 'k8s.pod.name', exact: true }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the keyboard reaches everything: commands, help, pages', async () => {
  const { url } = await demo();
  const page = await open(`${url}/settings`);
  await settled(page);
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('go to logs');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/logs/);
  await settled(page);
  await page.keyboard.press('g');
  await page.keyboard.press('u');
  await page.waitForURL(/\/usage/);
  await page.keyboard.press('t');
  await page.keyboard.type('last 20 minutes');
  await page.keyboard.press('Enter');
  await page.waitForURL(/from=now-20m/);
  await page.context().close();
});
