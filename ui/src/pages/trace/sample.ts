// A small trace for tests, made as the server makes them. Not part of the page.

import { FLAG, type Analysis } from './columns';

export interface Spec {
  id?: number;
  parent: number;
  start: number;
  duration: number;
  name?: string;
  service?: string;
  flags?: number;
}

export interface More {
  repeats?: Array<{ first: number; nodes: number; members: number; kind?: number }>;
  events?: Array<{ node: number; time: number; name: string; exception?: string }>;
  logs?: Array<{ node: number; time: number; body: string }>;
  links?: Array<{ node: number; target: number }>;
  path?: Array<{ node: number; start: number; end: number }>;
}

/** An analysis of spans that are given in the order in which they are drawn. */
export function sample(specs: Spec[], more: More = {}): Analysis {
  const names: string[] = [];
  const services: string[] = [];
  const code = (list: string[], text: string): number => (list.includes(text) ? list.indexOf(text) : list.push(text) - 1);
  const depth: number[] = [];
  const size = specs.map(() => 1);
  specs.forEach(({ parent }, node) => (depth[node] = parent < 0 ? 0 : depth[parent]! + 1));
  for (let node = specs.length - 1; node >= 0; node -= 1) if (specs[node]!.parent >= 0) size[specs[node]!.parent]! += size[node]!;
  const numbers = <T>(list: T[], of: (one: T) => number): Int32Array => Int32Array.from(list, of);
  const times = <T>(list: T[], of: (one: T) => number): Float64Array => Float64Array.from(list, of);
  const { repeats = [], events = [], logs = [], links = [], path = [] } = more;
  const bodies = [...new Set(logs.map(({ body }) => body))];
  const messages = [...new Set(events.flatMap(({ exception }) => (exception ? [exception] : [])))];
  const eventNames = numbers(events, ({ name }) => code(names, name));
  const spanNames = numbers(specs, ({ name = 'work' }) => code(names, name));
  const none = numbers(logs, () => -1);
  return {
    trace_id: '0af7651916cd43dd8448eb211c80319c', complete: true, complete_to: '2026-01-01T00:00:00Z', start: '2026-01-01T00:00:00Z',
    duration_ms: Math.max(0, ...specs.map(({ start, duration }) => start + duration)), main_root: 0,
    summary: { spans: specs.length, services: 1, errors: 0, events: events.length, logs: logs.length, links: links.length, missing_parents: 0, duplicates: 0, circles: 0, others: 0, depth: 1, idle_ms: 0, gaps_ms: 0 },
    shares: [], skews: [], names, services: specs.reduce((list, { service = 'web' }) => (code(list, service), list), services), templates: ['loop'], severities: ['info'], bodies,
    exception_types: [], exception_messages: messages, linked_traces: [],
    spans: {
      span_id: BigUint64Array.from(specs, ({ id }, node) => BigInt(id ?? node + 1)),
      parent: numbers(specs, ({ parent }) => parent), depth: Uint32Array.from(depth), size: Uint32Array.from(size),
      start_ms: times(specs, ({ start }) => start), duration_ms: times(specs, ({ duration }) => duration), self_ms: times(specs, () => 0), shift_ms: times(specs, () => 0),
      service: numbers(specs, ({ service = 'web' }) => code(services, service)), name: spanNames, copies: Uint32Array.from(specs, () => 1),
      flags: Uint16Array.from(specs, ({ flags, parent }) => (flags ?? 0) | (parent < 0 ? FLAG.root : 0)),
    },
    critical_path: { node: numbers(path, ({ node }) => node), start_ms: times(path, ({ start }) => start), end_ms: times(path, ({ end }) => end) },
    gaps: { node: new Int32Array(0), start_ms: new Float64Array(0), end_ms: new Float64Array(0) },
    repeats: {
      first: numbers(repeats, ({ first }) => first), nodes: Uint32Array.from(repeats, ({ nodes }) => nodes), members: Uint32Array.from(repeats, ({ members }) => members),
      errors: Uint32Array.from(repeats, () => 0), template: numbers(repeats, () => 0), kind: Uint16Array.from(repeats, ({ kind = 0 }) => kind),
      total_ms: times(repeats, () => 1), start_ms: times(repeats, () => 0), end_ms: times(repeats, () => 1),
    },
    events: { node: numbers(events, ({ node }) => node), time_ms: times(events, ({ time }) => time), name: eventNames, exception_type: numbers(events, () => -1), exception_message: numbers(events, ({ exception }) => (exception ? messages.indexOf(exception) : -1)) },
    logs: { node: numbers(logs, ({ node }) => node), time_ms: times(logs, ({ time }) => time), service: none, severity: numbers(logs, () => 0), body: numbers(logs, ({ body }) => bodies.indexOf(body)), exception_type: none, exception_message: none },
    links: { node: numbers(links, ({ node }) => node), trace: numbers(links, () => 0), span_id: BigUint64Array.from(links, () => 0n), target: numbers(links, ({ target }) => target) },
  };
}
