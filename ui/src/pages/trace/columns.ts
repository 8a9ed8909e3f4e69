// Reads application/vnd.skein.columns (docs/formats/columns.md): an object whose columns are used where their bytes lie.

import type { TraceAnalysis } from '../../lib/types.gen';

export type Numbers = Int32Array | Uint32Array | Uint16Array | Float64Array;

/** An analysis with its columns as typed arrays. */
export interface Analysis extends Omit<TraceAnalysis, 'spans' | 'critical_path' | 'gaps' | 'repeats' | 'events' | 'logs' | 'links'> {
  spans: {
    span_id: BigUint64Array;
    parent: Int32Array;
    depth: Uint32Array;
    size: Uint32Array;
    start_ms: Float64Array;
    duration_ms: Float64Array;
    self_ms: Float64Array;
    shift_ms: Float64Array;
    service: Int32Array;
    name: Int32Array;
    copies: Uint32Array;
    flags: Uint16Array;
  };
  critical_path: Pieces;
  gaps: Pieces;
  repeats: {
    first: Int32Array;
    nodes: Uint32Array;
    members: Uint32Array;
    errors: Uint32Array;
    template: Int32Array;
    kind: Uint16Array;
    total_ms: Float64Array;
    start_ms: Float64Array;
    end_ms: Float64Array;
  };
  events: Marks & { name: Int32Array };
  logs: Marks & { service: Int32Array; severity: Int32Array; body: Int32Array };
  links: { node: Int32Array; trace: Int32Array; span_id: BigUint64Array; target: Int32Array };
}

export interface Pieces {
  node: Int32Array;
  start_ms: Float64Array;
  end_ms: Float64Array;
}

export interface Marks {
  node: Int32Array;
  time_ms: Float64Array;
  exception_type: Int32Array;
  exception_message: Int32Array;
}

/** Bits of `flags`, as the contract has them. */
export const FLAG = {
  error: 1,
  critical: 2,
  missing: 4,
  duplicate: 8,
  cut: 16,
  shifted: 32,
  root: 64,
  repeated: 128,
  events: 256,
  exception: 512,
  links: 1024,
  logs: 2048,
  errorBelow: 4096,
} as const;

export const COLUMNS = 'application/vnd.skein.columns';

const MAGIC = 'SKCOLS\u0000\u0001';

interface Place {
  type: 'u16' | 'u32' | 'i32' | 'f64' | 'u64';
  offset: number;
  length: number;
}

const isPlace = (value: unknown): value is Place =>
  typeof value === 'object' && value !== null && 'offset' in value && 'length' in value && 'type' in value;

/** Reads an answer. The arrays share the buffer: it must not be used for anything else. */
export function readColumns(buffer: ArrayBuffer): Analysis {
  const bytes = new Uint8Array(buffer);
  const magic = String.fromCharCode(...bytes.subarray(0, 8));
  if (magic !== MAGIC) throw new Error('the answer is not in a form that this page reads: reload it');
  const length = Number(new DataView(buffer).getBigUint64(8, true));
  const data = 16 + length;
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(16, data))) as Record<string, unknown>;
  for (const table of Object.values(head)) {
    if (typeof table !== 'object' || table === null || Array.isArray(table)) continue;
    const columns = table as Record<string, unknown>;
    for (const [name, place] of Object.entries(columns)) if (isPlace(place)) columns[name] = column(buffer, data, place);
  }
  return head as unknown as Analysis;
}

function column(buffer: ArrayBuffer, data: number, { type, offset, length }: Place): Numbers | BigUint64Array {
  const at = data + offset;
  if (type === 'u16') return new Uint16Array(buffer, at, length);
  if (type === 'u32') return new Uint32Array(buffer, at, length);
  if (type === 'i32') return new Int32Array(buffer, at, length);
  if (type === 'f64') return new Float64Array(buffer, at, length);
  return new BigUint64Array(buffer, at, length);
}

export const hexOf = (id: bigint): string => id.toString(16).padStart(16, '0');
