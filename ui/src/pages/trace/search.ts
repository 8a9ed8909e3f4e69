// Finding spans by a word, here and at once; by a field, with the server's help.

import { FLAG, type Analysis } from './columns';

/** Looks for a text in names, services, span ids, exceptions and log records. Ascending nodes. */
export function findText(analysis: Analysis, text: string): Int32Array {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return new Int32Array(0);
  const { spans, events, logs } = analysis;
  const count = spans.parent.length;
  const found = new Uint8Array(count);
  const holding = (texts: string[]): Uint8Array => Uint8Array.from(texts, (one) => (one.toLowerCase().includes(wanted) ? 1 : 0));
  const names = holding(analysis.names);
  const services = holding(analysis.services);
  const bodies = holding(analysis.bodies);
  const types = holding(analysis.exception_types);
  const messages = holding(analysis.exception_messages);
  for (let node = 0; node < count; node += 1) {
    if (names[spans.name[node]!] === 1 || services[spans.service[node]!] === 1) found[node] = 1;
  }
  const mark = (node: number): void => {
    if (node >= 0) found[node] = 1;
  };
  for (let event = 0; event < events.node.length; event += 1) {
    const hit = names[events.name[event]!] === 1 || types[events.exception_type[event]!] === 1 || messages[events.exception_message[event]!] === 1;
    if (hit) mark(events.node[event]!);
  }
  for (let log = 0; log < logs.node.length; log += 1) {
    const hit = bodies[logs.body[log]!] === 1 || types[logs.exception_type[log]!] === 1 || messages[logs.exception_message[log]!] === 1;
    if (hit) mark(logs.node[log]!);
  }
  if (/^[0-9a-f]{16}$/.test(wanted)) mark(spans.span_id.indexOf(BigInt(`0x${wanted}`)));
  if (['error', 'errors'].includes(wanted)) for (let node = 0; node < count; node += 1) if (spans.flags[node]! & FLAG.error) found[node] = 1;
  return gathered(found);
}

/** The nodes that are marked, ascending. */
export function gathered(found: Uint8Array): Int32Array {
  let length = 0;
  for (let node = 0; node < found.length; node += 1) length += found[node]!;
  const nodes = new Int32Array(length);
  for (let node = 0, at = 0; node < found.length; node += 1) if (found[node] === 1) nodes[at++] = node;
  return nodes;
}

export interface FieldTest {
  column: string;
  op: string;
  value?: string | number | boolean;
}

const TEST = /^\s*([\w@][\w.:@/-]*)\s*(!=|>=|<=|=|>|<|~)\s*(.*)$/;
const OPS: Record<string, string> = { '~': 'contains' };

/** `http.status_code >= 500`, `db.statement ~ select`, `user.id = 7`, `error.type ?`: a question about a field. */
export function fieldTest(text: string): FieldTest | null {
  const exists = /^\s*([\w@][\w.:@/-]*)\s*\?\s*$/.exec(text);
  if (exists) return { column: exists[1]!, op: 'exists' };
  const match = TEST.exec(text);
  if (!match || match[3]!.trim() === '') return null;
  const given = match[3]!.trim().replace(/^"(.*)"$/, '$1');
  const op = OPS[match[2]!] ?? match[2]!;
  const quoted = match[3]!.trim().startsWith('"');
  if (op !== 'contains' && !quoted) {
    if (/^-?\d+(\.\d+)?$/.test(given)) return { column: match[1]!, op, value: Number(given) };
    if (given === 'true' || given === 'false') return { column: match[1]!, op, value: given === 'true' };
  }
  return { column: match[1]!, op, value: given };
}

/** The first match behind a node (before it, for -1), around the end. */
export function nextMatch(matches: Int32Array, node: number, direction: 1 | -1): number {
  if (matches.length === 0) return -1;
  let low = 0;
  let high = matches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (matches[middle]! <= node) low = middle + 1;
    else high = middle;
  }
  if (direction === 1) return matches[low % matches.length]!;
  const here = low > 0 && matches[low - 1] === node ? low - 2 : low - 1;
  return matches[(here + matches.length) % matches.length]!;
}
