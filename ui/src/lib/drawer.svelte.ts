// The one drawer at the right (a sheet on a phone): details of whatever was chosen.

import type { Component } from 'svelte';

interface Shown {
  title: string;
  // Components differ in what they take; whoever opens the drawer gives what its own needs.
  component: Component<any>;
  props: Record<string, unknown>;
}

class Drawer {
  shown: Shown | null = $state.raw(null);
  #opener: Element | null = null;

  open(title: string, component: Shown['component'], props: Record<string, unknown> = {}): void {
    if (!this.shown) this.#opener = document.activeElement;
    this.shown = { title, component, props };
  }

  close(): void {
    this.shown = null;
    if (this.#opener instanceof HTMLElement) this.#opener.focus();
    this.#opener = null;
  }
}

export const drawer = new Drawer();
