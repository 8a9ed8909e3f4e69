// An answer in columns as lines over time: the first column of times is the axis, columns of text tell lines apart, each
// column of numbers is a plot.

import { momentOf } from './time';

export interface Column {
  name: string;
  type: string;
}
export interface TimeLine {
  label: string;
  values: Array<number | null>;
}
export interface TimePlot {
  column: string;
  times: number[];
  lines: TimeLine[];
  /** Groups beyond those that are drawn. */
  more: number;
}

/** At most so many lines are told apart by colour. */
const LINES = 10;
const POINTS_MAX = 5000;

export const isNumber = (column: Column): boolean => /^(i|u|f)\d+$/.test(column.type);

/** Null when it has no shape of lines: no time, or nothing to measure, or several rows for one point. */
export function plotsOf(columns: Column[], rows: Array<Record<string, unknown>>): TimePlot[] | null {
  const time = columns.find(({ type }) => type === 'time');
  const numbers = columns.filter(isNumber);
  if (!time || numbers.length === 0 || rows.length < 2 || rows.some((row) => '@ptr' in row)) return null;
  const by = columns.filter((column) => column !== time && !numbers.includes(column));
  const groups = new Map<string, { label: string; total: number; rows: Array<[number, Record<string, unknown>]> }>();
  const stamps = new Set<number>();
  for (const row of rows) {
    if (typeof row[time.name] !== 'string') continue;
    const at = momentOf(row[time.name] as string);
    stamps.add(at);
    const label = by.map(({ name }) => (row[name] === undefined ? '(none)' : String(row[name]))).join(', ');
    const group = groups.get(label) ?? { label, total: 0, rows: [] };
    groups.set(label, group);
    if (group.rows.some(([other]) => other === at)) return null;
    const value = row[numbers[0]!.name];
    group.total += typeof value === 'number' ? Math.abs(value) : 0;
    group.rows.push([at, row]);
    if (group.rows.length > POINTS_MAX) return null;
  }
  const times = [...stamps].sort((a, b) => a - b);
  if (times.length < 2) return null;
  const place = new Map(times.map((at, index) => [at, index]));
  const drawn = [...groups.values()].sort((a, b) => b.total - a.total).slice(0, LINES);
  return numbers.slice(0, 4).map(({ name }) => ({
    column: name,
    times,
    more: groups.size - drawn.length,
    lines: drawn.map(({ label, rows: points }) => {
      const values: Array<number | null> = times.map(() => null);
      for (const [at, row] of points) if (typeof row[name] === 'number') values[place.get(at)!] = row[name] as number;
      return { label: label || name, values };
    }),
  }));
}
