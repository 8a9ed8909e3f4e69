// Times as people write and read them. A range is two texts, so that "now-2h" stays relative in a link until it is
// frozen. What cannot be read is null, never a guess.

export interface RangeText {
  from: string;
  to: string;
}
/** Milliseconds since the epoch, end exclusive. */
export interface Range {
  start: number;
  end: number;
}
export type Zone = 'local' | 'utc';

export const DEFAULT_RANGE: RangeText = { from: 'now-2h', to: 'now' };

export const PRESETS: ReadonlyArray<readonly [string, string]> = [
  ['now-5m', 'last 5 minutes'],
  ['now-15m', 'last 15 minutes'],
  ['now-30m', 'last 30 minutes'],
  ['now-1h', 'last hour'],
  ['now-2h', 'last 2 hours'],
  ['now-6h', 'last 6 hours'],
  ['now-24h', 'last 24 hours'],
  ['now-3d', 'last 3 days'],
  ['now-7d', 'last 7 days'],
  ['now-30d', 'last 30 days'],
];

const UNIT_MS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };
const LENGTH = /^(\d+(?:\.\d+)?)\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)$/i;

/** "2h", "90 minutes" in milliseconds. */
export function parseLength(text: string): number | null {
  const found = LENGTH.exec(text.trim());
  if (!found) return null;
  return Number(found[1]) * UNIT_MS[found[2]![0]!.toLowerCase()]!;
}

/** A moment: now-2h, 2 hours ago, yesterday, 14:03, ISO 8601, epoch in s, ms, µs or ns. */
export function parseMoment(text: string, now: number, zone: Zone = 'local'): number | null {
  const value = text.trim().toLowerCase();
  if (value === 'now' || value === '') return value ? now : null;
  const relative = /^(?:now)?\s*-\s*(.+)$/.exec(value) ?? /^(.+?)\s+ago$/.exec(value);
  if (relative) {
    const length = parseLength(relative[1]!);
    return length === null ? null : now - length;
  }
  if (/^\d{9,19}(\.\d+)?$/.test(value)) {
    const whole = value.split('.')[0]!.length;
    const number = Number(value);
    return whole <= 11 ? number * 1e3 : whole <= 14 ? number : whole <= 17 ? number / 1e3 : number / 1e6;
  }
  const midnight = (offset: number): number => {
    const day = new Date(now);
    if (zone === 'utc') day.setUTCHours(0, 0, 0, 0);
    else day.setHours(0, 0, 0, 0);
    return day.getTime() + offset * UNIT_MS.d!;
  };
  if (value === 'today') return midnight(0);
  if (value === 'yesterday') return midnight(-1);
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?$/.exec(value);
  if (clock) {
    const [hours, minutes, seconds] = [Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0) + Number(clock[4] ?? 0)];
    if (hours > 23 || minutes > 59 || seconds >= 60) return null;
    return midnight(0) + ((hours * 60 + minutes) * 60 + seconds) * 1e3;
  }
  const iso = /^(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?\s*(z|utc|[+-]\d{2}:?\d{2})?$/.exec(value);
  if (!iso) return null;
  const offset = iso[3] ? (/^(z|utc)$/.test(iso[3]) ? 'Z' : iso[3]) : zone === 'utc' ? 'Z' : '';
  // Date keeps three digits; it need not know more to ask for a range.
  const parsed = Date.parse(`${iso[1]}T${(iso[2] ?? '00:00').replace(/(\.\d{3})\d+/, '$1')}${offset.toUpperCase()}`);
  return Number.isNaN(parsed) ? null : parsed;
}

/** A range: "2h", "last 90 minutes", "2 hours ago", "14:00 to 14:30", "2026-11-22T10:00Z - now", one moment (±5 min for an epoch). */
export function parseRange(text: string, now: number, zone: Zone = 'local'): RangeText | null {
  const value = text.trim();
  const length = parseLength(value.replace(/^(the )?(last|past)\s+/i, ''));
  if (length !== null && length > 0) return { from: `now-${shortLength(length)}`, to: 'now' };
  const ago = /^(.+?)\s+ago$/i.exec(value);
  if (ago && !/\s(to|until)\s/.test(value)) {
    const back = parseLength(ago[1]!);
    return back ? { from: `now-${shortLength(back)}`, to: 'now' } : null;
  }
  for (const separator of [/\s+(?:to|until)\s+/i, /\s+[-–—]\s+/, /\s*\.\.\s*/]) {
    const parts = value.split(separator);
    if (parts.length !== 2) continue;
    const [start, end] = [parseMoment(parts[0]!, now, zone), parseMoment(parts[1]!, now, zone)];
    if (start === null || end === null || start >= end) continue;
    return { from: momentText(parts[0]!, start), to: momentText(parts[1]!, end) };
  }
  const moment = parseMoment(value, now, zone);
  if (moment === null) return null;
  if (/^(today|yesterday)$/i.test(value)) return { from: iso(moment), to: iso(moment + UNIT_MS.d!) };
  if (/^now\s*-/i.test(value)) return { from: momentText(value, moment), to: 'now' };
  // One moment was pasted, most likely out of a log or an alert: what happened around it.
  return { from: iso(moment - 5 * UNIT_MS.m!), to: iso(moment + 5 * UNIT_MS.m!) };
}

function momentText(text: string, moment: number): string {
  const value = text.trim().toLowerCase();
  return value === 'now' ? 'now' : /^now\s*-/.test(value) ? value.replace(/\s+/g, '') : iso(moment);
}

/** 5400000 → "90m": the largest unit that keeps it whole. */
export function shortLength(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms % UNIT_MS[unit]! === 0) return `${ms / UNIT_MS[unit]!}${unit}`;
  }
  return `${Math.round(ms / 1e3)}s`;
}

export function resolve(range: RangeText, now: number): Range {
  const end = parseMoment(range.to, now, 'utc') ?? now;
  const start = parseMoment(range.from, now, 'utc') ?? end - 2 * UNIT_MS.h!;
  return start < end ? { start, end } : { start: end - UNIT_MS.m!, end };
}

export const isRelative = (range: RangeText): boolean => range.to === 'now' || range.from.startsWith('now');

export function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** Frozen: the same moments for whoever opens the link. */
export function frozen(range: Range): RangeText {
  return { from: iso(range.start), to: iso(range.end) };
}

// === how moments are shown ===

function part(ms: number, zone: Zone, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone: zone === 'utc' ? 'UTC' : undefined, hourCycle: 'h23', ...options }).format(ms);
}

export const clockText = (ms: number, zone: Zone, seconds = true): string =>
  part(ms, zone, { hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}) });

export const dayText = (ms: number, zone: Zone): string => part(ms, zone, { day: 'numeric', month: 'short' });

/** 22 Nov 14:03:07.250 */
export function momentShown(ms: number, zone: Zone, precise = false): string {
  const millis = precise ? `.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, '0')}` : '';
  return `${dayText(ms, zone)} ${clockText(ms, zone)}${millis}`;
}

export function rangeShown(text: RangeText, range: Range, zone: Zone): string {
  if (text.to === 'now' && text.from.startsWith('now-')) {
    const preset = PRESETS.find(([from]) => from === text.from);
    if (preset) return preset[1];
    return `last ${text.from.slice(4)}`;
  }
  const sameDay = dayText(range.start, zone) === dayText(range.end, zone);
  const seconds = range.start % 60e3 !== 0 || range.end % 60e3 !== 0;
  const end = text.to === 'now' ? 'now' : (sameDay ? '' : `${dayText(range.end, zone)} `) + clockText(range.end, zone, seconds);
  return `${dayText(range.start, zone)} ${clockText(range.start, zone, seconds)} – ${end}`;
}

/** Milliseconds of an RFC 3339 text with up to nine digits, with fractions. */
export function momentOf(text: string): number {
  const fraction = /\.(\d+)/.exec(text);
  const whole = Date.parse(text.replace(/\.\d+/, ''));
  return whole + (fraction ? Number(`0.${fraction[1]}`) * 1e3 : 0);
}
