// What can come next in a clause: columns, operators and values that exist, best first. The server says what exists.

import { columns as askColumns, values as askValues, environment } from '../../lib/api';
import { count } from '../../lib/format';
import { filterParts, FILTER_OPS, key, OPERATIONS, showFilter, type Calculation } from '../../lib/question';
import type { Column } from '../../lib/types.gen';

export interface Suggestion {
  /** What the field then holds. */
  text: string;
  /** What is shown, when it is not the text. */
  shown?: string;
  hint?: string;
  /** More has to follow: the field stays open. */
  open?: boolean;
}

const PREFIXES = ['root.', 'parent.', 'child.', 'any.', 'none.'];
const SHOWN_MAX = 40;

/** Columns of the chosen dataset (one) or of all; asked once a minute. */
export class Catalogue {
  #of = '';
  #at = 0;
  #columns: Promise<Column[]> = Promise.resolve([]);

  columns(datasets: string[]): Promise<Column[]> {
    const of = `${environment()}\u0000${datasets.length === 1 ? datasets[0] : ''}`;
    if (of !== this.#of || Date.now() - this.#at > 60_000) {
      this.#of = of;
      this.#at = Date.now();
      this.#columns = askColumns(datasets.length === 1 ? datasets[0]! : null);
      this.#columns.catch(() => (this.#of = ''));
    }
    return this.#columns;
  }
}

export const catalogue = new Catalogue();

/** Better first: exact, start, start of a word, anywhere; then what more events have. */
export function rank(names: Column[], text: string): Column[] {
  const wanted = text.toLowerCase();
  const events = (column: Column): number => column.types.reduce((sum, type) => sum + type.count, 0);
  const score = (name: string): number => {
    const at = name.toLowerCase().indexOf(wanted);
    if (at < 0) return -1;
    if (at === 0) return name.length === wanted.length ? 4 : 3;
    return /[._ -]/.test(name[at - 1]!) ? 2 : 1;
  };
  return names
    .map((column) => ({ column, score: score(column.name) }))
    .filter((one) => one.score >= 0)
    .sort((a, b) => b.score - a.score || events(b.column) - events(a.column) || (a.column.name < b.column.name ? -1 : 1))
    .map((one) => one.column);
}

const types = (column: Column): string => column.types.map((type) => type.name).join(', ');
const numeric = (column: Column): boolean => column.types.some((type) => type.name === 'i64' || type.name === 'f64');

export async function forColumn(text: string, datasets: string[]): Promise<Suggestion[]> {
  const known = await catalogue.columns(datasets);
  const prefix = PREFIXES.find((one) => text.startsWith(one) && one !== 'none.') ?? '';
  const found = rank(known, text.slice(prefix.length)).slice(0, SHOWN_MAX);
  return found.map((column) => ({ text: quoted(prefix + column.name), hint: types(column) }));
}

export async function forCalculation(text: string, datasets: string[]): Promise<Suggestion[]> {
  const known = (await catalogue.columns(datasets)).filter((column) => column.name !== 'event.id');
  const inside = /^\s*(\w+)\s*\(\s*([^)]*)$/.exec(text);
  if (inside) {
    const op = inside[1]!.toUpperCase();
    const fitting = op === 'COUNT_DISTINCT' || op === 'COUNT' ? known : known.filter(numeric);
    return rank(fitting, inside[2]!).slice(0, SHOWN_MAX).map((column) => ({ text: `${op}(${quoted(column.name)})`, hint: types(column) }));
  }
  const wanted = text.trim().toUpperCase();
  const ops = OPERATIONS.filter((op) => op.startsWith(wanted)).map((op) => (op === 'COUNT' ? { text: op } : { text: `${op}(`, shown: `${op}(…)`, open: true }));
  // Who types a column's name wants to know about it.
  const likely = wanted.length < 2 ? [] : rank(known, text.trim()).slice(0, 5).flatMap((column) => (numeric(column) ? ['HEATMAP', 'P99', 'AVG', 'MAX'] : ['COUNT_DISTINCT']).map((op) => ({ text: `${op}(${quoted(column.name)})`, hint: types(column) })));
  return [...ops, ...likely].slice(0, SHOWN_MAX);
}

export async function forFilter(text: string, datasets: string[], signal?: AbortSignal): Promise<Suggestion[]> {
  const parts = filterParts(text);
  const named = parts && (parts.op !== null || /\s$/.test(text) || parts.rest !== '');
  if (!parts || !named) {
    const known = await catalogue.columns(datasets);
    const typed = text.trim().replace(/^"/, '');
    const prefix = PREFIXES.find((one) => typed.startsWith(one)) ?? '';
    const found = rank(known, typed.slice(prefix.length)).slice(0, SHOWN_MAX).map((column) => ({ text: `${quoted(prefix + column.name)} `, shown: prefix + column.name, hint: types(column), open: true }));
    const offered = prefix === '' && typed.length > 1 ? PREFIXES.filter((one) => one.startsWith(typed)).map((one) => ({ text: one, hint: 'another event of the trace', open: true })) : [];
    return [...offered, ...found];
  }
  const name = quoted(parts.column);
  if (parts.op === null) {
    return FILTER_OPS.filter((op) => op.startsWith(parts.rest.toLowerCase())).map((op) => (op.endsWith('exists') || op === 'does-not-exist' ? { text: `${name} ${op}` } : { text: `${name} ${op} `, shown: op, open: true }));
  }
  if (['>', '>=', '<', '<=', 'exists', 'does-not-exist'].includes(parts.op)) return [];
  const plain = parts.column.replace(/^(root|parent|child|any[23]?|none)\./, '');
  const list = parts.op === 'in' || parts.op === 'not-in';
  const before = list ? parts.rest.replace(/^\(/, '').replace(/[^,]*$/, '') : '';
  const typed = (list ? parts.rest.replace(/^\(/, '').replace(/^.*,/, '') : parts.rest).replace(/^\s*"?|"?\)?$/g, '');
  const found = await askValues(datasets.length === 1 ? datasets[0]! : null, plain, typed, signal);
  return found.slice(0, SHOWN_MAX).map(({ value, count: events }) => {
    const scalar = value as string | number | boolean;
    const whole = showFilter({ column: parts.column, op: parts.op!, value: list ? [scalar] : scalar });
    const shown = showFilter({ column: 'x', op: '=', value: scalar }).slice(4);
    return list ? { text: `${name} ${parts.op} (${before}${before ? ' ' : ''}${shown})`, shown, hint: count(events) } : { text: whole, shown, hint: count(events) };
  });
}

export async function forOrder(text: string, calculations: Calculation[], breakdowns: string[]): Promise<Suggestion[]> {
  const all = [...calculations.filter((one) => one.op !== 'HEATMAP').map(key), ...breakdowns.map(quoted)];
  return all.flatMap((name) => [{ text: `${name} desc` }, { text: `${name} asc` }]).filter((one) => one.text.toLowerCase().includes(text.trim().toLowerCase()));
}

export async function forHaving(text: string, calculations: Calculation[]): Promise<Suggestion[]> {
  const started = calculations.some((one) => text.startsWith(key(one)));
  if (started) return [];
  return calculations.filter((one) => one.op !== 'HEATMAP').map((one) => ({ text: `${key(one)} > `, shown: key(one), open: true })).filter((one) => one.shown.toLowerCase().includes(text.trim().toLowerCase()));
}

const quoted = (name: string): string => (/^[^\s"=!<>(),]+$/.test(name) ? name : JSON.stringify(name));
