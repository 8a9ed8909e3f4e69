// Which lines the waterfall has: nodes in the order of the analysis, without what is collapsed, with repeated work as
// one line and, when asked for, log records where they were written. Lines are typed arrays, made in one pass.

import { FLAG, hexOf, type Analysis } from './columns';

/** What a line shows. */
export const LINE = { span: 0, repeat: 1, log: 2 } as const;

/** Lists of marks by node: the marks of node n are `order[starts[n]] … order[starts[n + 1] - 1]`. */
export interface ByNode {
  starts: Uint32Array;
  order: Uint32Array;
}

/** Sorts marks by node, in one pass; those of no node are left out. */
export function byNode(nodes: Int32Array, count: number): ByNode {
  const starts = new Uint32Array(count + 1);
  for (let mark = 0; mark < nodes.length; mark += 1) if (nodes[mark]! >= 0) starts[nodes[mark]! + 1]! += 1;
  for (let node = 0; node < count; node += 1) starts[node + 1]! += starts[node]!;
  const next = starts.slice();
  const order = new Uint32Array(starts[count] ?? 0);
  for (let mark = 0; mark < nodes.length; mark += 1) {
    const node = nodes[mark]!;
    if (node >= 0) order[next[node]!++] = mark;
  }
  return { starts, order };
}

/** How lines are shown at first. */
export interface Shown {
  folded?: boolean;
  logsInPlace?: boolean;
}

/** Places of the greatest numbers, greatest first. */
export function greatest(values: Float64Array, count: number): number[] {
  const best: number[] = [];
  for (let place = 0; place < values.length; place += 1) {
    if (best.length === count && values[place]! <= values[best[count - 1]!]!) continue;
    let at = best.length;
    while (at > 0 && values[best[at - 1]!]! < values[place]!) at -= 1;
    best.splice(at, 0, place);
    if (best.length > count) best.pop();
  }
  return best;
}

/** What is looked up by node, in the order of Model's members. */
const listsOf = ({ critical_path, gaps, events, logs, links }: Analysis): Int32Array[] => [critical_path.node, gaps.node, events.node, logs.node, links.node, links.target];

/** Repeated work of so many members is one line until it is opened. */
export const FOLD_MIN = 5;

export class Model {
  readonly analysis: Analysis;
  readonly nodes: number;
  readonly path: ByNode;
  readonly gaps: ByNode;
  readonly events: ByNode;
  readonly logs: ByNode;
  readonly links: ByNode;
  /** Links of this trace that lead to a node. */
  readonly linksTo: ByNode;
  readonly collapsed: Uint8Array;
  readonly folded: Uint8Array;
  logsInPlace = false;
  /** The lines: what kind, of which node, and which repeat or log record. */
  kind = new Uint8Array(0);
  node = new Int32Array(0);
  ref = new Int32Array(0);
  lines = 0;

  /** A model of an analysis. Between steps that take a while for a million spans `pause` is called. */
  static async prepared(analysis: Analysis, shown: Shown = {}, pause: () => Promise<void> = () => new Promise((done) => setTimeout(done))): Promise<Model> {
    const nodes = analysis.spans.parent.length;
    const lists: ByNode[] = [];
    for (const list of listsOf(analysis)) {
      lists.push(byNode(list, nodes));
      if (list.length > 10_000) await pause();
    }
    const model = new Model(analysis, shown, lists);
    await pause();
    return model;
  }

  constructor(analysis: Analysis, { folded = true, logsInPlace = false }: Shown = {}, lists = listsOf(analysis).map((list) => byNode(list, analysis.spans.parent.length))) {
    this.analysis = analysis;
    this.nodes = analysis.spans.parent.length;
    const [path, gaps, events, logs, links, linksTo] = lists as [ByNode, ByNode, ByNode, ByNode, ByNode, ByNode];
    this.path = path;
    this.gaps = gaps;
    this.events = events;
    this.logs = logs;
    this.links = links;
    this.linksTo = linksTo;
    this.collapsed = new Uint8Array(this.nodes);
    this.folded = new Uint8Array(analysis.repeats.first.length);
    this.foldAll(folded);
    this.logsInPlace = logsInPlace;
    this.rebuild();
  }

  rebuild(): void {
    const { spans, repeats, logs } = this.analysis;
    const room = this.nodes + (this.logsInPlace ? logs.node.length : 0);
    if (this.kind.length < room) {
      this.kind = new Uint8Array(room);
      this.node = new Int32Array(room);
      this.ref = new Int32Array(room);
    }
    const { kind, node: lineNode, ref, collapsed, folded } = this;
    let line = 0;
    let repeat = 0;
    for (let node = 0; node < this.nodes; ) {
      while (repeat < folded.length && repeats.first[repeat]! < node) repeat += 1;
      if (repeat < folded.length && repeats.first[repeat] === node && folded[repeat] === 1) {
        kind[line] = LINE.repeat;
        lineNode[line] = node;
        ref[line] = repeat;
        line += 1;
        node += repeats.nodes[repeat]!;
        continue;
      }
      kind[line] = LINE.span;
      lineNode[line] = node;
      line += 1;
      if (this.logsInPlace) {
        for (let at = this.logs.starts[node]!; at < this.logs.starts[node + 1]!; at += 1) {
          kind[line] = LINE.log;
          lineNode[line] = node;
          ref[line] = this.logs.order[at]!;
          line += 1;
        }
      }
      node += collapsed[node] === 1 ? spans.size[node]! : 1;
    }
    this.lines = line;
  }

  /** The line that shows a node, or the one it is hidden in. */
  lineOf(node: number): number {
    let low = 0;
    let high = this.lines;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.node[middle]! <= node) low = middle + 1;
      else high = middle;
    }
    // Several lines of one node: its span is the first of them.
    let line = low - 1;
    while (line > 0 && this.node[line - 1] === this.node[line]) line -= 1;
    return Math.max(0, line);
  }

  /** Opens everything that hides a node. True when lines changed. */
  reveal(node: number): boolean {
    const { spans, repeats } = this.analysis;
    let changed = false;
    for (let above = spans.parent[node]!; above >= 0; above = spans.parent[above]!) {
      if (this.collapsed[above] === 1) {
        this.collapsed[above] = 0;
        changed = true;
      }
    }
    // Repeats that hold the node: they begin at or before it, and nested ones begin later.
    for (let repeat = this.repeatBefore(node); repeat >= 0; repeat -= 1) {
      const holds = node < repeats.first[repeat]! + repeats.nodes[repeat]!;
      if (holds && this.folded[repeat] === 1) {
        this.folded[repeat] = 0;
        changed = true;
      }
      // What a top node holds ends with it.
      if (repeats.first[repeat]! < this.topOf(node)) break;
    }
    if (changed) this.rebuild();
    return changed;
  }

  private topOf(node: number): number {
    let top = node;
    while (this.analysis.spans.parent[top]! >= 0) top = this.analysis.spans.parent[top]!;
    return top;
  }

  private repeatBefore(node: number): number {
    const { first } = this.analysis.repeats;
    let low = 0;
    let high = first.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (first[middle]! <= node) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The repeat that a node begins, if it does. */
  repeatAt(node: number): number {
    const repeat = this.repeatBefore(node);
    return repeat >= 0 && this.analysis.repeats.first[repeat] === node ? repeat : -1;
  }

  isOpenable(line: number): boolean {
    if (this.kind[line] === LINE.repeat) return true;
    return this.kind[line] === LINE.span && this.analysis.spans.size[this.node[line]!]! > 1;
  }

  isOpen(line: number): boolean {
    return this.kind[line] === LINE.span && this.isOpenable(line) && this.collapsed[this.node[line]!] === 0;
  }

  /** Opens or closes a line. Closing one whose repeat is open folds that. */
  toggle(line: number, open: boolean): boolean {
    const node = this.node[line]!;
    if (this.kind[line] === LINE.repeat) {
      if (!open) return false;
      this.folded[this.ref[line]!] = 0;
    } else if (this.isOpenable(line) && this.isOpen(line) !== open) {
      this.collapsed[node] = open ? 0 : 1;
    } else {
      const repeat = open ? -1 : this.repeatAt(node);
      if (repeat < 0) return false;
      this.folded[repeat] = 1;
    }
    this.rebuild();
    return true;
  }

  foldAll(folded: boolean): void {
    const { members } = this.analysis.repeats;
    for (let repeat = 0; repeat < this.folded.length; repeat += 1) this.folded[repeat] = folded && members[repeat]! >= FOLD_MIN ? 1 : 0;
  }

  /** Shows levels of spans: those above `depth` open, that one closed. */
  openTo(depth: number): void {
    const { spans } = this.analysis;
    for (let node = 0; node < this.nodes; node += 1) this.collapsed[node] = spans.depth[node]! >= depth && spans.size[node]! > 1 ? 1 : 0;
    this.rebuild();
  }

  openAll(): void {
    this.collapsed.fill(0);
    this.rebuild();
  }

  /** The node of a span id. */
  nodeOf(spanId: string): number {
    if (!/^[0-9a-f]{16}$/i.test(spanId)) return -1;
    return this.analysis.spans.span_id.indexOf(BigInt(`0x${spanId}`));
  }

  spanId(node: number): string {
    return hexOf(this.analysis.spans.span_id[node]!);
  }

  name(node: number): string {
    const name = this.analysis.names[this.analysis.spans.name[node]!];
    if (name !== undefined && name !== '') return name;
    return this.analysis.spans.flags[node]! & FLAG.missing ? 'span that nobody sent' : '(no name)';
  }

  service(node: number): string {
    return this.analysis.services[this.analysis.spans.service[node]!] ?? '';
  }

  /** A line in words: for the table behind the canvas, and for whoever hears it. */
  words(line: number): string {
    const { repeats, templates, logs } = this.analysis;
    const node = this.node[line]!;
    if (this.kind[line] === LINE.repeat) {
      const repeat = this.ref[line]!;
      return `${repeats.members[repeat]} × ${templates[repeats.template[repeat]!] ?? ''}, ${REPEATS[repeats.kind[repeat]!]}`;
    }
    if (this.kind[line] === LINE.log) {
      const log = this.ref[line]!;
      return `log ${this.analysis.severities[logs.severity[log]!] ?? ''} ${this.analysis.bodies[logs.body[log]!] ?? ''}`;
    }
    const flags = this.analysis.spans.flags[node]!;
    const marks = WORDS.filter(([flag]) => (flags & flag) !== 0).map(([, word]) => word);
    return [this.name(node), ...marks].join(', ');
  }
}

export const REPEATS = ['repeated', 'tried again after failures', 'connection opened again'];

const WORDS: Array<[number, string]> = [
  [FLAG.error, 'failed'],
  [FLAG.critical, 'on the critical path'],
  [FLAG.duplicate, 'came more than once'],
  [FLAG.cut, 'cut out of a circle of parents'],
  [FLAG.shifted, 'clock corrected'],
  [FLAG.exception, 'exception'],
  [FLAG.links, 'links'],
  [FLAG.logs, 'log records'],
];
