// Where the user is: path and query of the address, and nothing else, so that Back, reload and a shared link all mean
// the same. Pages read `here`, and move with `go` or a plain <a href={link(…)}>.

/** Parameters that go along from page to page: environment, datasets, time. */
const KEPT = ['env', 'd', 'from', 'to', 'tz'];

class Here {
  path = $state('/');
  search = $state('');
  /** The query of the address. */
  params = $derived(new URLSearchParams(this.search));
}

export const here = new Here();

export type Params = Record<string, string | null | undefined>;

function read(): void {
  here.path = location.pathname.replace(/(.)\/+$/, '$1');
  here.search = location.search;
}

/** Begins to follow the address. Called once. */
export function follow(): void {
  read();
  addEventListener('popstate', read);
  document.addEventListener('click', (event) => {
    const anchor = (event.target as Element).closest?.('a');
    if (!anchor || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || anchor.target || anchor.hasAttribute('download')) return;
    const url = new URL(anchor.href, location.href);
    if (url.origin !== location.origin || url.pathname.startsWith('/api/')) return;
    event.preventDefault();
    move(url.pathname + url.search, false);
  });
}

function move(target: string, replace: boolean): void {
  const changesPage = new URL(target, location.href).pathname !== location.pathname;
  if (target === location.pathname + location.search) replace = true;
  history[replace ? 'replaceState' : 'pushState'](null, '', target);
  read();
  if (changesPage) {
    scrollTo(0, 0);
    // A screen reader and the keyboard start at the page, not where the last one was left.
    queueMicrotask(() => document.getElementById('main')?.focus({ preventScroll: true }));
  }
}

/** The address of a page; time, datasets and environment come along unless named here (null leaves one out). */
export function link(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  const now = here.params;
  for (const name of KEPT) {
    const value = now.get(name);
    if (value !== null && !(name in params)) query.set(name, value);
  }
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== '') query.set(name, value);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** Goes to a page; Back comes back. */
export function go(path: string, params: Params = {}, replace = false): void {
  move(link(path, params), replace);
}

/** Changes parameters of this page: those not named stay. */
export function set(params: Params, replace = false): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === '') query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  move(text ? `${location.pathname}?${text}` : location.pathname, replace);
}
