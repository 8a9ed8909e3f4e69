import { expect, it } from 'vitest';
import { conditionFilters, exceptFilters, findingFilters, findingText, shares, type Finding } from './explain';

const finding: Finding = { column: 'k8s.pod.name', value: 'web-7', effect: 0.89, lo95: 0.87, hi95: 0.91, share_selection: 0.92, share_baseline: 0.03, n_selection: 10, n_baseline: 20, q: 0.001 };

it('a finding becomes filters', () => {
  expect(findingFilters(finding)).toEqual([{ column: 'k8s.pod.name', op: '=', value: 'web-7' }]);
  expect(findingFilters({ ...finding, and: { column: 'x', exists: false } })).toHaveLength(2);
  expect(conditionFilters({ column: 'd', range: { lo: 1, hi: null } })).toEqual([{ column: 'd', op: '>=', value: 1 }]);
  expect(conditionFilters({ column: 'd', range: { lo: 1, hi: 2 } })).toEqual([{ column: 'd', op: '>=', value: 1 }, { column: 'd', op: '<', value: 2 }]);
  expect(exceptFilters(finding)).toEqual([{ column: 'k8s.pod.name', op: '!=', value: 'web-7' }]);
  expect(exceptFilters({ column: 'x', exists: true } as Finding)).toEqual([{ column: 'x', op: 'does-not-exist' }]);
  expect(exceptFilters({ ...finding, range: { lo: 1, hi: 2 } })).toBeNull();
});

it('a finding says itself', () => {
  expect(findingText(finding)).toBe('k8s.pod.name = web-7');
  expect(findingText({ ...finding, and: { column: 'duration_ms', range: { lo: 250, hi: null } } })).toBe('k8s.pod.name = web-7 and duration_ms ≥ 250 ms');
  expect(shares(finding)).toBe('92 % vs 3.00 % ± 2');
});
