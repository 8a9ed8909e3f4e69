import { expect, it } from 'vitest';
import { momentOf, parseMoment, parseRange, resolve, rangeShown } from './time';

const now = Date.parse('2026-11-22T02:05:00Z');

it('reads moments as people and machines write them', () => {
  const cases: Array<[string, string]> = [
    ['now', '2026-11-22T02:05:00Z'],
    ['now-2h', '2026-11-22T00:05:00Z'],
    ['90 minutes ago', '2026-11-22T00:35:00Z'],
    ['1763777100', '2025-11-22T02:05:00Z'],
    ['1763777100000', '2025-11-22T02:05:00Z'],
    ['1763777100000000', '2025-11-22T02:05:00Z'],
    ['1763777100000000000', '2025-11-22T02:05:00Z'],
    ['2026-11-22T02:00:00.123456789Z', '2026-11-22T02:00:00.123Z'],
    ['2026-11-22 02:00+02:00', '2026-11-22T00:00:00Z'],
    ['2026-11-22', '2026-11-22T00:00:00Z'],
    ['today', '2026-11-22T00:00:00Z'],
    ['yesterday', '2026-11-21T00:00:00Z'],
    ['01:30', '2026-11-22T01:30:00Z'],
    ['01:30:15', '2026-11-22T01:30:15Z'],
  ];
  for (const [text, wanted] of cases) expect(parseMoment(text, now, 'utc'), text).toBe(Date.parse(wanted));
  for (const text of ['', 'soon', '25:00', '2026-13-45', 'ago', 'now-', '12']) expect(parseMoment(text, now, 'utc'), text).toBeNull();
});

it('reads ranges', () => {
  expect(parseRange('last 3 hours', now)).toEqual({ from: 'now-3h', to: 'now' });
  expect(parseRange('2h', now)).toEqual({ from: 'now-2h', to: 'now' });
  expect(parseRange('2 hours ago', now)).toEqual({ from: 'now-2h', to: 'now' });
  expect(parseRange('01:00 to 01:30', now, 'utc')).toEqual({ from: '2026-11-22T01:00:00Z', to: '2026-11-22T01:30:00Z' });
  expect(parseRange('now-2h to now-1h', now)).toEqual({ from: 'now-2h', to: 'now-1h' });
  expect(parseRange('2026-11-21 - now', now, 'utc')).toEqual({ from: '2026-11-21T00:00:00Z', to: 'now' });
  expect(parseRange('1763777100', now)).toEqual({ from: '2025-11-22T02:00:00Z', to: '2025-11-22T02:10:00Z' });
  for (const text of ['01:30 to 01:00', 'whenever', '0m', 'a to b']) expect(parseRange(text, now, 'utc'), text).toBeNull();
});

it('a range is never empty, and shows itself', () => {
  expect(resolve({ from: 'now', to: 'now-1h' }, now).start).toBeLessThan(resolve({ from: 'now', to: 'now-1h' }, now).end);
  const text = { from: 'now-2h', to: 'now' };
  expect(rangeShown(text, resolve(text, now), 'utc')).toBe('last 2 hours');
  const fixed = { from: '2026-11-22T01:00:00Z', to: '2026-11-22T01:30:00Z' };
  expect(rangeShown(fixed, resolve(fixed, now), 'utc')).toBe('22 Nov 01:00 – 01:30');
  expect(momentOf('2026-11-22T01:00:00.123456789Z') - Date.parse('2026-11-22T01:00:00Z')).toBeCloseTo(123.456789, 3);
});
