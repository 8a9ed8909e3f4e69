// Asks what the query page shows: the heatmap, and everything else. Two questions, since a heatmap is of all events
// while groups are limited; both run at once, and a newer question cancels the older.

import { query, type Answer } from '../../lib/api';
import { toGrid, type Grid, type Rect } from '../../lib/grid';
import { Load } from '../../lib/load.svelte';
import { heatmaps, key, niceGranularity, toSpec, type Calculation, type Filter, type Question } from '../../lib/question';
import { scope } from '../../lib/scope.svelte';
import type { Range } from '../../lib/time';

/** An answer with the question it is to: what is shown belongs together, also while the next is asked. */
export interface Answered {
  answer: Answer;
  question: Question;
  range: Range;
  granularity: number;
}
export interface Heat extends Answered {
  grid: Grid;
  calculation: Calculation;
}

const COLUMNS_OF_HEATMAP = 125;
const POINTS = 125;
const GROUPS = 50;
/** The builder language is linear; logarithms are a calculated field. */
const LOGARITHM = 'log10';

export const logByDefault = (column: string): boolean => /(_ms|duration|bytes|size|latency)$/i.test(column);

export class Asking {
  heat = new Load<Heat>();
  groups = new Load<Answered>();

  ask(question: Question, log: boolean, compare: number): void {
    const asked = scope.range;
    // The first bucket whole: half a bucket looks like a dip. Who asked for exact times gets exact times.
    const step = niceGranularity(asked.end - asked.start, COLUMNS_OF_HEATMAP) * 1e3;
    const range = scope.relative ? { start: Math.floor(asked.start / step) * step, end: asked.end } : asked;
    const place = { ...scope.spec(), start_time: range.start / 1e3 };
    const of = heatmaps(question)[0];
    if (of?.column) void this.#askHeat(question, of as Calculation & { column: string }, log, range, place);
    else this.heat.clear();
    const others = question.calculations.filter((one) => one.op !== 'HEATMAP');
    if (question.calculations.length === 0 || (others.length === 0 && question.breakdowns.length === 0)) this.groups.clear();
    else {
      const granularity = niceGranularity(range.end - range.start, POINTS);
      const calculations = others.length ? others : [{ op: 'COUNT' }];
      const asked = { ...question, calculations, limit: question.limit ?? GROUPS };
      const spec = { ...toSpec(asked), ...place, granularity, ...(compare ? { compare_time_offset_seconds: compare } : {}) };
      void this.groups.run(async (signal, partial) => {
        const wrap = (answer: Answer): Answered => ({ answer, question: asked, range, granularity });
        return wrap(await query(spec, { signal, partial: (answer) => partial(wrap(answer), answer.progress) }));
      });
    }
  }

  #askHeat(question: Question, calculation: Calculation & { column: string }, log: boolean, range: Range, place: object): Promise<void> {
    const granularity = niceGranularity(range.end - range.start, COLUMNS_OF_HEATMAP);
    const column = log ? LOGARITHM : calculation.column;
    const fields = log ? { calculated_fields: [{ name: LOGARITHM, expression: `LOG10($${JSON.stringify(calculation.column)})` }] } : {};
    const { filters, filter_combination } = question;
    const spec = { calculations: [{ op: 'HEATMAP', column }], filters, ...(filter_combination ? { filter_combination } : {}), ...fields, granularity, ...place };
    return this.heat.run(async (signal, partial) => {
      const wrap = (answer: Answer): Heat => ({ answer, question, range, granularity, calculation, grid: toGrid(answer.data.series ?? [], key({ op: 'HEATMAP', column }), granularity * 1e3, log) });
      return wrap(await query(spec, { signal, partial: (answer) => partial(wrap(answer), answer.progress) }));
    });
  }

  cancel(): void {
    this.heat.cancel();
    this.groups.cancel();
  }
}

/** Filters that a rectangle of the heatmap adds. */
export const rectFilters = (column: string, rect: Rect): Filter[] => [
  { column, op: '>=', value: rect.lo },
  { column, op: '<', value: rect.hi },
];

export interface TraceRow {
  trace: string;
  span: string | null;
  name: string | null;
  service: string | null;
  duration: number | null;
  /** Milliseconds, when the answer says it. */
  time: number | null;
}

/** The slowest spans that a question matches, and their traces. */
export async function slowest(filters: Filter[], range: { start: number; end: number }, limit: number, signal?: AbortSignal): Promise<TraceRow[]> {
  const place = { ...scope.spec(), start_time: range.start / 1e3, end_time: range.end / 1e3 };
  const answer = await query(
    {
      calculations: [{ op: 'MAX', column: 'duration_ms' }],
      filters: [...filters, { column: 'trace.trace_id', op: 'exists' }],
      breakdowns: ['trace.trace_id', 'trace.span_id', 'service.name', 'name'],
      orders: [{ op: 'MAX', column: 'duration_ms', order: 'descending' }],
      limit,
      ...place,
    },
    { signal },
  );
  return (answer.data.results ?? []).map(({ data }) => ({
    trace: String(data['trace.trace_id']),
    span: typeof data['trace.span_id'] === 'string' ? data['trace.span_id'] : null,
    name: typeof data['name'] === 'string' ? data['name'] : null,
    service: typeof data['service.name'] === 'string' ? data['service.name'] : null,
    duration: typeof data['MAX(duration_ms)'] === 'number' ? data['MAX(duration_ms)'] : null,
    time: null,
  }));
}
