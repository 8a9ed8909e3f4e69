// Text of Logs Insights, as far as a page needs to know it: its tokens for colours and lines, where an error is, and a
// question of the builder said in it. What a query means, and what is wrong with it, the server says.

import type { Scalar } from './api';
import type { Calculation, Filter, Question } from './question';

export type Kind = 'command' | 'function' | 'text' | 'number' | 'pattern' | 'comment' | 'pipe' | 'word' | 'name' | 'sign' | 'blank';
export interface Token {
  kind: Kind;
  text: string;
  start: number;
}

const COMMANDS = new Set(
  'fields display filter where filterindex stats sort limit head tail parse dedup pattern diff unnest expand unmask countfrequent source'.split(' '),
);
const WORDS = new Set('as by and or not in like asc desc any multi logfmt csv into true false null previousday previousweek previousmonth'.split(' '));
const NAME = /[\p{L}_@$][\p{L}\p{N}_@$.]*/uy;
const NUMBER = /\d+(\.\d+)?(e[+-]?\d+)?[a-z]{0,3}/iy;

/** Splits a query; every character is in one token. */
export function tokens(query: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  // Behind these a slash begins a regular expression; elsewhere it divides.
  let pattern = false;
  let command = true;
  let parsing = false;
  const push = (kind: Kind, end: number): void => {
    found.push({ kind, text: query.slice(at, end), start: at });
    at = end;
  };
  const matched = (sticky: RegExp): number => {
    sticky.lastIndex = at;
    return sticky.test(query) ? sticky.lastIndex : -1;
  };
  while (at < query.length) {
    const letter = query[at]!;
    if (/\s/.test(letter)) {
      push('blank', matched(/\s+/y));
      continue;
    }
    if (letter === '#') push('comment', matched(/[^\n]*/y));
    else if (letter === '"' || letter === "'" || letter === '`') {
      const end = matched(letter === '"' ? /"(?:[^"\\]|\\[^])*"/y : letter === "'" ? /'(?:[^'\\]|\\[^])*'/y : /`[^`]*`/y);
      push(letter === '`' ? 'name' : 'text', end < 0 ? query.length : end);
      pattern = parsing;
      command = false;
    } else if (letter === '/' && pattern) {
      const end = matched(/\/(?:[^/\\\n]|\\.)*\//y);
      push('pattern', end < 0 ? query.length : end);
      pattern = false;
    } else if (letter === '|') {
      push('pipe', at + 1);
      [command, pattern, parsing] = [true, false, false];
    } else if (/\d/.test(letter)) {
      push('number', matched(NUMBER));
      pattern = false;
    } else {
      const end = matched(NAME);
      if (end < 0) {
        const wide = /^(=~|!=|<=|>=)/.exec(query.slice(at));
        push('sign', at + (wide ? 2 : 1));
        if (wide?.[0] === '=~') pattern = true;
        continue;
      }
      const word = query.slice(at, end).toLowerCase();
      const called = /^\s*\(/.test(query.slice(end));
      const kind = command && COMMANDS.has(word) ? 'command' : WORDS.has(word) && !called ? 'word' : called ? 'function' : 'name';
      push(kind, end);
      if (kind === 'command') parsing = word === 'parse';
      pattern = word === 'like' || parsing;
      command = false;
    }
  }
  return found;
}

/** One command per line; blanks that mean nothing go. */
export function formatted(query: string): string {
  let text = '';
  for (const { kind, text: part } of tokens(query)) {
    if (kind === 'pipe') text = `${text.trimEnd()}\n| `;
    // A comment ends with its line, so that line stays one.
    else if (kind === 'blank') text += /#[^\n]*$/.test(text) && part.includes('\n') ? '\n' : text === '' || text.endsWith('| ') || text.endsWith('\n') ? '' : ' ';
    else text += part;
  }
  return text.trim();
}

/** Place in a JavaScript string of a place in its UTF-8 bytes, which is what error spans count. */
export function placeOf(text: string, byte: number): number {
  let bytes = 0;
  let place = 0;
  for (const letter of text) {
    if (bytes >= byte) break;
    const code = letter.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    place += letter.length;
  }
  return place;
}

// === a question of the builder as text ===

const named = (column: string): string => (/^[A-Za-z_@][\w@.]*$/.test(column) ? column : `\`${column}\``);
const quoted = (value: Scalar): string => (typeof value === 'string' ? `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'` : String(value));

function filterText({ column, op, value }: Filter): string | null {
  const name = named(column);
  const list = (Array.isArray(value) ? value : [value ?? null]).map(quoted).join(', ');
  const one = Array.isArray(value) ? '' : quoted(value ?? null);
  switch (op) {
    case 'exists': return `ispresent(${name})`;
    case 'does-not-exist': return `not ispresent(${name})`;
    case 'contains': return `strcontains(${name}, ${one})`;
    case 'does-not-contain': return `not strcontains(${name}, ${one})`;
    case 'starts-with': return `startsWith(${name}, ${one})`;
    case 'does-not-start-with': return `not startsWith(${name}, ${one})`;
    case 'ends-with': return `endsWith(${name}, ${one})`;
    case 'does-not-end-with': return `not endsWith(${name}, ${one})`;
    case 'in': return `${name} in [${list}]`;
    case 'not-in': return `${name} not in [${list}]`;
    default: return `${name} ${op} ${one}`;
  }
}

function calculationText({ op, column }: Calculation): string | null {
  if (op === 'COUNT') return 'count(*)';
  if (!column) return null;
  const name = named(column);
  const percentile = /^P(\d+)$/.exec(op)?.[1];
  if (percentile) return `pct(${name}, ${percentile.length === 3 ? `${percentile.slice(0, 2)}.${percentile[2]}` : Number(percentile)})`;
  const plain: Record<string, string> = { SUM: 'sum', AVG: 'avg', MIN: 'min', MAX: 'max', COUNT_DISTINCT: 'count_distinct', HEATMAP: 'avg' };
  return plain[op] ? `${plain[op]}(${name})` : null;
}

/** As near as the language comes: relations between spans and calculations over time have no words in it. */
export function asText(question: Question): string {
  const lines: string[] = [];
  const conditions = question.filters.map(filterText).filter((one) => one !== null);
  if (conditions.length) lines.push(`filter ${conditions.join(question.filter_combination ? ' or ' : ' and ')}`);
  const by = question.breakdowns.map(named);
  const calculations = [...new Set(question.calculations.map(calculationText).filter((one) => one !== null))];
  if (question.calculations.length === 0 && by.length === 0) {
    lines.unshift('fields @timestamp, service.name, name, duration_ms');
    lines.push(`limit ${question.limit ?? 100}`);
    return lines.join('\n| ');
  }
  const all = calculations.length ? calculations : ['count(*)'];
  lines.push(`stats ${all.join(', ')}${by.length ? ` by ${by.join(', ')}` : ''}`);
  const orders = question.orders.map((order) => {
    const of = order.op ? calculationText({ op: order.op, ...(order.column ? { column: order.column } : {}) }) : order.column ? named(order.column) : null;
    return of && (all.includes(of) || by.includes(of)) ? `${of} ${order.order === 'ascending' ? 'asc' : 'desc'}` : null;
  }).filter((one) => one !== null);
  lines.push(`sort ${orders.length ? orders.join(', ') : `${all[0]} desc`}`, `limit ${question.limit ?? 50}`);
  return lines.join('\n| ');
}
