// Draws the lines of the waterfall that are seen, and nothing else: a frame costs the same for a hundred spans and for
// a million. No objects are made per line but texts that were cut to fit, and those are kept.

import { duration, grouped } from '../../lib/format';
import { FLAG } from './columns';
import { LINE, type Model } from './model';
import { ticks, type Window } from './scale';

export interface Palette {
  ground: string;
  raised: string;
  line: string;
  text: string;
  quiet: string;
  accent: string;
  selection: string;
  selectionGround: string;
  error: string;
  warning: string;
  match: string;
  services: string[];
  identicons: Path2D[];
}

export interface Options {
  critical: boolean;
  gaps: boolean;
}

export interface Scene {
  model: Model;
  palette: Palette;
  window: Window;
  options: Options;
  /** First pixel of the list that is seen, below the axis. */
  top: number;
  width: number;
  height: number;
  labelWidth: number;
  lineHeight: number;
  selected: number;
  hovered: number;
  matches: Uint8Array | null;
  /** A stretch of time that is being dragged over. */
  dragged: Window | null;
}

export const AXIS = 24;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';
const SMALL = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';
const MARGIN = 10;

/** Pixels of one level of the tree, and how many levels are left out at the left. */
export interface Indent {
  step: number;
  skipped: number;
}

/** Deep trees are drawn narrower, and begin where what is seen begins. */
export function indentOf(least: number, most: number, labelWidth: number): Indent {
  const skipped = most > 12 ? Math.max(0, least - 1) : 0;
  const levels = Math.max(1, most - skipped);
  return { step: Math.max(1, Math.min(14, (labelWidth * 0.4) / levels)), skipped };
}

/** The pixel of a time. */
export const pixelOf = (scene: Pick<Scene, 'window' | 'width' | 'labelWidth'>, time: number): number => {
  const room = scene.width - scene.labelWidth - 2 * MARGIN;
  return scene.labelWidth + MARGIN + ((time - scene.window.from) / (scene.window.to - scene.window.from)) * room;
};

/** The time of a pixel. */
export const timeOf = (scene: Pick<Scene, 'window' | 'width' | 'labelWidth'>, pixel: number): number => {
  const room = scene.width - scene.labelWidth - 2 * MARGIN;
  return scene.window.from + ((pixel - scene.labelWidth - MARGIN) / Math.max(1, room)) * (scene.window.to - scene.window.from);
};

const cuts = new Map<string, string>();

/** A text that fits, cut with an ellipsis where it does not. */
function cut(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (room < 12) return '';
  // A character is at most so wide that short texts need no measuring.
  if (text.length * 6 < room * 0.6) return text;
  const place = Math.round(room / 4);
  const key = `${place}\u0000${text}`;
  const known = cuts.get(key);
  if (known !== undefined) return known;
  if (cuts.size > 4000) cuts.clear();
  let shown = text.length > 400 ? text.slice(0, 400) : text;
  let width = context.measureText(shown).width;
  if (width > place * 4) {
    let keep = Math.floor((shown.length * place * 4) / width);
    do {
      shown = `${text.slice(0, Math.max(0, keep))}…`;
      width = context.measureText(shown).width;
      keep -= 1;
    } while (width > place * 4 && keep > 0);
  }
  cuts.set(key, shown);
  return shown;
}

export function draw(context: CanvasRenderingContext2D, scene: Scene): void {
  const { model, palette, width, height, lineHeight, top } = scene;
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, width, height);
  const first = Math.max(0, Math.floor(top / lineHeight));
  const last = Math.min(model.lines - 1, Math.ceil((top + height - AXIS) / lineHeight));
  let least = Infinity;
  let most = 0;
  for (let line = first; line <= last; line += 1) {
    const depth = model.analysis.spans.depth[model.node[line]!]!;
    least = Math.min(least, depth);
    most = Math.max(most, depth);
  }
  const indent = indentOf(least, most, scene.labelWidth);
  for (let line = first; line <= last; line += 1) ground(context, scene, line, AXIS + line * lineHeight - top);
  grid(context, scene);
  context.textBaseline = 'middle';
  for (let line = first; line <= last; line += 1) {
    const y = AXIS + line * lineHeight - top;
    if (model.kind[line] === LINE.log) logLine(context, scene, line, y, indent);
    else spanLine(context, scene, line, y, indent);
  }
  axis(context, scene);
}

function ground(context: CanvasRenderingContext2D, scene: Scene, line: number, y: number): void {
  const { palette, width, lineHeight } = scene;
  const node = scene.model.node[line]!;
  if (line === scene.selected) {
    context.fillStyle = palette.selectionGround;
    context.fillRect(0, y, width, lineHeight);
    context.fillStyle = palette.selection;
    context.fillRect(0, y, 3, lineHeight);
  } else if (line === scene.hovered) {
    context.fillStyle = palette.raised;
    context.fillRect(0, y, width, lineHeight);
  }
  if (scene.matches?.[node] === 1 && scene.model.kind[line] !== LINE.log) {
    context.fillStyle = palette.match;
    context.fillRect(4, y + 2, scene.labelWidth - 8, lineHeight - 4);
  }
}

function grid(context: CanvasRenderingContext2D, scene: Scene): void {
  context.fillStyle = scene.palette.line;
  context.globalAlpha = 0.6;
  for (const tick of ticksOf(scene)) context.fillRect(Math.round(pixelOf(scene, tick)), AXIS, 1, scene.height);
  context.globalAlpha = 1;
  context.fillRect(scene.labelWidth, 0, 1, scene.height);
}

const ticksOf = (scene: Scene): number[] => ticks(scene.window, Math.max(2, Math.floor((scene.width - scene.labelWidth) / 120)));

function axis(context: CanvasRenderingContext2D, scene: Scene): void {
  const { palette, width, labelWidth } = scene;
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, width, AXIS);
  context.fillStyle = palette.line;
  context.fillRect(0, AXIS - 1, width, 1);
  context.fillRect(labelWidth, 0, 1, AXIS);
  context.font = SMALL;
  context.fillStyle = palette.quiet;
  context.fillText('service and span', 10, AXIS / 2);
  let free = labelWidth;
  for (const tick of ticksOf(scene)) {
    const label = tick === 0 ? '0' : duration(tick);
    const wide = context.measureText(label).width;
    const x = Math.round(pixelOf(scene, tick));
    context.fillRect(x, AXIS - 5, 1, 4);
    const at = Math.min(x + 4, width - wide - 2);
    if (at < free + 6) continue;
    context.fillText(label, at, AXIS / 2);
    free = at + wide;
  }
  if (scene.dragged) {
    const from = pixelOf(scene, Math.min(scene.dragged.from, scene.dragged.to));
    const to = pixelOf(scene, Math.max(scene.dragged.from, scene.dragged.to));
    context.globalAlpha = 0.16;
    context.fillStyle = palette.accent;
    context.fillRect(from, 0, to - from, scene.height);
    context.globalAlpha = 1;
    context.fillRect(from, 0, 1, scene.height);
    context.fillRect(to, 0, 1, scene.height);
    const label = duration(Math.abs(scene.dragged.to - scene.dragged.from));
    context.fillStyle = palette.text;
    context.fillText(label, Math.min(to + 6, width - context.measureText(label).width - 4), AXIS + 10);
  }
}

/** Where the text of a line begins. */
export const labelStart = (depth: number, indent: Indent): number => 8 + Math.max(0, depth - indent.skipped) * indent.step;

function spanLine(context: CanvasRenderingContext2D, scene: Scene, line: number, y: number, indent: Indent): void {
  const { model, palette, lineHeight, labelWidth } = scene;
  const { spans, repeats, templates } = model.analysis;
  const node = model.node[line]!;
  const flags = spans.flags[node]!;
  const middle = y + lineHeight / 2;
  const service = spans.service[node]!;
  const colour = palette.services[service] ?? palette.quiet;
  const isRepeat = model.kind[line] === LINE.repeat;
  const repeat = isRepeat ? model.ref[line]! : -1;
  const failed = isRepeat ? repeats.errors[repeat]! > 0 : (flags & FLAG.error) !== 0;

  // The tree.
  const depth = spans.depth[node]!;
  let x = labelStart(depth, indent);
  if (indent.step >= 5) {
    context.fillStyle = palette.line;
    for (let level = Math.max(0, indent.skipped); level < depth; level += 1) context.fillRect(Math.round(labelStart(level, indent) + 5), y, 1, lineHeight);
  }
  if (model.isOpenable(line)) {
    context.fillStyle = palette.quiet;
    context.beginPath();
    if (model.isOpen(line)) {
      context.moveTo(x + 1, middle - 2.5);
      context.lineTo(x + 10, middle - 2.5);
      context.lineTo(x + 5.5, middle + 3.5);
    } else {
      context.moveTo(x + 3, middle - 4.5);
      context.lineTo(x + 9, middle);
      context.lineTo(x + 3, middle + 4.5);
    }
    context.fill();
  }
  x += 14;
  const icon = palette.identicons[service];
  if (icon) {
    context.save();
    context.translate(x, middle - 5);
    context.scale(2, 2);
    context.fillStyle = colour;
    context.fill(icon);
    context.restore();
  }
  x += 16;
  if (failed) {
    cross(context, palette, x + 5, middle);
    x += 15;
  } else if ((flags & FLAG.errorBelow) !== 0 && !model.isOpen(line)) {
    context.strokeStyle = palette.error;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x + 4, middle, 3, 0, 7);
    context.stroke();
    x += 13;
  }
  context.font = FONT;
  const end = labelWidth - 6;
  const hidden = !isRepeat && model.collapsed[node] === 1 ? `+${grouped(spans.size[node]! - 1)}` : '';
  const hiddenWidth = hidden ? context.measureText(hidden).width + 8 : 0;
  const name = isRepeat ? `${grouped(repeats.members[repeat]!)} × ${templates[repeats.template[repeat]!] ?? ''}` : model.name(node);
  const serviceName = model.service(node);
  // The same service as the line above needs no second telling, where there is little room.
  const known = line > 0 && spans.service[model.node[line - 1]!] === service && spans.depth[model.node[line - 1]!]! === depth;
  if (serviceName && (!known || labelWidth > 360)) {
    const shown = cut(context, serviceName, Math.min((end - x - hiddenWidth) * 0.4, 130));
    context.fillStyle = palette.quiet;
    context.fillText(shown, x, middle);
    x += shown ? context.measureText(shown).width + 7 : 0;
  }
  context.fillStyle = failed ? palette.error : (flags & FLAG.missing) !== 0 ? palette.quiet : palette.text;
  const shown = cut(context, name, end - x - hiddenWidth);
  context.fillText(shown, x, middle);
  if (hidden) {
    x += context.measureText(shown).width + 7;
    context.fillStyle = palette.quiet;
    context.fillText(hidden, x, middle);
  }

  // Its time.
  context.save();
  context.beginPath();
  context.rect(labelWidth + 1, y, scene.width - labelWidth, lineHeight);
  context.clip();
  const start = isRepeat ? repeats.start_ms[repeat]! : spans.start_ms[node]!;
  const stop = isRepeat ? repeats.end_ms[repeat]! : start + spans.duration_ms[node]!;
  const from = pixelOf(scene, start);
  const to = Math.max(from + 2, pixelOf(scene, stop));
  const high = Math.min(12, lineHeight - 8);
  const roof = Math.round(middle - high / 2);
  if (to > labelWidth && from < scene.width) {
    if (isRepeat) members(context, scene, repeat, colour, from, to, roof, high);
    else bar(context, scene, node, colour, from, to, roof, high);
    if (failed) {
      context.strokeStyle = palette.error;
      context.lineWidth = 1.5;
      context.strokeRect(from - 1.5, roof - 1.5, to - from + 3, high + 3);
    }
  }
  if (!isRepeat) marks(context, scene, node, roof, high);
  barLabel(context, scene, line, { from, to, middle, isRepeat, repeat, node });
  context.restore();
}

function barLabel(
  context: CanvasRenderingContext2D,
  scene: Scene,
  line: number,
  { from, to, middle, isRepeat, repeat, node }: { from: number; to: number; middle: number; isRepeat: boolean; repeat: number; node: number },
): void {
  const { model, palette, labelWidth, width } = scene;
  const { repeats, spans } = model.analysis;
  let label = duration(isRepeat ? repeats.total_ms[repeat] : spans.duration_ms[node]);
  if (isRepeat) {
    const kind = repeats.kind[repeat]!;
    const errors = repeats.errors[repeat]!;
    label += ` in all${kind === 1 ? ', retries' : kind === 2 ? ', reconnects' : ''}${errors > 0 ? `, ${grouped(errors)} failed` : ''}`;
  } else {
    const tried = (spans.flags[node]! & FLAG.repeated) !== 0 ? model.repeatAt(node) : -1;
    if (tried >= 0) label += `  ${['×', 'tried ×', 'connected ×'][repeats.kind[tried]!]}${grouped(repeats.members[tried]!)}`;
    if (spans.copies[node]! > 1) label += `  came ×${spans.copies[node]}`;
    if ((spans.flags[node]! & FLAG.missing) !== 0) label = 'not sent';
    if ((spans.flags[node]! & FLAG.cut) !== 0) label += '  parent cut: circle';
  }
  context.font = SMALL;
  const wide = context.measureText(label).width;
  context.fillStyle = line === scene.selected ? palette.text : palette.quiet;
  if (to < labelWidth) {
    context.fillText(`← ${label}`, labelWidth + 6, middle);
  } else if (from > width) {
    context.fillText(`${label} →`, width - wide - 20, middle);
  } else if (to + wide + 12 < width) {
    context.fillText(label, to + 7, middle);
  } else if (from - wide - 8 > labelWidth) {
    context.fillText(label, from - wide - 7, middle);
  } else {
    const at = Math.max(from, labelWidth) + 8;
    context.fillStyle = palette.ground;
    context.globalAlpha = 0.85;
    context.fillRect(at - 4, middle - 7, wide + 8, 14);
    context.globalAlpha = 1;
    context.fillStyle = palette.text;
    context.fillText(label, at, middle);
  }
}

function cross(context: CanvasRenderingContext2D, palette: Palette, x: number, y: number): void {
  context.fillStyle = palette.error;
  context.beginPath();
  for (let corner = 0; corner < 8; corner += 1) {
    const angle = (corner + 0.5) * (Math.PI / 4);
    context.lineTo(x + 6 * Math.cos(angle), y + 6 * Math.sin(angle));
  }
  context.fill();
  context.strokeStyle = palette.ground;
  context.lineWidth = 1.6;
  context.beginPath();
  context.moveTo(x - 2.2, y - 2.2);
  context.lineTo(x + 2.2, y + 2.2);
  context.moveTo(x + 2.2, y - 2.2);
  context.lineTo(x - 2.2, y + 2.2);
  context.stroke();
}

function bar(context: CanvasRenderingContext2D, scene: Scene, node: number, colour: string, from: number, to: number, y: number, high: number): void {
  const { model, palette, options } = scene;
  const { spans, critical_path, gaps } = model.analysis;
  const flags = spans.flags[node]!;
  if ((flags & FLAG.missing) !== 0) {
    context.strokeStyle = palette.quiet;
    context.lineWidth = 1;
    context.setLineDash([4, 3]);
    context.strokeRect(from + 0.5, y + 0.5, to - from - 1, high - 1);
    context.setLineDash([]);
    return;
  }
  const onPath = options.critical && (flags & FLAG.critical) !== 0;
  context.fillStyle = colour;
  context.globalAlpha = options.critical ? 0.38 : 0.9;
  context.beginPath();
  context.roundRect(from, y, to - from, high, 2);
  context.fill();
  context.globalAlpha = 1;
  if (onPath) {
    // Pieces that are closer than a pixel are one.
    let reached = -1;
    for (let at = model.path.starts[node]!; at < model.path.starts[node + 1]!; at += 1) {
      const piece = model.path.order[at]!;
      if (critical_path.start_ms[piece]! > scene.window.to) break;
      const stop = pixelOf(scene, critical_path.end_ms[piece]!);
      if (stop <= reached || stop < scene.labelWidth) continue;
      const start = Math.max(reached, pixelOf(scene, critical_path.start_ms[piece]!));
      const wide = Math.max(1, stop - start);
      context.fillStyle = colour;
      context.fillRect(start, y, wide, high);
      context.fillStyle = palette.text;
      context.fillRect(start, y + high, wide, 2);
      reached = start + wide;
    }
  }
  if (options.gaps) {
    context.font = SMALL;
    for (let at = model.gaps.starts[node]!; at < model.gaps.starts[node + 1]!; at += 1) {
      const gap = model.gaps.order[at]!;
      const start = Math.max(from, pixelOf(scene, gaps.start_ms[gap]!));
      const stop = Math.min(to, pixelOf(scene, gaps.end_ms[gap]!));
      if (stop - start < 3 || stop < scene.labelWidth || start > scene.width) continue;
      dotted(context, palette, start, stop, y + high / 2);
      const label = `idle ${duration(gaps.end_ms[gap]! - gaps.start_ms[gap]!)}`;
      const wide = context.measureText(label).width;
      if (stop - start > wide + 30) {
        const x = (Math.max(start, scene.labelWidth) + Math.min(stop, scene.width)) / 2 - wide / 2;
        context.fillStyle = palette.ground;
        context.fillRect(x - 4, y - 1, wide + 8, high + 2);
        context.fillStyle = palette.quiet;
        context.fillText(label, x, y + high / 2);
      }
    }
  }
  if (flags & FLAG.shifted) shifted(context, scene, node, from, y, high);
}

function dotted(context: CanvasRenderingContext2D, palette: Palette, from: number, to: number, y: number): void {
  context.fillStyle = palette.ground;
  context.fillRect(from, y - 3, to - from, 6);
  context.strokeStyle = palette.quiet;
  context.lineWidth = 1.5;
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(from + 1, y);
  context.lineTo(to - 1, y);
  context.stroke();
  context.setLineDash([]);
}

/** From where its clock put it to where it is drawn. */
function shifted(context: CanvasRenderingContext2D, scene: Scene, node: number, from: number, y: number, high: number): void {
  const { spans } = scene.model.analysis;
  const was = pixelOf(scene, spans.start_ms[node]! - spans.shift_ms[node]!);
  if (Math.abs(was - from) < 3) return;
  context.strokeStyle = scene.palette.warning;
  context.lineWidth = 1;
  context.setLineDash([3, 2]);
  context.strokeRect(was + 0.5, y + 0.5, Math.max(2, pixelOf(scene, spans.start_ms[node]! - spans.shift_ms[node]! + spans.duration_ms[node]!) - was), high - 1);
  context.setLineDash([]);
}

/** Repeated work: each member where it ran, as far as pixels tell them apart. */
function members(context: CanvasRenderingContext2D, scene: Scene, repeat: number, colour: string, from: number, to: number, y: number, high: number): void {
  const { repeats, spans } = scene.model.analysis;
  context.fillStyle = colour;
  context.globalAlpha = 0.25;
  context.beginPath();
  context.roundRect(from, y, to - from, high, 2);
  context.fill();
  context.globalAlpha = 0.9;
  const first = repeats.first[repeat]!;
  const all = repeats.nodes[repeat]!;
  const leaves = all === repeats.members[repeat];
  // Of very many a part is drawn: no more than can be told apart.
  const step = leaves ? Math.max(1, Math.floor(all / 2000)) : 0;
  let drawn = 0;
  let reached = -1;
  for (let node = first; node < first + all && drawn < 2500; node += step || spans.size[node]!) {
    drawn += 1;
    const start = pixelOf(scene, spans.start_ms[node]!);
    const stop = Math.max(start + 1, pixelOf(scene, spans.start_ms[node]! + spans.duration_ms[node]!));
    if (stop <= reached || stop < scene.labelWidth || start > scene.width) continue;
    context.fillRect(Math.max(start, reached), y, Math.max(1, stop - Math.max(start, reached) - 0.5), high);
    reached = stop;
  }
  context.globalAlpha = 1;
}

/** Span events, exceptions, links and log records of a span, on its bar. */
function marks(context: CanvasRenderingContext2D, scene: Scene, node: number, y: number, high: number): void {
  const { model, palette } = scene;
  const { events, logs, spans, exception_types } = model.analysis;
  const flags = spans.flags[node]!;
  if ((flags & (FLAG.events | FLAG.logs | FLAG.links)) === 0) return;
  let drawn = 0;
  if (flags & FLAG.logs) {
    context.fillStyle = palette.text;
    for (let at = model.logs.starts[node]!; at < model.logs.starts[node + 1]! && drawn < 500; at += 1, drawn += 1) {
      const x = pixelOf(scene, logs.time_ms[model.logs.order[at]!]!);
      if (x > scene.labelWidth && x < scene.width) context.fillRect(Math.round(x), y + high - 3, 1.5, 5);
    }
  }
  if (flags & FLAG.events) {
    for (let at = model.events.starts[node]!; at < model.events.starts[node + 1]! && drawn < 500; at += 1, drawn += 1) {
      const event = model.events.order[at]!;
      const x = pixelOf(scene, events.time_ms[event]!);
      if (x < scene.labelWidth || x > scene.width) continue;
      const exception = exception_types[events.exception_type[event]!] !== undefined || model.analysis.names[events.name[event]!] === 'exception';
      context.beginPath();
      if (exception) {
        context.moveTo(x, y - 1);
        context.lineTo(x + 5, y + 8);
        context.lineTo(x - 5, y + 8);
        context.closePath();
      } else {
        context.arc(x, y + high / 2, 3, 0, 7);
      }
      context.fillStyle = exception ? palette.error : palette.ground;
      context.strokeStyle = exception ? palette.ground : palette.text;
      context.lineWidth = 1;
      context.fill();
      context.stroke();
    }
  }
  if (flags & FLAG.links) {
    const x = pixelOf(scene, spans.start_ms[node]!);
    if (x < scene.labelWidth || x > scene.width) return;
    context.strokeStyle = palette.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x - 5, y + high / 2, 3, 0, 7);
    context.arc(x - 1, y + high / 2, 3, 0, 7);
    context.stroke();
  }
}

function logLine(context: CanvasRenderingContext2D, scene: Scene, line: number, y: number, indent: Indent): void {
  const { model, palette, lineHeight, labelWidth } = scene;
  const { logs, spans, severities, bodies, exception_messages, exception_types } = model.analysis;
  const log = model.ref[line]!;
  const node = model.node[line]!;
  const middle = y + lineHeight / 2;
  const severity = severities[logs.severity[log]!] ?? '';
  const bad = /error|fatal|critical/i.test(severity);
  const colour = bad ? palette.error : /warn/i.test(severity) ? palette.warning : palette.quiet;
  let x = labelStart(spans.depth[node]! + 1, indent) + 14;
  context.font = SMALL;
  context.fillStyle = colour;
  const told = cut(context, severity || 'log', 60);
  context.fillText(told, x, middle);
  x += context.measureText(told).width + 7;
  context.fillStyle = palette.text;
  const exception = exception_types[logs.exception_type[log]!];
  const text = (bodies[logs.body[log]!] ?? (exception ? `${exception}: ${exception_messages[logs.exception_message[log]!] ?? ''}` : '')).replace(/\s+/g, ' ');
  context.fillText(cut(context, text, labelWidth - x - 6), x, middle);
  const at = pixelOf(scene, logs.time_ms[log]!);
  if (at < labelWidth || at > scene.width) return;
  context.fillStyle = colour;
  context.beginPath();
  if (bad) {
    context.moveTo(at, middle - 4.5);
    context.lineTo(at + 4.5, middle);
    context.lineTo(at, middle + 4.5);
    context.lineTo(at - 4.5, middle);
  } else {
    context.arc(at, middle, 3, 0, 7);
  }
  context.fill();
  // The text again beside its time, where labels are short.
  if (labelWidth < 260) return;
  context.fillStyle = palette.quiet;
  context.fillText(cut(context, text, scene.width - at - 20), at + 9, middle);
}
