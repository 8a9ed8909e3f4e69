// Text mode: Logs Insights typed, completed, refused in place, answered, kept and shared.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demo, open, PHONE, settled } from './world.mjs';

/** A server that does not complete yet says so once; the page then offers columns. */
const wrongs = async (page, url) => {
  const { paths } = await (await fetch(`${url}/api/v1/openapi.json`)).json();
  return paths['/api/v1/complete']?.post.requestBody ? page.wrong : page.wrong.filter((one) => !one.includes('404'));
};
const editor = (page) => page.getByRole('textbox', { name: /Query in Logs Insights/ });

for (const viewport of [undefined, PHONE]) {
  test(`a query is typed, completed and answered${viewport ? ', on a phone' : ''}`, async () => {
    const { url } = await demo();
    const page = await open(`${url}/query?text=&from=now-20m`, { viewport });
    await editor(page).click();
    await page.keyboard.type('filter ispresent(duration_');
    // Columns that exist are offered.
    await page.getByRole('option', { name: /duration_ms/ }).first().waitFor();
    await page.keyboard.press('Escape');
    // One letter of a name would be the name of a column, or a key of the page.
    await editor(page).fill('');
    await page.keyboard.type("filter service.name like /a/ | stats count(*), pct(duration_ms, 99) by service.name, bin(1m)");
    await page.keyboard.press('Escape');
    await page.keyboard.press('Shift+Enter');
    await page.waitForURL(/text=filter/);
    await page.getByRole('img', { name: /^count\(\*\) over time/ }).waitFor();
    await page.getByRole('img', { name: /^pct\(duration_ms, 99\) over time/ }).waitFor();
    await page.getByRole('region', { name: 'Rows' }).getByText('gateway').first().waitFor();
    await settled(page);

    // Formatted, one command is on a line; the question is the same.
    await page.getByRole('button', { name: 'format' }).click();
    assert.match((await editor(page).innerText()).replaceAll('\n\n', '\n'), /\/a\/\s*\n\| stats/);
    // Ordered by a column.
    await page.getByRole('region', { name: 'Rows' }).getByRole('button', { name: 'count(*)' }).click();
    const counts = async () => (await page.getByRole('region', { name: 'Rows' }).locator('tbody tr td:nth-child(3)').allTextContents()).map((text) => Number(text.replace(/\s/g, '')));
    const ordered = await counts();
    assert.deepEqual(ordered, [...ordered].sort((a, b) => b - a));

    // The answer under its id, with the time it was asked about.
    await page.getByRole('button', { name: /Share/ }).click();
    await page.getByRole('button', { name: 'link to this answer' }).waitFor();
    await page.keyboard.press('Escape');
    await page.goBack();
    await page.waitForFunction(() => new URL(location.href).searchParams.get('text') === '');
    await page.getByRole('button', { name: /History/ }).click();
    await page.getByRole('link', { name: /filter service.name like/ }).click();
    await page.getByRole('region', { name: 'Rows' }).waitFor();
    assert.deepEqual(await wrongs(page, url), []);
    await page.context().close();
  });
}

test('an error is underlined where it is, and mended by a press', async () => {
  const { url } = await demo();
  const page = await open(`${url}/query?from=now-20m&text=${encodeURIComponent("filter name != 'é' | stats cuont(*) by service.name")}`);
  await page.getByRole('alert').getByText('there is no function `cuont`').waitFor();
  await page.locator('.cm-lintRange-error').waitFor();
  assert.equal(await page.locator('.cm-lintRange-error').innerText(), 'cuont');
  await page.getByRole('button', { name: 'count', exact: true }).click();
  await page.getByRole('region', { name: 'Rows' }).getByText('gateway').first().waitFor();
  assert.equal(await page.locator('.cm-lintRange-error').count(), 0);
  // While typing, before anything is run.
  await editor(page).click();
  await page.keyboard.press('Control+End');
  await page.keyboard.type(' | sortt x');
  await page.getByRole('alert').waitFor();
  await page.locator('.cm-lintRange-error').waitFor();
  await page.keyboard.press('Control+z');
  await page.context().close();
});

test('clauses become text, Back makes clauses of it', async () => {
  const { url } = await demo();
  const page = await open(`${url}/query?from=now-20m`);
  await settled(page);
  await page.getByRole('button', { name: 'text', exact: true }).click();
  await page.waitForURL(/text=stats/);
  await page.getByRole('region', { name: 'Rows' }).getByText('gateway').first().waitFor();
  // Rows of events open; a trace is a link.
  await page.goto(`${url}/query?from=now-20m&text=${encodeURIComponent('fields @timestamp, name, trace.trace_id | filter ispresent(trace.span_id) | limit 5')}`, { waitUntil: 'domcontentloaded' });
  await page.getByRole('region', { name: 'Rows' }).getByRole('link').first().click();
  await page.waitForURL(/\/trace\/[0-9a-f]{32}/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});
