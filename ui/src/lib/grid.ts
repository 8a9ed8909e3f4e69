// The answer to a HEATMAP as a grid of cells, and the geometry of drawing it. Nothing is computed that the answer does
// not say: a cell is a count of the server, its bounds are the server's edges.

import { isHistogram, type SeriesRow } from './api';
import { momentOf } from './time';

export interface Grid {
  /** Start of each column in milliseconds; columns are `step` wide and may be missing. */
  times: number[];
  step: number;
  /** Bounds of the rows, ascending, as the server counts: logarithms when `log`. */
  edges: number[];
  /** One array per column, a count per row. */
  counts: number[][];
  most: number;
  log: boolean;
}

/** A rectangle of the grid in values: milliseconds and the column's own unit. */
export interface Rect {
  start: number;
  end: number;
  lo: number;
  hi: number;
}

export function toGrid(series: SeriesRow[], name: string, stepMs: number, log: boolean): Grid {
  const grid: Grid = { times: [], step: stepMs, edges: [], counts: [], most: 0, log };
  for (const row of series) {
    const cell = row.data[name];
    if (!isHistogram(cell)) continue;
    if (cell.edges.length > grid.edges.length) grid.edges = cell.edges;
    grid.times.push(momentOf(row.time));
    grid.counts.push(cell.counts);
    for (const count of cell.counts) if (count > grid.most) grid.most = count;
  }
  return grid;
}

/** What an edge stands for, in the column's unit. */
export const edgeValue = (grid: Grid, edge: number): number => (grid.log ? 10 ** edge : edge);

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Row and column under a point; null outside. A column may have no counts. */
export function cellAt(grid: Grid, box: Box, start: number, end: number, x: number, y: number): { time: number; row: number } | null {
  const rows = grid.edges.length - 1;
  if (rows < 1 || x < box.left || x >= box.left + box.width || y < box.top || y >= box.top + box.height) return null;
  const moment = start + ((x - box.left) / box.width) * (end - start);
  const origin = grid.times[0] ?? start;
  const time = origin + Math.floor((moment - origin) / grid.step) * grid.step;
  const row = Math.min(rows - 1, Math.floor(((box.top + box.height - y) / box.height) * rows));
  return { time, row };
}

/** The rectangle between two cells, both included. */
export function rectOf(grid: Grid, a: { time: number; row: number }, b: { time: number; row: number }): Rect {
  const low = Math.min(a.row, b.row);
  const high = Math.max(a.row, b.row);
  return {
    start: Math.min(a.time, b.time),
    end: Math.max(a.time, b.time) + grid.step,
    lo: edgeValue(grid, grid.edges[low]!),
    hi: edgeValue(grid, grid.edges[high + 1]!),
  };
}

export function countOf(grid: Grid, time: number, row: number): number {
  const column = grid.times.indexOf(time);
  return column < 0 ? 0 : (grid.counts[column]?.[row] ?? 0);
}

/** 0 to 1: how dark a cell is. One event is to be seen beside a hundred thousand. */
export const shade = (count: number, most: number): number => (count <= 0 ? 0 : 0.1 + 0.9 * (Math.log1p(count) / Math.log1p(most)) ** 1.8);

/** Round numbers within [lo, hi]: 1, 2 or 5 times a power of ten. */
export function ticks(lo: number, hi: number, wanted: number): number[] {
  if (!(hi > lo)) return [];
  const raw = (hi - lo) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw) ?? raw;
  const found: number[] = [];
  for (let at = Math.ceil(lo / step); at * step <= hi * (1 + 1e-9); at += 1) found.push(at * step);
  return found;
}

/** Moments to name on a time axis: full minutes, hours, days of the zone. */
export function timeTicks(start: number, end: number, wanted: number, offsetMs: number): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map((s) => s * 1e3);
  const step = steps.find((one) => (end - start) / one <= wanted) ?? 30 * 86400e3;
  const found: number[] = [];
  for (let at = Math.ceil((start + offsetMs) / step) * step; at - offsetMs <= end; at += step) found.push(at - offsetMs);
  return found;
}

const parse = (text: string): Rect | null => {
  const [start, end, lo, hi] = text.split('~').map(Number);
  return [start, end, lo, hi].every((one) => one !== undefined && Number.isFinite(one)) && start! < end! && lo! < hi! ? { start: start!, end: end!, lo: lo!, hi: hi! } : null;
};

/** A selection in the address. */
export const rectFromAddress = (text: string | null): Rect | null => (text ? parse(text) : null);
export const rectToAddress = (rect: Rect): string => [rect.start, rect.end, rect.lo, rect.hi].join('~');
