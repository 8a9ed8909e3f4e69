// Pictures of every page for docs/screenshots, as small WebP files, and the list of what they show.
// SHOTS names some of them (home,logs); RANGE is the time they show, for a server that runs already (SKEIN_UI_URL).
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { close, demo, DESKTOP, empty, open, PHONE, settled } from './world.mjs';

const folder = new URL('../../docs/screenshots/', import.meta.url);
mkdirSync(folder, { recursive: true });
const { url } = await demo();
const only = process.env.SHOTS?.split(',');
const bare = only && !only.includes('setup') ? { url: '' } : await empty();
const range = process.env.RANGE ?? 'from=now-16m';

async function drag(page) {
  const box = await page.getByRole('application', { name: /Heatmap/ }).boundingBox();
  await page.mouse.move(box.x + 80, box.y + 8);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 24, box.y + 70, { steps: 6 });
  await page.mouse.up();
}

const SHOTS = [
  ['setup', `${bare.url}/setup`, 'An empty server: the address, what to set in each language, a counter that waits for the first event, the demo.'],
  ['home', `${url}/?${range}`, 'Services by trouble: rate, errors and latency of each, worst first.'],
  ['query', `${url}/query?${range}`, 'A question and its answer: heatmap and counts over time, groups below; the incident is the block on top.'],
  ['explain', `${url}/query?${range}`, 'A rectangle dragged over the slow events, and what sets them apart from all others.', drag],
  ['events', `${url}/query?${range}&view=raw`, 'The events themselves, newest first.'],
  ['traces', `${url}/traces?${range}`, 'Traces by duration; filters may be of any span.'],
  ['logs', `${url}/logs?${range}`, 'Log records: histogram by severity, facets, and from each line the trace it was written in.'],
  ['services', `${url}/services?${range}&by=operation`, 'Rate, errors and duration of every operation.'],
  ['map', `${url}/map?${range}`, 'Who calls whom, databases included; red and dashed where calls fail.'],
  ['usage', `${url}/usage?${range}`, 'What is stored, by day and dataset, and what a month would be.'],
  ['rejections', `${url}/rejections`, 'What was sent and not stored; here nothing.'],
  ['settings', `${url}/settings`, 'Theme, time zone, key, keyboard, the server’s version.'],
  ['empty', `${url}/query?from=2020-01-01T00:00:00Z&to=2020-01-01T02:00:00Z`, 'No events in this time: where there are some, and the way there.'],
];

/** A line of the list, when its pictures are there. */
function tell(name, says) {
  if (!existsSync(new URL(`${name}-desktop-light.webp`, folder))) return;
  lines.push(`- **${name}**: ${says} [desktop, light](${name}-desktop-light.webp) · [desktop, dark](${name}-desktop-dark.webp) · [phone, light](${name}-phone-light.webp) · [phone, dark](${name}-phone-dark.webp)`);
}

const lines = ['# Screenshots', '', 'Made by `ui/e2e/run --screenshots` from the demo’s data, each at 1440 and 390 pixels, light and dark.', ''];
for (const [name, address, says, act] of SHOTS) {
  if (only && !only.includes(name)) {
    tell(name, says);
    continue;
  }
  for (const [size, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    for (const theme of ['light', 'dark']) {
      const page = await open(address, { viewport, theme });
      await settled(page);
      if (act) {
        await act(page);
        await settled(page);
        await page.waitForTimeout(300);
      }
      const png = await page.screenshot();
      if (process.env.PNG) writeFileSync(`${process.env.PNG}/${name}-${size}-${theme}.png`, png);
      const webp = await page.evaluate(async (data) => {
        const image = await createImageBitmap(new Blob([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))]));
        const canvas = new OffscreenCanvas(image.width, image.height);
        canvas.getContext('2d').drawImage(image, 0, 0);
        const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.72 });
        return [...new Uint8Array(await blob.arrayBuffer())];
      }, png.toString('base64')).catch(() => null);
      writeFileSync(new URL(`${name}-${size}-${theme}.${webp ? 'webp' : 'png'}`, folder), webp ? Uint8Array.from(webp) : png);
      if (page.wrong.length) console.error(name, page.wrong);
      await page.context().close();
    }
  }
  tell(name, says);
}
writeFileSync(new URL('README.md', folder), `${lines.join('\n')}\n`);
await close();
