// Asking, and keeping the last answer on screen while the next one is on its way. A newer question cancels the older.

import { Failure } from './api';

export class Load<T> {
  value: T | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  busy = $state(false);
  /** 0 to 1 while an answer is on its way and says so. */
  progress: number | null = $state(null);
  #controller: AbortController | null = null;

  async run(work: (signal: AbortSignal, partial: (value: T, progress?: number) => void) => Promise<T>): Promise<void> {
    this.#controller?.abort();
    const controller = new AbortController();
    this.#controller = controller;
    this.busy = true;
    this.progress = null;
    try {
      const value = await work(controller.signal, (partial, progress) => {
        if (this.#controller !== controller) return;
        this.value = partial;
        this.progress = progress ?? null;
      });
      if (this.#controller !== controller) return;
      this.value = value;
      this.failure = null;
    } catch (thrown) {
      if (this.#controller !== controller) return;
      this.failure = Failure.of(thrown);
    }
    this.busy = false;
    this.progress = null;
  }

  /** Stops what is under way. The last answer stays; `failure` says it was cancelled. */
  cancel(): void {
    this.#controller?.abort();
  }

  clear(): void {
    this.#controller?.abort();
    this.#controller = null;
    this.value = null;
    this.failure = null;
    this.busy = false;
  }
}
