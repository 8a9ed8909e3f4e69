// A question of the builder language, as the pages keep it: clauses, their short texts, the address, the specification.
// One text per clause entry ("P99(duration_ms)", "http.route = /checkout") is what people type and read; parsing it is
// the inverse of showing it.

import type { Scalar } from './api';

export interface Calculation {
  op: string;
  column?: string;
}
export interface Filter {
  column: string;
  op: string;
  value?: Scalar | Scalar[];
}
export interface Order {
  op?: string;
  column?: string;
  order?: 'ascending' | 'descending';
}
export interface Having {
  calculate_op: string;
  column?: string;
  op: string;
  value: number;
}
export interface Question {
  calculations: Calculation[];
  filters: Filter[];
  filter_combination?: 'OR';
  breakdowns: string[];
  orders: Order[];
  havings: Having[];
  limit?: number;
}

export const OPERATIONS = ['COUNT', 'SUM', 'AVG', 'MIN', 'MAX', 'COUNT_DISTINCT', 'P50', 'P75', 'P90', 'P95', 'P99', 'P999', 'P001', 'P01', 'P05', 'P10', 'P20', 'P25', 'P80', 'HEATMAP', 'RATE_AVG', 'RATE_SUM', 'RATE_MAX', 'CONCURRENCY'];
/** Need no column. */
const BARE = new Set(['COUNT', 'CONCURRENCY']);
export const FILTER_OPS = ['=', '!=', '>', '>=', '<', '<=', 'contains', 'does-not-contain', 'starts-with', 'does-not-start-with', 'ends-with', 'does-not-end-with', 'in', 'not-in', 'exists', 'does-not-exist'];
const WITHOUT_VALUE = new Set(['exists', 'does-not-exist']);
const WITH_LIST = new Set(['in', 'not-in']);
/** Longest first, so that >= is not read as >. */
const OPS_BY_LENGTH = [...FILTER_OPS].sort((a, b) => b.length - a.length);

export const EMPTY: Question = { calculations: [], filters: [], breakdowns: [], orders: [], havings: [] };
/** What a page without a question shows: the shape of everything. */
export const FIRST: Question = { ...EMPTY, calculations: [{ op: 'HEATMAP', column: 'duration_ms' }, { op: 'COUNT' }], breakdowns: ['service.name'] };

// === texts ===

const PLAIN_NAME = /^[^\s"=!<>(),]+$/;
const named = (column: string): string => (PLAIN_NAME.test(column) ? column : JSON.stringify(column));

/** Reads a name or a quoted name at the start; what is left of the text comes with it. */
function takeName(text: string): { name: string; rest: string } | null {
  const value = text.trimStart();
  if (value.startsWith('"')) {
    const quoted = /^"(?:[^"\\]|\\.)*"/.exec(value);
    if (!quoted) return null;
    return { name: JSON.parse(quoted[0]) as string, rest: value.slice(quoted[0].length) };
  }
  const plain = /^[^\s"=!<>(),]+/.exec(value);
  return plain ? { name: plain[0], rest: value.slice(plain[0].length) } : null;
}

export const key = (calculation: Calculation): string => (calculation.column ? `${calculation.op}(${calculation.column})` : calculation.op);

export const showCalculation = (calculation: Calculation): string => (calculation.column ? `${calculation.op}(${named(calculation.column)})` : calculation.op);

export function parseCalculation(text: string): Calculation | string {
  const found = /^\s*([A-Za-z_0-9]+)\s*(?:\(\s*(.*?)\s*\))?\s*$/.exec(text);
  if (!found) return 'an operation and a column, like P99(duration_ms)';
  const op = found[1]!.toUpperCase();
  if (!OPERATIONS.includes(op)) return `${found[1]} is no operation; try ${OPERATIONS.slice(0, 6).join(', ')}, P99, HEATMAP`;
  if (!found[2]) return BARE.has(op) ? { op } : `${op} needs a column, like ${op}(duration_ms)`;
  const name = takeName(found[2]);
  if (!name || name.rest.trim() !== '') return `${found[2]} is not one column`;
  return { op, column: name.name };
}

function showScalar(value: Scalar): string {
  if (typeof value !== 'string') return String(value);
  // What would be read as something else is quoted.
  return value === '' || /^(true|false|null)$/i.test(value) || /^[\s"(]|[\s,)]$|,/.test(value) || isNumeric(value) ? JSON.stringify(value) : value;
}

const isNumeric = (text: string): boolean => /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);

export function readScalar(text: string): Scalar {
  const value = text.trim();
  if (/^"(?:[^"\\]|\\.)*"$/.test(value)) {
    try {
      return JSON.parse(value) as string;
    } catch {
      return value;
    }
  }
  if (/^true$/i.test(value)) return true;
  if (/^false$/i.test(value)) return false;
  // Digits that a double would change stay text; the server compares text and numbers by value.
  if (isNumeric(value) && (!/^-?\d+$/.test(value) || Number.isSafeInteger(Number(value)))) return Number(value);
  return value;
}

/** Splits at commas that are not within quotes. */
function splitList(text: string): string[] {
  return (text.match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? []).map((part) => part.trim()).filter((part) => part !== '');
}

export function showFilter(filter: Filter): string {
  const start = `${named(filter.column)} ${filter.op}`;
  if (WITHOUT_VALUE.has(filter.op)) return start;
  const values = Array.isArray(filter.value) ? `(${filter.value.map(showScalar).join(', ')})` : showScalar(filter.value ?? '');
  return `${start} ${values}`;
}

export interface FilterParts {
  column: string;
  op: string | null;
  /** Text of the value, not read yet. */
  rest: string;
}

/** As far as it can be read: for completion and for parsing. */
export function filterParts(text: string): FilterParts | null {
  const name = takeName(text);
  if (!name) return null;
  const rest = name.rest.trimStart();
  const op = OPS_BY_LENGTH.find((one) => rest.toLowerCase().startsWith(one) && (/^[=!<>]/.test(one) || /^(\s|\(|$)/.test(rest.slice(one.length))));
  if (!op) return { column: name.name, op: null, rest };
  return { column: name.name, op, rest: rest.slice(op.length).trim() };
}

export function parseFilter(text: string): Filter | string {
  const parts = filterParts(text);
  if (!parts) return 'a column, an operator and a value, like error = true';
  if (parts.op === null) return parts.rest === '' ? `${parts.column} what? Try = , exists, contains` : `${parts.rest.split(' ')[0]} is no operator`;
  if (WITHOUT_VALUE.has(parts.op)) return parts.rest === '' ? { column: parts.column, op: parts.op } : `${parts.op} takes no value`;
  if (parts.rest === '') return `${parts.op} needs a value`;
  if (WITH_LIST.has(parts.op)) {
    const list = splitList(parts.rest.replace(/^\(|\)$/g, ''));
    return list.length === 0 ? `${parts.op} needs values: (a, b)` : { column: parts.column, op: parts.op, value: list.map(readScalar) };
  }
  return { column: parts.column, op: parts.op, value: readScalar(parts.rest) };
}

export const showBreakdown = named;

export function parseBreakdown(text: string): string | { error: string } {
  const name = takeName(text);
  return name && name.rest.trim() === '' ? name.name : { error: 'one column' };
}

export function showOrder(order: Order): string {
  const what = order.op ? showCalculation({ op: order.op, ...(order.column ? { column: order.column } : {}) }) : named(order.column ?? '');
  return `${what} ${order.order === 'descending' ? 'desc' : 'asc'}`;
}

export function parseOrder(text: string): Order | string {
  const found = /^\s*(.*?)(?:\s+(asc|desc|ascending|descending))?\s*$/i.exec(text);
  const order = /^asc/i.test(found?.[2] ?? '') ? 'ascending' : /^desc/i.test(found?.[2] ?? '') ? 'descending' : null;
  const what = found?.[1] ?? '';
  const calculation = parseCalculation(what);
  if (typeof calculation !== 'string') return { ...calculation, order: order ?? 'descending' };
  const name = takeName(what);
  if (!name || name.rest.trim() !== '') return 'a calculation or a column, then asc or desc';
  return { column: name.name, order: order ?? 'ascending' };
}

export const showHaving = (having: Having): string =>
  `${showCalculation({ op: having.calculate_op, ...(having.column ? { column: having.column } : {}) })} ${having.op} ${having.value}`;

export function parseHaving(text: string): Having | string {
  const found = /^(.*?)(>=|<=|!=|=|>|<)\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*$/i.exec(text);
  if (!found || !isNumeric(found[3]!)) return 'a calculation and a number, like COUNT > 100';
  const calculation = parseCalculation(found[1]!);
  if (typeof calculation === 'string') return calculation;
  const { op, column } = calculation;
  return { calculate_op: op, ...(column ? { column } : {}), op: found[2]!, value: Number(found[3]) };
}

// === address and specification ===

/** Only what differs from nothing: short addresses. */
export function toAddress(question: Question): string {
  const { calculations, filters, filter_combination, breakdowns, orders, havings, limit } = question;
  return JSON.stringify({
    c: calculations.map(showCalculation),
    ...(filters.length ? { w: filters.map((one) => [one.column, one.op, ...(one.value === undefined ? [] : [one.value])]) } : {}),
    ...(filter_combination ? { or: 1 } : {}),
    ...(breakdowns.length ? { g: breakdowns } : {}),
    ...(orders.length ? { o: orders.map(showOrder) } : {}),
    ...(havings.length ? { h: havings.map(showHaving) } : {}),
    ...(limit ? { l: limit } : {}),
  });
}

/** Null when the address is none of ours: whoever edits it by hand is told, not guessed at. */
export function fromAddress(text: string | null): Question | null {
  if (!text) return null;
  try {
    const read = JSON.parse(text) as Record<string, unknown>;
    const texts = (name: string): string[] => (Array.isArray(read[name]) ? (read[name] as unknown[]).map(String) : []);
    const all = <T extends object>(name: string, parse: (text: string) => T | string): T[] =>
      texts(name).map((one) => {
        const parsed = parse(one);
        if (typeof parsed === 'string') throw new Error(parsed);
        return parsed;
      });
    const filters = (Array.isArray(read['w']) ? (read['w'] as unknown[]) : []).map((one) => {
      const [column, op, value] = one as [unknown, unknown, Scalar | Scalar[] | undefined];
      if (typeof column !== 'string' || typeof op !== 'string') throw new Error('a filter is [column, op, value]');
      return { column, op, ...(value === undefined ? {} : { value }) };
    });
    return {
      calculations: all('c', parseCalculation),
      filters,
      ...(read['or'] ? { filter_combination: 'OR' as const } : {}),
      breakdowns: texts('g'),
      orders: all('o', parseOrder),
      havings: all('h', parseHaving),
      ...(typeof read['l'] === 'number' ? { limit: read['l'] } : {}),
    };
  } catch {
    return null;
  }
}

/** The specification of POST /api/v1/query, without time and datasets. */
export function toSpec(question: Question): Record<string, unknown> {
  const { filter_combination, limit, orders, havings, ...rest } = question;
  return {
    ...rest,
    ...(orders.length ? { orders } : {}),
    ...(havings.length ? { havings } : {}),
    ...(filter_combination ? { filter_combination } : {}),
    ...(limit ? { limit } : {}),
  };
}

export const heatmaps = (question: Question): Calculation[] => question.calculations.filter((one) => one.op === 'HEATMAP');

/** Seconds per bucket for a width: round for people, at most `buckets` of them. */
export function niceGranularity(rangeMs: number, buckets: number): number {
  const wanted = rangeMs / 1e3 / Math.max(1, buckets);
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const found = steps.find((step) => step >= wanted);
  return found ?? Math.ceil(wanted / 86400) * 86400;
}

/** Filters that pin a group's values; missing is `does-not-exist`. */
export function pin(breakdowns: string[], data: Record<string, unknown>): Filter[] {
  return breakdowns.map((column) => {
    const value = data[column];
    return value === null || value === undefined ? { column, op: 'does-not-exist' } : { column, op: '=', value: value as Scalar };
  });
}

const same = (a: Filter, b: Filter): boolean => a.column === b.column && a.op === b.op && JSON.stringify(a.value) === JSON.stringify(b.value);

/** Adds a filter; an equal one is not repeated, its opposite is replaced. */
export function withFilter(question: Question, filter: Filter): Question {
  const opposite: Record<string, string> = { '=': '!=', '!=': '=', exists: 'does-not-exist', 'does-not-exist': 'exists', in: 'not-in', 'not-in': 'in' };
  const kept = question.filters.filter((one) => !same(one, filter) && !same(one, { ...filter, op: opposite[filter.op] ?? '' }));
  return { ...question, filters: [...kept, filter] };
}

export function withBreakdown(question: Question, column: string): Question {
  return question.breakdowns.includes(column) ? question : { ...question, breakdowns: [...question.breakdowns, column] };
}

/** In words, for histories and titles. */
export function summary(question: Question): string {
  const parts = [question.calculations.map(showCalculation).join(', ') || 'events'];
  if (question.filters.length) parts.push(`where ${question.filters.map(showFilter).join(question.filter_combination ? ' or ' : ' and ')}`);
  if (question.breakdowns.length) parts.push(`by ${question.breakdowns.join(', ')}`);
  return parts.join(' ');
}
