// What a selection has that the rest has not: the answer of POST /api/v1/explain, and filters made of its findings.

import { request } from './api';
import type { Scalar } from './api';
import type { Rect } from './grid';
import { measure, percent } from './format';
import type { Filter, Question } from './question';
import { showFilter } from './question';

/** Exactly one of value, range and exists is there. */
export interface Condition {
  column: string;
  value?: Scalar;
  range?: { lo: number | null; hi: number | null };
  exists?: boolean;
}
export interface Member extends Condition {
  kind?: string;
  effect?: number;
  share_selection?: number;
  share_baseline?: number;
}
export interface Finding extends Condition {
  and?: Condition;
  effect: number;
  lo95: number | null;
  hi95: number | null;
  share_selection: number;
  share_baseline: number;
  n_selection: number;
  n_baseline: number;
  q: number;
  members?: Member[];
}
export interface Explained {
  data: { findings: Finding[]; selection?: { events: number }; baseline?: { events: number }; tested?: number };
  meta: { elapsed_ms: number; rows_scanned: number; warnings?: Array<{ code: string; message: string }> };
}

export interface Selection {
  question: Question;
  start: number;
  end: number;
  datasets: string[];
  /** Of the heatmap. */
  rect?: (Rect & { column: string }) | undefined;
  /** Of a group: these filters against all other events of the question. */
  filters?: Filter[] | undefined;
}

export function explain(selection: Selection, signal?: AbortSignal): Promise<Explained> {
  const { question, rect, start, end } = selection;
  const times = { start_time: start / 1e3, end_time: end / 1e3, ...(selection.datasets.length ? { datasets: selection.datasets } : {}) };
  const combination = question.filter_combination ? { filter_combination: question.filter_combination } : {};
  const body = rect
    ? { selection: { ...times, filters: question.filters, ...combination, rect: { column: rect.column, lo: rect.lo, hi: rect.hi, start_time: rect.start / 1e3, end_time: rect.end / 1e3 } } }
    : { selection: { ...times, filters: [...question.filters, ...(selection.filters ?? [])] } };
  return request<Explained>('POST', '/api/v1/explain', { body, signal });
}

/** The filters that a condition stands for. */
export function conditionFilters(condition: Condition): Filter[] {
  const { column, range } = condition;
  if (range) {
    return [
      ...(range.lo !== null ? [{ column, op: '>=', value: range.lo }] : []),
      ...(range.hi !== null ? [{ column, op: '<', value: range.hi }] : []),
    ];
  }
  if (condition.exists !== undefined) return [{ column, op: condition.exists ? 'exists' : 'does-not-exist' }];
  return [{ column, op: '=', value: condition.value ?? null }];
}

export const findingFilters = (finding: Finding): Filter[] => [...conditionFilters(finding), ...(finding.and ? conditionFilters(finding.and) : [])];

/** The negation, where one filter says it. */
export function exceptFilters(finding: Finding): Filter[] | null {
  if (finding.and || finding.range) return null;
  const [one] = conditionFilters(finding);
  const opposite: Record<string, string> = { '=': '!=', exists: 'does-not-exist', 'does-not-exist': 'exists' };
  return one ? [{ ...one, op: opposite[one.op]! }] : null;
}

export function conditionText(condition: Condition): string {
  const { column, range } = condition;
  if (!range) return conditionFilters(condition).map(showFilter).join(' and ');
  if (range.lo !== null && range.hi !== null) return `${column} from ${measure(range.lo, column)} to ${measure(range.hi, column)}`;
  return range.lo !== null ? `${column} ≥ ${measure(range.lo, column)}` : `${column} < ${measure(range.hi, column)}`;
}

export const findingText = (finding: Finding): string => conditionText(finding) + (finding.and ? ` and ${conditionText(finding.and)}` : '');

/** "92 % vs 3 % ± 2". */
export function shares(finding: Finding): string {
  const half = finding.lo95 !== null && finding.hi95 !== null ? ` ± ${((finding.hi95 - finding.lo95) * 50).toFixed(finding.hi95 - finding.lo95 < 0.02 ? 1 : 0)}` : '';
  return `${percent(finding.share_selection)} vs ${percent(finding.share_baseline)}${half}`;
}
