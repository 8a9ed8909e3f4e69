import { expect, test } from 'vitest';
import { asked, panelOf } from './boards';
import { EMPTY, fromAddress, toAddress } from './question';

test('a question that is kept is asked again as it was', () => {
  const q = toAddress({ ...EMPTY, calculations: [{ op: 'P99', column: 'duration_ms' }], breakdowns: ['http.route'], filters: [{ column: 'error', op: '=', value: true }], limit: 5 });
  const panel = panelOf({ q, summary: 'slow', at: 0 });
  expect(panel?.query).toMatchObject({ breakdowns: ['http.route'], limit: 5 });
  expect(fromAddress(asked(panel!).q)).toEqual(fromAddress(q));
});

test('a query in Logs Insights keeps its text, and an address of another kind is left out', () => {
  const panel = panelOf({ q: '', text: 'stats count(*)', summary: 'all', at: 0 });
  expect(asked(panel!)).toEqual({ q: null, text: 'stats count(*)' });
  expect(panelOf({ q: 'none of ours', summary: '', at: 0 })).toBeNull();
});
