import { describe, expect, it } from 'vitest';
import { asText, formatted, placeOf, tokens } from './insights';
import { EMPTY } from './question';

const kinds = (query: string): string => tokens(query).filter(({ kind }) => kind !== 'blank').map(({ kind, text }) => `${kind}:${text}`).join(' ');

describe('tokens', () => {
  it('are the whole text, whatever it is', () => {
    for (const query of ['', 'filter a like /x|y/ | stats count(*) by bin(5m)', 'parse @message "a | *" as x', '"open', '/|/|`é', "fields a / b | sort b desc # x | y\n| limit 3", 'filter x = "\\"|" ']) {
      expect(tokens(query).map(({ text }) => text).join('')).toBe(query);
    }
  });
  it('tell commands, functions, patterns and divisions apart', () => {
    expect(kinds('filter stats like /a|b/ | stats sum(a / b) as c')).toBe('command:filter name:stats word:like pattern:/a|b/ pipe:| command:stats function:sum sign:( name:a sign:/ name:b sign:) word:as name:c');
    expect(kinds('parse f /(?<x>a|b)/')).toBe('command:parse name:f pattern:/(?<x>a|b)/');
  });
});

describe('formatted', () => {
  it('puts one command on a line and keeps what is within texts and patterns', () => {
    expect(formatted('filter  a = "x | y"|stats count(*)   by b |limit 3')).toBe('filter a = "x | y"\n| stats count(*) by b\n| limit 3');
    expect(formatted('filter a like /x | y/ | limit 1')).toBe('filter a like /x | y/\n| limit 1');
  });
  it('keeps comments on their lines, and is stable', () => {
    const once = formatted('# what | for\nfilter a = 1 # here\n  | limit 2');
    expect(once).toBe('# what | for\nfilter a = 1 # here\n| limit 2');
    expect(formatted(once)).toBe(once);
  });
});

it('finds the place of a byte', () => {
  expect(placeOf('aé😀b', 0)).toBe(0);
  expect(placeOf('aé😀b', 3)).toBe(2);
  expect(placeOf('aé😀b', 7)).toBe(4);
  expect(placeOf('ab', 99)).toBe(2);
});

describe('a question as text', () => {
  it('has filters, groups, order and limit', () => {
    const text = asText({ ...EMPTY, calculations: [{ op: 'COUNT' }, { op: 'P999', column: 'duration_ms' }], filters: [{ column: 'http.route', op: '=', value: "it's" }, { column: 'a-b', op: 'exists' }], breakdowns: ['service.name'], orders: [{ op: 'P999', column: 'duration_ms', order: 'descending' }], limit: 7 });
    expect(text).toBe("filter http.route = 'it\\'s' and ispresent(`a-b`)\n| stats count(*), pct(duration_ms, 99.9) by service.name\n| sort pct(duration_ms, 99.9) desc\n| limit 7");
  });
  it('of events asks for fields', () => {
    expect(asText(EMPTY)).toBe('fields @timestamp, service.name, name, duration_ms\n| limit 100');
  });
});
