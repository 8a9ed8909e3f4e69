import { expect, it } from 'vitest';
import { bytes, count, duration, measure, percent, tick } from './format';
import { identicon, knowServices, serviceColour } from './colour';
import { keyOf, search } from './commands.svelte';

it('shows three digits and a unit', () => {
  const durations: Array<[number, string]> = [[0, '0 ms'], [0.0004, '400 ns'], [0.048, '48.0 µs'], [3.02, '3.02 ms'], [317.4, '317 ms'], [999.7, '1.00 s'], [1840, '1.84 s'], [125_000, '2 m 05 s'], [7_500_000, '2 h 05 m'], [-12, '-12.0 ms']];
  for (const [value, wanted] of durations) expect(duration(value)).toBe(wanted);
  expect([0, 412, 3104, 48_211, 3_100_000, 2.5].map(count)).toEqual(['0', '412', '3 104', '48.2k', '3.10M', '2.50']);
  expect([0, 999, 1000, 41_200_000].map(bytes)).toEqual(['0 B', '999 B', '1.00 kB', '41.2 MB']);
  expect([0, 0.0312, 0.5, 0.994, 1].map(percent)).toEqual(['0 %', '3.12 %', '50 %', '99.4 %', '100 %']);
  expect([10, 1, 0.1, 100, 250.5].map((value) => tick(value, 'duration_ms'))).toEqual(['10 ms', '1 ms', '100 µs', '100 ms', '251 ms']);
  expect([5000, 12_500, 0].map((value) => tick(value))).toEqual(['5 000', '12.5k', '0']);
  expect(duration(Number.NaN)).toBe('–');
  expect(measure(1500, 'P99(duration_ms)'.slice(4, -1))).toBe('1.50 s');
});

it('services keep apart as long as there are colours', () => {
  const names = ['gateway', 'catalog', 'cart', 'checkout', 'payment', 'search', 'mail', 'stock', 'auth', 'users'];
  knowServices(names);
  const colours = names.map(serviceColour);
  expect(new Set(colours).size).toBe(names.length);
  knowServices([...names].reverse());
  expect(names.map(serviceColour)).toEqual(colours);
  expect(new Set(names.map(identicon)).size).toBe(names.length);
});

it('keys are written one way', () => {
  const press = (init: Partial<KeyboardEvent>): string => keyOf({ metaKey: false, ctrlKey: false, altKey: false, shiftKey: false, key: '', ...init } as KeyboardEvent);
  expect(press({ key: 'k', metaKey: true })).toBe('mod+k');
  expect(press({ key: '?', shiftKey: true })).toBe('?');
  expect(press({ key: 'Enter', shiftKey: true })).toBe('shift+enter');
  expect(press({ key: 'Z', ctrlKey: true, shiftKey: true })).toBe('mod+shift+z');
  expect(search([{ id: '1', title: 'Show UTC', group: 'Scope', run: () => undefined }], 'utc sco')).toHaveLength(1);
});
