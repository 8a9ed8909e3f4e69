import { expect, it } from 'vitest';
import { cellAt, countOf, edgeValue, rectFromAddress, rectOf, rectToAddress, shade, ticks, timeTicks, toGrid } from './grid';

const histogram = (counts: number[]) => ({ data: { h: { edges: [0, 1, 2], counts } } });
const grid = toGrid([{ time: '2026-01-01T00:00:00.000000000Z', ...histogram([1, 9]) }, { time: '2026-01-01T00:02:00.000000000Z', ...histogram([0, 3]) }], 'h', 60_000, true);
const start = Date.parse('2026-01-01T00:00:00Z');
const box = { left: 10, top: 5, width: 300, height: 100 };

it('a point is the cell that the server counted', () => {
  expect(grid.most).toBe(9);
  // Three minutes wide: each column has 100 pixels; the upper half is the second row.
  expect(cellAt(grid, box, start, start + 180_000, 10, 104)).toEqual({ time: start, row: 0 });
  expect(cellAt(grid, box, start, start + 180_000, 10, 5)).toEqual({ time: start, row: 1 });
  expect(cellAt(grid, box, start, start + 180_000, 309, 5)).toEqual({ time: start + 120_000, row: 1 });
  expect(cellAt(grid, box, start, start + 180_000, 310, 5)).toBeNull();
  expect([countOf(grid, start, 1), countOf(grid, start + 60_000, 1), countOf(grid, start + 120_000, 1)]).toEqual([9, 0, 3]);
});

it('a rectangle has the bounds of its outer cells, in the unit of the column', () => {
  const rect = rectOf(grid, { time: start + 120_000, row: 1 }, { time: start, row: 0 });
  expect(rect).toEqual({ start, end: start + 180_000, lo: 1, hi: 100 });
  expect(rectFromAddress(rectToAddress(rect))).toEqual(rect);
  expect(edgeValue({ ...grid, log: false }, 2)).toBe(2);
  for (const text of [null, '', '1~2~3', '2~1~0~1', '1~2~3~x', '1~2~5~5']) expect(rectFromAddress(text)).toBeNull();
});

it('one event is seen, and more is darker', () => {
  expect(shade(0, 1e6)).toBe(0);
  expect(shade(1, 1e6)).toBeGreaterThan(0.1);
  expect(shade(1e6, 1e6)).toBeCloseTo(1);
  expect(shade(10, 100)).toBeLessThan(shade(50, 100));
});

it('ticks are round', () => {
  expect(ticks(0, 14_000, 4)).toEqual([0, 5000, 10_000]);
  expect(ticks(-1.1, 2.9, 5)).toEqual([-1, 0, 1, 2]);
  expect(ticks(1, 1, 4)).toEqual([]);
  expect(timeTicks(start, start + 7_200_000, 8, 0).map((at) => (at - start) / 60_000)).toEqual([0, 15, 30, 45, 60, 75, 90, 105, 120]);
});
