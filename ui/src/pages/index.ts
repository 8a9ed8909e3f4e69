// The pages: one line each. A page is a component `Page.svelte` in a folder of its own, loaded when it is first shown.

import type { Component } from 'svelte';

export interface PageEntry {
  /** Path of the address; `:id` stands for one part and is handed to the page as `id`. */
  path: string;
  title: string;
  icon: string;
  /** Shown in the rail, in this order. */
  rail?: boolean;
  /** Second key after g. */
  key?: string;
  // Only a page whose path has `:id` takes a property.
  load: () => Promise<{ default: Component<any> }>;
}

export const PAGES: PageEntry[] = [
  { path: '/', title: 'Home', icon: 'home', rail: true, key: 'h', load: () => import('./home/Page.svelte') },
  { path: '/query', title: 'Query', icon: 'query', rail: true, key: 'q', load: () => import('./query/Page.svelte') },
  { path: '/traces', title: 'Traces', icon: 'traces', rail: true, key: 't', load: () => import('./traces/Page.svelte') },
  { path: '/trace/:id', title: 'Trace', icon: 'traces', load: () => import('./trace/Page.svelte') },
  { path: '/logs', title: 'Logs', icon: 'logs', rail: true, key: 'l', load: () => import('./logs/Page.svelte') },
  { path: '/services', title: 'Services', icon: 'services', rail: true, key: 's', load: () => import('./services/Page.svelte') },
  { path: '/map', title: 'Map', icon: 'map', rail: true, key: 'm', load: () => import('./map/Page.svelte') },
  { path: '/boards', title: 'Boards', icon: 'boards', rail: true, key: 'b', load: () => import('./boards/Page.svelte') },
  { path: '/usage', title: 'Usage', icon: 'usage', rail: true, key: 'u', load: () => import('./usage/Page.svelte') },
  { path: '/rejections', title: 'Rejections', icon: 'rejections', rail: true, key: 'r', load: () => import('./rejections/Page.svelte') },
  { path: '/setup', title: 'Send data', icon: 'setup', rail: true, key: 'i', load: () => import('./setup/Page.svelte') },
  { path: '/settings', title: 'Settings', icon: 'settings', rail: true, key: ',', load: () => import('./settings/Page.svelte') },
];

export function pageOf(path: string): { page: PageEntry; id: string | undefined } | null {
  for (const page of PAGES) {
    if (page.path === path) return { page, id: undefined };
    if (page.path.endsWith('/:id')) {
      const head = page.path.slice(0, -3);
      const rest = path.slice(head.length);
      if (path.startsWith(head) && rest !== '' && !rest.includes('/')) return { page, id: decodeURIComponent(rest) };
    }
  }
  return null;
}
