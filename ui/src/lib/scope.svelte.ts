// What every page asks about: environment, datasets, time. All of it lives in the address; this reads and writes it.

import { datasets as listDatasets, environment, Failure } from './api';
import { knowServices } from './colour';
import { here, set } from './router.svelte';
import { DEFAULT_RANGE, isRelative, resolve, type Range, type RangeText, type Zone } from './time';
import type { Dataset } from './types.gen';

class Scope {
  environment = $derived(here.params.get('env') ?? 'default');
  datasets = $derived((here.params.get('d') ?? '').split(',').filter((name) => name !== ''));
  text: RangeText = $derived({ from: here.params.get('from') ?? DEFAULT_RANGE.from, to: here.params.get('to') ?? DEFAULT_RANGE.to });
  zone: Zone = $derived(here.params.get('tz') === 'utc' ? 'utc' : 'local');
  /** Counts up when the user asks again: effects that ask read it. */
  asked = $state(0);
  #now = $state(Date.now());
  /** The range in milliseconds; a relative one as of the last time it was asked. */
  range: Range = $derived(resolve(this.text, this.#now));
  /** Known datasets of the environment; null until they are known. */
  known: Dataset[] | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);

  refresh(): void {
    this.#now = Date.now();
    this.asked += 1;
    void this.load();
  }

  setRange(text: RangeText): void {
    this.#now = Date.now();
    const standard = text.from === DEFAULT_RANGE.from && text.to === DEFAULT_RANGE.to;
    set(standard ? { from: null, to: null } : { from: text.from, to: text.to });
  }

  setDatasets(names: string[]): void {
    set({ d: names.join(',') || null });
  }

  get relative(): boolean {
    return isRelative(this.text);
  }

  /** Members of a query specification that say where and when. */
  spec(): { start_time: number; end_time: number; datasets?: string[] } {
    const times = { start_time: this.range.start / 1e3, end_time: this.range.end / 1e3 };
    return this.datasets.length ? { ...times, datasets: this.datasets } : times;
  }

  async load(): Promise<void> {
    const of = environment();
    try {
      const known = await listDatasets();
      if (of !== environment()) return;
      this.known = known;
      this.failure = null;
      knowServices(known.map((dataset) => dataset.name));
    } catch (thrown) {
      this.failure = Failure.of(thrown);
    }
  }
}

export const scope = new Scope();
