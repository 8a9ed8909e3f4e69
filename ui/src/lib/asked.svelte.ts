// A question that follows the scope: asked when it, the time, the datasets or the environment change, and on "again".

import { untrack } from 'svelte';
import type { Answer } from './api';
import { Load } from './load.svelte';
import { scope } from './scope.svelte';

/** Call while a component is made. `key` is what the question depends on beside the scope. */
export function follow<T>(key: () => unknown, ask: (signal: AbortSignal, tell: (answer: Answer) => void) => Promise<T>): Load<T> & { again: () => void } {
  const load = new Load<T>() as Load<T> & { again: () => void };
  load.again = () => void load.run((signal) => ask(signal, (answer) => !signal.aborted && (load.progress = answer.progress ?? null)));
  // One text, so that equal questions are not asked twice.
  const asked = $derived(JSON.stringify([key(), scope.range, scope.datasets, scope.environment]));
  $effect(() => {
    void asked;
    void scope.asked;
    untrack(load.again);
  });
  return load;
}
