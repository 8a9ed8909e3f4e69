// Services and operations by rate, errors and duration: one question, for Home and Services.

import { Failure, query, type Answer } from './api';
import type { Filter } from './question';
import { niceGranularity } from './question';
import { scope } from './scope.svelte';

export interface Health {
  answer: Answer;
  granularity: number;
  /** Whether any event says that it failed. */
  errors: boolean;
  compared: boolean;
}

const SPANS: Filter[] = [
  { column: 'meta.signal_type', op: '=', value: 'trace' },
  { column: 'trace.span_id', op: 'exists' },
];

export async function health(breakdowns: string[], signal: AbortSignal, partial?: (answer: Answer) => void): Promise<Health> {
  const { start, end } = scope.range;
  const granularity = niceGranularity(end - start, 40);
  // Against the same time a week before, where there is such a time: otherwise it would only cost.
  const old = scope.known?.some((dataset) => Date.parse(dataset.first_seen) < end - 604_800e3) ?? false;
  const compare = old && end - start <= 86_400e3 ? 604_800 : 0;
  const failed: Filter[] = [{ column: 'error', op: '=', value: true }];
  const spec = (errors: boolean): Record<string, unknown> => ({
    calculations: [
      { op: 'COUNT' },
      { op: 'P50', column: 'duration_ms' },
      { op: 'P99', column: 'duration_ms' },
      ...(errors ? [{ op: 'COUNT', name: 'failed', filters: failed }, { op: 'COUNT', name: 'bad', filters: failed }, { op: 'COUNT', name: 'all' }] : []),
    ],
    ...(errors ? { formulas: [{ name: 'error_rate', expression: '$bad / $all' }], orders: [{ name: 'error_rate', order: 'descending' }, { op: 'COUNT', order: 'descending' }] } : {}),
    filters: SPANS,
    breakdowns,
    limit: 200,
    granularity,
    ...(compare ? { compare_time_offset_seconds: compare } : {}),
    ...scope.spec(),
  });
  try {
    const answer = await query(spec(true), { signal, ...(partial ? { partial } : {}) });
    return { answer, granularity, errors: true, compared: compare > 0 && (answer.data.compare?.results ?? []).length > 0 };
  } catch (thrown) {
    // No event has failed yet: there is no such column.
    if (!(thrown instanceof Failure) || thrown.code === 'cancelled' || !/`error`/.test(thrown.message)) throw thrown;
    const answer = await query(spec(false), { signal, ...(partial ? { partial } : {}) });
    return { answer, granularity, errors: false, compared: false };
  }
}
