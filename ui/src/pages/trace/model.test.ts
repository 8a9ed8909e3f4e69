import { describe, expect, it } from 'vitest';
import { byNode, greatest, LINE, Model } from './model';
import { sample } from './sample';

/** root → a (→ a1, a2), loop of five, b. */
const trace = () =>
  sample(
    [
      { parent: -1, start: 0, duration: 100, name: 'root' },
      { parent: 0, start: 1, duration: 20, name: 'a' },
      { parent: 1, start: 2, duration: 5, name: 'a1' },
      { parent: 1, start: 8, duration: 5, name: 'a2' },
      ...[0, 1, 2, 3, 4].map((turn) => ({ parent: 0, start: 30 + turn * 10, duration: 5, name: `loop ${turn}` })),
      { parent: 0, start: 90, duration: 5, name: 'b' },
    ],
    { repeats: [{ first: 4, nodes: 5, members: 5 }], logs: [{ node: 2, time: 3, body: 'second' }, { node: -1, time: 1, body: 'of none' }, { node: 2, time: 2, body: 'first' }] },
  );

const shown = (model: Model): string[] =>
  Array.from({ length: model.lines }, (_, line) => (model.kind[line] === LINE.repeat ? `repeat ${model.ref[line]}` : model.kind[line] === LINE.log ? `log ${model.ref[line]}` : model.name(model.node[line]!)));

describe('the lines of a trace', () => {
  it('fold repeated work into one until it is opened', () => {
    const model = new Model(trace());
    expect(shown(model)).toEqual(['root', 'a', 'a1', 'a2', 'repeat 0', 'b']);
    const line = model.lineOf(4);
    expect(model.toggle(line, true)).toBe(true);
    expect(shown(model)).toEqual(['root', 'a', 'a1', 'a2', 'loop 0', 'loop 1', 'loop 2', 'loop 3', 'loop 4', 'b']);
    expect(model.toggle(model.lineOf(4), false)).toBe(true);
    expect(shown(model)).toContain('repeat 0');
    expect(model.lineOf(7)).toBe(4);
  });

  it('leave out what is below a closed span', () => {
    const model = new Model(trace());
    expect(model.toggle(1, false)).toBe(true);
    expect(shown(model)).toEqual(['root', 'a', 'repeat 0', 'b']);
    expect(model.lineOf(3)).toBe(1);
    expect(model.isOpen(1)).toBe(false);
    expect(model.toggle(1, false)).toBe(false);
  });

  it('show a span wherever it is hidden', () => {
    const model = new Model(trace());
    model.openTo(0);
    expect(shown(model)).toEqual(['root']);
    expect(model.reveal(7)).toBe(true);
    expect(shown(model)).toEqual(['root', 'a', 'loop 0', 'loop 1', 'loop 2', 'loop 3', 'loop 4', 'b']);
    expect(model.node[model.lineOf(7)]).toBe(7);
    expect(model.reveal(7)).toBe(false);
  });

  it('put log records behind their spans', () => {
    const model = new Model(trace());
    model.logsInPlace = true;
    model.rebuild();
    expect(shown(model)).toEqual(['root', 'a', 'a1', 'log 0', 'log 2', 'a2', 'repeat 0', 'b']);
    expect(model.lineOf(2)).toBe(2);
    model.toggle(1, false);
    expect(shown(model)).toEqual(['root', 'a', 'repeat 0', 'b']);
  });

  it('are named for whoever hears them', () => {
    const model = new Model(sample([{ parent: -1, start: 0, duration: 1, name: 'pay', flags: 1 | 2 }]));
    expect(model.words(0)).toBe('pay, failed, on the critical path');
    expect(model.nodeOf('0000000000000001')).toBe(0);
    expect(model.nodeOf('nonsense')).toBe(-1);
    expect(model.spanId(0)).toBe('0000000000000001');
  });

  it('open nested repeats, and only those that hold the span', () => {
    const model = new Model(
      sample(
        [
          { parent: -1, start: 0, duration: 9 },
          ...Array.from({ length: 5 }, (_, turn) => [
            { parent: 0, start: turn, duration: 1, name: `outer ${turn}` },
            ...Array.from({ length: 5 }, () => ({ parent: 1 + turn * 6, start: turn, duration: 0.1, name: 'inner' })),
          ]).flat(),
        ],
        { repeats: [{ first: 1, nodes: 30, members: 5 }, ...[0, 1, 2, 3, 4].map((turn) => ({ first: 2 + turn * 6, nodes: 5, members: 5 }))] },
      ),
    );
    expect(model.lines).toBe(2);
    model.reveal(16);
    expect(Array.from(model.folded)).toEqual([0, 1, 1, 0, 1, 1]);
  });
});

describe('marks by node', () => {
  it('keep their order and leave out those of none', () => {
    const { starts, order } = byNode(Int32Array.from([2, 0, -1, 2, 1]), 4);
    expect(Array.from(starts)).toEqual([0, 1, 2, 4, 4]);
    expect(Array.from(order)).toEqual([1, 4, 0, 3]);
  });
});

it('a model is the same made at once and in steps', async () => {
  const [atOnce, inSteps] = [new Model(trace()), await Model.prepared(trace())];
  expect(inSteps.logs).toEqual(atOnce.logs);
  expect(shown(inSteps)).toEqual(shown(atOnce));
});

it('the greatest come first, each once', () => {
  expect(greatest(Float64Array.from([3, 9, 1, 9, 4]), 3)).toEqual([1, 3, 4]);
  expect(greatest(new Float64Array(0), 3)).toEqual([]);
});
