// What may stand at a place of a query: asked of the server, and of the columns alone where a server does not say.

import { columns, Failure, request } from '../../lib/api';
import { scope } from '../../lib/scope.svelte';
import type { Completions } from './editor';

let older = false;

export async function complete(text: string, position: number): Promise<Completions | null> {
  const { start_time, end_time, datasets } = scope.spec();
  if (!older) {
    try {
      return await request<Completions>('POST', '/api/v1/complete', { body: { language: 'insights', query: text, position, start_time, end_time, ...(datasets ? { datasets } : {}) } });
    } catch (thrown) {
      if (Failure.of(thrown).code !== 'not_found') return null;
      older = true;
    }
  }
  const typed = /[\w@.]*$/.exec(text.slice(0, position))?.[0] ?? '';
  const known = await columns(scope.datasets.length === 1 ? scope.datasets[0]! : null).catch(() => []);
  const items = known
    .filter(({ name }) => name.toLowerCase().includes(typed.toLowerCase()))
    .slice(0, 50)
    .map(({ name }) => ({ label: name, kind: 'column', insert: /^[A-Za-z_@][\w@.]*$/.test(name) ? name : `\`${name}\`` }));
  return { from: position - typed.length, to: position, items };
}
