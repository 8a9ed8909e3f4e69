// What is unusual in the range of time: the answer of POST /api/v1/unusual, in words, and the question behind each.

import { request } from './api';
import { duration, percent, plural } from './format';
import { rectToAddress } from './grid';
import { EMPTY, toAddress, type Filter } from './question';
import { link } from './router.svelte';
import { scope } from './scope.svelte';
import { clockText, iso, momentOf } from './time';
import type { Unusual, UnusualOperation } from './types.gen';

export type { Unusual, UnusualOperation };

export const unusual = (signal: AbortSignal): Promise<Unusual> => request<Unusual>('POST', '/api/v1/unusual', { signal, body: scope.spec() });

const times = (factor: number): string => (factor >= 9.95 ? `${Math.round(factor)}` : factor.toFixed(1));

/** "its own work takes 2.61 s instead of 12.1 ms (×216)". */
export function what(finding: UnusualOperation): string {
  const { within, before } = finding;
  const failures = `fails ${percent(within.failed)} of its calls instead of ${percent(before.failed)}`;
  if (finding.kind === 'failing') return failures;
  const factor = before.own_ms > 0 ? ` (×${times(within.own_ms / before.own_ms)})` : '';
  const slower = `its own work takes ${duration(within.own_ms)} instead of ${duration(before.own_ms)}${factor}`;
  return within.failed - before.failed > 0.01 ? `${slower}, and it ${failures}` : slower;
}

/** "since 14:03, still" or "14:03 – 14:09". */
export function when(finding: UnusualOperation): string {
  const [start, end] = [clockText(momentOf(finding.start), scope.zone), clockText(momentOf(finding.end), scope.zone)];
  return finding.ongoing ? `since ${start}, and still` : `from ${start} to ${end}`;
}

export const hurt = (finding: UnusualOperation): string =>
  finding.kind === 'failing' ? `${plural(Math.round(finding.extra_failures), 'call')} more failed than usual` : `${duration(finding.extra_ms)} more than ${plural(Math.round(finding.within.calls), 'call')} usually take`;

/** The heatmap of the operation with what is unusual selected, and so explained. */
export function ask(finding: UnusualOperation): string {
  const filters: Filter[] = [
    { column: 'service.name', op: '=', value: finding.service },
    { column: 'name', op: '=', value: finding.name },
  ];
  const question = { ...EMPTY, calculations: [{ op: 'HEATMAP', column: 'duration_ms' }, { op: 'COUNT' }, { op: 'P99', column: 'duration_ms' }], filters };
  const failed: Filter = { column: 'error', op: '=', value: true };
  // What was found is of a certain time; around it enough of what is usual to compare with.
  const [start, end] = [momentOf(finding.start), momentOf(finding.end)];
  const around = Math.max(2 * (end - start), 5 * 60e3);
  const range = { from: iso(Math.max(scope.range.start, start - around)), to: iso(Math.min(scope.range.end, end + around)) };
  if (finding.kind === 'failing') return link('/query', { ...range, q: toAddress(question), grp: toAddress({ ...EMPTY, filters: [failed] }) });
  const rect = { start, end, lo: finding.slow_ms, hi: finding.longest_ms * 1.001 };
  return link('/query', { ...range, q: toAddress(question), sel: rectToAddress(rect) });
}
