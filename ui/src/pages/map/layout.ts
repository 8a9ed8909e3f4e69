// A small layered layout: callers left of what they call, as far as calls go one way.

export interface Node {
  x: number;
  y: number;
  w: number;
}

const GAP_X = 90;
const GAP_Y = 46;

export function layered(edges: Array<{ from: string; to: string }>): { nodes: Map<string, Node>; width: number; height: number } {
  const names = [...new Set(edges.flatMap((edge) => [edge.from, edge.to]))].sort();
  const layer = new Map(names.map((name) => [name, 0]));
  // The longest way from a caller, cut where calls go in a circle: as many rounds as there are services suffice.
  for (let round = 0; round < Math.min(names.length, 12); round += 1) {
    let moved = false;
    for (const { from, to } of edges) {
      const wanted = layer.get(from)! + 1;
      if (layer.get(to)! < wanted && wanted < names.length && !back(edges, from, to)) {
        layer.set(to, wanted);
        moved = true;
      }
    }
    if (!moved) break;
  }
  const columns: string[][] = [];
  for (const name of names) (columns[layer.get(name)!] ??= []).push(name);
  const nodes = new Map<string, Node>();
  let x = 8;
  let height = 0;
  for (const column of columns.filter(Boolean)) {
    const w = Math.max(...column.map((name) => name.trim().length * 7.2 + 28));
    column.forEach((name, row) => nodes.set(name, { x, y: 8 + row * GAP_Y, w }));
    height = Math.max(height, 8 + column.length * GAP_Y);
    x += w + GAP_X;
  }
  // Columns stand in the middle.
  for (const column of columns.filter(Boolean)) for (const name of column) nodes.get(name)!.y += (height - column.length * GAP_Y) / 2;
  return { nodes, width: Math.max(0, x - GAP_X + 8), height: height + 8 };
}

/** Whether the callee also calls the caller: then neither is left of the other. */
function back(edges: Array<{ from: string; to: string }>, from: string, to: string): boolean {
  return edges.some((edge) => edge.from === to && edge.to === from);
}
