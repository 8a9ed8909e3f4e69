import { describe, expect, it } from 'vitest';
import { readColumns } from './columns';
import { indentOf, pixelOf, timeOf } from './draw';
import { density } from './minimap';
import { isMeasured, isUnusual, raritySpec } from './rarity';
import { sample } from './sample';
import { panned, Scroll, ticks, within, zoomed } from './scale';
import { fieldTest, findText, nextMatch } from './search';

describe('columns', () => {
  const answer = (magic = 'SKCOLS\u0000\u0001'): ArrayBuffer => {
    const head = JSON.stringify({ names: ['ä'], spans: { flags: { type: 'u16', offset: 0, length: 3 }, start_ms: { type: 'f64', offset: 8, length: 1 } }, shares: [{ offset: 1, length: 1 }] });
    const text = new TextEncoder().encode(head.padEnd(Math.ceil((head.length + 1) / 8) * 8 - 1));
    const buffer = new ArrayBuffer(16 + text.length + 16);
    const bytes = new Uint8Array(buffer);
    for (let at = 0; at < 8; at += 1) bytes[at] = magic.charCodeAt(at);
    new DataView(buffer).setBigUint64(8, BigInt(text.length), true);
    bytes.set(text, 16);
    new Uint16Array(buffer, 16 + text.length, 3).set([1, 2, 65535]);
    new Float64Array(buffer, 24 + text.length, 1).set([0.25]);
    return buffer;
  };
  it('are used where they lie', () => {
    const buffer = answer();
    const read = readColumns(buffer);
    expect(read.names).toEqual(['ä']);
    expect(Array.from(read.spans.flags)).toEqual([1, 2, 65535]);
    expect(read.spans.start_ms[0]).toBe(0.25);
    expect(read.spans.flags.buffer).toBe(buffer);
    expect(read.shares).toEqual([{ offset: 1, length: 1 }]);
  });
  it('of another version are refused', () => {
    expect(() => readColumns(answer('SKCOLS\u0000\u0002'))).toThrow(/reload/);
  });
});

describe('the window', () => {
  it('stays within the trace and keeps its width where it fits', () => {
    expect(within({ from: -5, to: 5 }, 100)).toEqual({ from: 0, to: 10 });
    expect(within({ from: 95, to: 105 }, 100)).toEqual({ from: 90, to: 100 });
    expect(within({ from: -50, to: 500 }, 100)).toEqual({ from: 0, to: 100 });
  });
  it('zooms about a time that stays where it is', () => {
    const { from, to } = zoomed({ from: 0, to: 100 }, 25, 0.5, 100);
    expect([from, to]).toEqual([12.5, 62.5]);
    expect((25 - from) / (to - from)).toBe(0.25);
    expect(panned({ from: 10, to: 20 }, 0.5, 100)).toEqual({ from: 15, to: 25 });
  });
  it('of no length is still one', () => {
    const none = zoomed({ from: 0, to: 0 }, 0, 0.5, 0);
    expect(none.to).toBeGreaterThan(none.from);
    expect(ticks({ from: 0, to: 0 }, 5)).toEqual([]);
  });
  it('has round lines of time', () => {
    expect(ticks({ from: 0, to: 1000 }, 5)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticks({ from: 3, to: 4 }, 4)).toEqual([3, 3.5, 4]);
    expect(ticks({ from: 0, to: 300_000 }, 5)).toEqual([0, 60_000, 120_000, 180_000, 240_000, 300_000]);
  });
  it('leads from times to pixels and back', () => {
    const scene = { window: { from: 10, to: 30 }, width: 1000, labelWidth: 400 };
    expect(timeOf(scene, pixelOf(scene, 17))).toBeCloseTo(17);
  });
});

describe('scrolling', () => {
  it('reaches every line of a list longer than an element can be', () => {
    const scroll = new Scroll();
    scroll.height = 800;
    scroll.total = 24_000_000;
    expect(scroll.length).toBe(Scroll.LONGEST);
    expect(scroll.top(scroll.length - scroll.height)).toBeCloseTo(scroll.total - scroll.height);
    expect(scroll.top(scroll.bar(12_345_678))).toBeCloseTo(12_345_678, 3);
    scroll.total = 5000;
    expect([scroll.top(1234), scroll.scaled]).toEqual([1234, false]);
    scroll.total = 10;
    expect(scroll.bar(50)).toBe(0);
  });
});

describe('finding', () => {
  const analysis = sample(
    [
      { parent: -1, start: 0, duration: 9, name: 'GET /', service: 'web' },
      { parent: 0, start: 1, duration: 2, name: 'SELECT items', service: 'db' },
      { parent: 0, start: 4, duration: 2, name: 'pay', service: 'pay' },
    ],
    { events: [{ node: 2, time: 5, name: 'exception', exception: 'card declined' }], logs: [{ node: 0, time: 1, body: 'Declined at last' }] },
  );
  const found = (text: string): number[] => Array.from(findText(analysis, text));
  it('looks in names, services, ids, exceptions and log records', () => {
    expect(found('select')).toEqual([1]);
    expect(found('PAY')).toEqual([2]);
    expect(found('declined')).toEqual([0, 2]);
    expect(found('0000000000000002')).toEqual([1]);
    expect(found(' ')).toEqual([]);
  });
  it('understands tests of fields', () => {
    expect(fieldTest('http.status_code >= 500')).toEqual({ column: 'http.status_code', op: '>=', value: 500 });
    expect(fieldTest('user.id = "7"')).toEqual({ column: 'user.id', op: '=', value: '7' });
    expect(fieldTest('error=true')).toEqual({ column: 'error', op: '=', value: true });
    expect(fieldTest('db.statement ~ from items')).toEqual({ column: 'db.statement', op: 'contains', value: 'from items' });
    expect(fieldTest('error.type ?')).toEqual({ column: 'error.type', op: 'exists' });
    expect(fieldTest('GET /items')).toBeNull();
    expect(fieldTest('a =')).toBeNull();
  });
  it('goes around the end in both directions', () => {
    const matches = Int32Array.from([3, 7, 9]);
    expect([nextMatch(matches, -1, 1), nextMatch(matches, 7, 1), nextMatch(matches, 9, 1)]).toEqual([3, 9, 3]);
    expect([nextMatch(matches, 7, -1), nextMatch(matches, 3, -1), nextMatch(matches, 8, -1)]).toEqual([3, 9, 7]);
    expect(nextMatch(new Int32Array(0), 1, 1)).toBe(-1);
  });
});

describe('the mini-map', () => {
  it('counts what runs, and tells errors and the path', () => {
    const map = density(
      sample(
        [
          { parent: -1, start: 0, duration: 10, service: 'web' },
          { parent: 0, start: 5, duration: 5, service: 'db', flags: 1 },
        ],
        { path: [{ node: 0, start: 0, end: 5 }, { node: 1, start: 5, end: 10 }] },
      ),
      10,
    );
    expect(Array.from(map.running.subarray(0, 10))).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    expect([map.most, Array.from(map.errors)]).toEqual([2, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]]);
    expect([map.path[0], map.path[9]]).toEqual([0, 1]);
  });
});

describe('rarity', () => {
  it('asks for each field among spans of the same service and name', () => {
    const span = { timestamp: '2026-01-01T00:00:00Z', 'service.name': 'web', name: 'GET /', duration_ms: 3.5, 'http.response.status_code': 500, 'trace.span_id': 'x', list: [1] };
    const spec = raritySpec(span) as { filters: unknown[]; calculations: Array<Record<string, unknown>> };
    expect(spec.filters.slice(0, 2)).toEqual([
      { column: 'service.name', op: '=', value: 'web' },
      { column: 'name', op: '=', value: 'GET /' },
    ]);
    expect(spec.calculations.filter(({ op }) => op === 'COUNT').map(({ filters }) => filters)).toEqual([
      undefined,
      [{ column: 'duration_ms', op: '<', value: 3.5 }],
      [{ column: 'http.response.status_code', op: '=', value: 500 }],
    ]);
    expect(raritySpec({ name: 'x' })).toBeNull();
  });
  it('marks what is rare among enough, and not what differs everywhere', () => {
    const share = new Map([
      ['a', { same: 0.01, values: 3 }],
      ['b', { below: 0.99 }],
      ['c', { same: 0.5, values: 2 }],
      ['id', { same: 0.001, values: 900 }],
    ]);
    const unusual = (like: number): string[] => ['a', 'b', 'c', 'id', 'none'].filter((name) => isUnusual({ like, share }, name));
    expect(unusual(1000)).toEqual(['a', 'b']);
    expect(unusual(5)).toEqual([]);
    expect([isMeasured('x', 1.5), isMeasured('x', 3), isMeasured('size_bytes', 3)]).toEqual([true, false, true]);
  });
});

it('deep trees are drawn narrower', () => {
  expect(indentOf(0, 3, 400)).toEqual({ step: 14, skipped: 0 });
  expect(indentOf(900, 1000, 400).skipped).toBe(899);
  expect(indentOf(0, 1000, 400).step).toBe(1);
});
