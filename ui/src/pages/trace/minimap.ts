// The whole trace in a strip: how many spans run at each pixel's time, where spans failed, and whose time the critical
// path is. Counted once per width, over all spans in one pass.

import { FLAG, type Analysis } from './columns';

export interface Density {
  /** Spans that run, for each pixel. */
  running: Float32Array;
  most: number;
  /** Pixels in which a failed span begins. */
  errors: Uint8Array;
  /** For each pixel the service whose own work is on the critical path there, or -1. */
  path: Int32Array;
}

export function density(analysis: Analysis, pixels: number): Density {
  const { spans, critical_path } = analysis;
  const width = Math.max(1, Math.floor(pixels));
  const running = new Float32Array(width + 1);
  const errors = new Uint8Array(width);
  const path = new Int32Array(width).fill(-1);
  const scale = width / Math.max(analysis.duration_ms, 1e-9);
  const pixel = (time: number): number => Math.min(width - 1, Math.max(0, Math.floor(time * scale)));
  for (let node = 0; node < spans.parent.length; node += 1) {
    const from = pixel(spans.start_ms[node]!);
    running[from]! += 1;
    running[pixel(spans.start_ms[node]! + spans.duration_ms[node]!) + 1]! -= 1;
    if (spans.flags[node]! & FLAG.error) errors[from] = 1;
  }
  let most = 0;
  for (let at = 0, sum = 0; at < width; at += 1) {
    sum += running[at]!;
    running[at] = sum;
    most = Math.max(most, sum);
  }
  for (let piece = 0; piece < critical_path.node.length; piece += 1) {
    const service = spans.service[critical_path.node[piece]!]!;
    const to = pixel(critical_path.end_ms[piece]!);
    for (let at = pixel(critical_path.start_ms[piece]!); at <= to; at += 1) path[at] = service;
  }
  return { running, most, errors, path };
}
