import { describe, expect, it } from 'vitest';
import * as q from './question';

describe('texts of clauses', () => {
  it('comes back from its text, whatever it holds', () => {
    const values = ['x', '', 'a b', '500', 500, -1.5, true, 'true', 'a,b', '"', '(x)', 'über', ' lead', 'trail ', null, 1e300] as const;
    for (const column of ['error', 'http.route', 'with space', 'a"b', 'x=y', 'a,b'])
      for (const op of q.FILTER_OPS)
        for (const value of values) {
          if (value === null) continue;
          const none = op === 'exists' || op === 'does-not-exist';
          const filter: q.Filter = none ? { column, op } : { column, op, value: op === 'in' || op === 'not-in' ? [value, 'z'] : value };
          expect(q.parseFilter(q.showFilter(filter)), q.showFilter(filter)).toEqual(filter);
        }
  });
  it('reads what people type', () => {
    expect(q.parseFilter('duration_ms>=10')).toEqual({ column: 'duration_ms', op: '>=', value: 10 });
    expect(q.parseFilter('status in (500, 502)')).toEqual({ column: 'status', op: 'in', value: [500, 502] });
    expect(q.parseFilter('name contains GET /x')).toEqual({ column: 'name', op: 'contains', value: 'GET /x' });
    expect(q.parseFilter('interesting = 1')).toEqual({ column: 'interesting', op: '=', value: 1 });
    expect(q.parseFilter('id = 12345678901234567890')).toEqual({ column: 'id', op: '=', value: '12345678901234567890' });
    expect(q.parseCalculation('p99( duration_ms )')).toEqual({ op: 'P99', column: 'duration_ms' });
    expect(q.parseOrder('P99(duration_ms)')).toEqual({ op: 'P99', column: 'duration_ms', order: 'descending' });
    expect(q.parseOrder('name asc')).toEqual({ column: 'name', order: 'ascending' });
    expect(q.parseHaving('COUNT > 10')).toEqual({ calculate_op: 'COUNT', op: '>', value: 10 });
  });
  it('says what is missing', () => {
    for (const text of ['', 'error', 'error =', 'error exists 5', 'error ~ 5', '"open = 3']) expect(typeof q.parseFilter(text), text).toBe('string');
    for (const text of ['', 'P99', 'NOPE(x)', 'P99(a b)', 'P99(']) expect(typeof q.parseCalculation(text), text).toBe('string');
    for (const text of ['COUNT', 'COUNT >', 'COUNT > x', '> 5']) expect(typeof q.parseHaving(text), text).toBe('string');
  });
});

describe('address', () => {
  it('holds the whole question', () => {
    const question: q.Question = {
      calculations: [{ op: 'COUNT' }, { op: 'P99', column: 'odd name' }],
      filters: [{ column: 'a', op: 'in', value: [1, 'x'] }, { column: 'b', op: 'exists' }],
      filter_combination: 'OR',
      breakdowns: ['x', 'y z'],
      orders: [{ op: 'COUNT', order: 'descending' }],
      havings: [{ calculate_op: 'P99', column: 'odd name', op: '<', value: 0.5 }],
      limit: 7,
    };
    expect(q.fromAddress(q.toAddress(question))).toEqual(question);
    expect(q.fromAddress(q.toAddress(q.EMPTY))).toEqual(q.EMPTY);
  });
  it('refuses what is none', () => {
    for (const text of [null, '', '{', '[]x', '{"c":["NOPE"]}', '{"w":[[1]]}']) expect(q.fromAddress(text), String(text)).toBeNull();
  });
});

it('buckets are round and not too many', () => {
  for (const range of [1e3, 60e3, 7.2e6, 86.4e6, 30 * 86.4e6, 400 * 86.4e6]) {
    const step = q.niceGranularity(range, 120);
    expect(range / 1e3 / step).toBeLessThanOrEqual(121);
    expect(range / 1e3 / step).toBeGreaterThan(12);
  }
});

it('a filter is not repeated and replaces its opposite', () => {
  const one = q.withFilter(q.EMPTY, { column: 'a', op: '=', value: 1 });
  expect(q.withFilter(one, { column: 'a', op: '=', value: 1 }).filters).toHaveLength(1);
  expect(q.withFilter(one, { column: 'a', op: '!=', value: 1 }).filters).toEqual([{ column: 'a', op: '!=', value: 1 }]);
  expect(q.pin(['a', 'b'], { a: 0 })).toEqual([{ column: 'a', op: '=', value: 0 }, { column: 'b', op: 'does-not-exist' }]);
});
