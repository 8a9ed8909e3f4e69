// The one way to the server. Every failure is a Failure with a code: those of CONTRACT.md, and three of our own:
// unreachable (no answer), cancelled (the user went on), unreadable (an answer that is not ours).
// An environment and a key go along with every request.

import { here } from './router.svelte';
import type { Cancelled, Column, ColumnValue, Dataset, ErrorBody, QueryAnswer, Rejection, Usage } from './types.gen';

export class Failure extends Error {
  readonly code: string;
  readonly status: number;
  readonly hint: string | undefined;
  readonly candidates: string[];
  /** JSON pointer into what was asked. */
  readonly path: string | undefined;
  readonly span: { start: number; end: number } | undefined;
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | undefined;

  constructor(status: number, error: ErrorBody['error']) {
    super(error.message);
    this.name = 'Failure';
    this.status = status;
    this.code = error.code;
    this.hint = error.hint;
    this.candidates = error.candidates ?? [];
    this.path = error.path;
    this.span = error.span;
    this.retryAfterMs = error.retry_after_ms;
    this.requestId = error.request_id;
  }

  static of(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    if (thrown instanceof DOMException && thrown.name === 'AbortError') return new Failure(0, { code: 'cancelled', message: 'cancelled' });
    return new Failure(0, { code: 'unreadable', message: thrown instanceof Error ? thrown.message : String(thrown) });
  }
}

const KEY = 'skein.key';

export function apiKey(): string {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export function setApiKey(key: string): void {
  if (key) localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
}

/** The environment that is read: of the address, else `default`. */
export const environment = (): string => here.params.get('env') ?? 'default';

function headers(more: Record<string, string>): Record<string, string> {
  const all: Record<string, string> = { ...more };
  if (environment() !== 'default') all['Skein-Environment'] = environment();
  const key = apiKey();
  if (key) all['Authorization'] = `Bearer ${key}`;
  return all;
}

export interface Ask {
  signal?: AbortSignal | undefined;
  body?: unknown;
  accept?: string;
  /** Another environment than that of the address. */
  environment?: string;
}

/** The response of a request that succeeded; throws a Failure otherwise. */
export async function raw(method: string, path: string, ask: Ask = {}): Promise<Response> {
  let response: Response;
  const more: Record<string, string> = { Accept: ask.accept ?? 'application/json' };
  if (ask.body !== undefined) more['Content-Type'] = 'application/json';
  const all = headers(more);
  if (ask.environment !== undefined) all['Skein-Environment'] = ask.environment;
  try {
    response = await fetch(path, {
      method,
      headers: all,
      body: ask.body === undefined ? null : JSON.stringify(ask.body),
      signal: ask.signal ?? null,
      credentials: 'omit',
    });
  } catch (thrown) {
    if (ask.signal?.aborted) throw Failure.of(new DOMException('', 'AbortError'));
    throw new Failure(0, {
      code: 'unreachable',
      message: `the server at ${location.host} does not answer`,
      hint: thrown instanceof Error ? thrown.message : String(thrown),
    });
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => '');
  let error: ErrorBody['error'] | undefined;
  try {
    error = (JSON.parse(text) as ErrorBody).error;
  } catch {
    error = undefined;
  }
  if (error?.code) throw new Failure(response.status, error);
  // A proxy between us and the server speaks for itself.
  if (response.status >= 500) {
    throw new Failure(response.status, { code: 'unreachable', message: `the server at ${location.host} does not answer`, hint: `something before it said ${response.status}` });
  }
  throw new Failure(response.status, { code: 'unreadable', message: `unexpected answer ${response.status}`, hint: text.slice(0, 200) });
}

/** A JSON answer. */
export async function request<T>(method: string, path: string, ask: Ask = {}): Promise<T> {
  const response = await raw(method, path, ask);
  try {
    return (await response.json()) as T;
  } catch (thrown) {
    if (ask.signal?.aborted) throw Failure.of(new DOMException('', 'AbortError'));
    throw Failure.of(thrown);
  }
}

export const datasets = (signal?: AbortSignal): Promise<Dataset[]> => request('GET', '/api/v1/datasets', { signal });
export const usage = (signal?: AbortSignal): Promise<Usage> => request('GET', '/api/v1/usage', { signal });
export const rejections = (signal?: AbortSignal): Promise<Rejection[]> => request('GET', '/api/v1/rejections', { signal });
export const columns = (dataset: string | null, signal?: AbortSignal): Promise<Column[]> =>
  request('GET', `/api/v1/datasets/${encodeURIComponent(dataset ?? '__all__')}/columns`, { signal });
export const values = (dataset: string | null, column: string, prefix = '', signal?: AbortSignal): Promise<ColumnValue[]> =>
  request(
    'GET',
    `/api/v1/datasets/${encodeURIComponent(dataset ?? '__all__')}/columns/${encodeURIComponent(column)}/values${prefix ? `?prefix=${encodeURIComponent(prefix)}` : ''}`,
    { signal },
  );

// === queries ===

export type Scalar = string | number | boolean | null;
export interface Stats {
  lo95: number | null;
  hi95: number | null;
  exact: boolean;
  n_traces: number | null;
  reliable: boolean;
}
export interface Histogram {
  edges: number[];
  counts: number[];
}
export type Cell = Scalar | Histogram;
export interface ResultRow {
  data: Record<string, Cell>;
  stats?: Record<string, Stats>;
}
export interface SeriesRow extends ResultRow {
  time: string;
}
export interface Results {
  results?: ResultRow[];
  series?: SeriesRow[];
  /** Over all groups, and over those beyond the limit. */
  total?: Record<string, Cell>;
  other?: Record<string, Cell>;
  compare?: Results;
  rows?: Array<Record<string, unknown>>;
  /** Of an answer in Logs Insights. */
  columns?: Array<{ name: string; type: string }>;
  next?: string;
}
export interface Meta {
  elapsed_ms: number;
  rows_scanned: number;
  bytes_scanned: number;
  segments: { considered: number; pruned: number; scanned: number };
  engine: string;
  complete_to: string;
  time_range: { start: string; end: string };
  warnings: Array<{ code: string; message: string }>;
  [more: string]: unknown;
}
export interface Answer {
  id: string;
  complete: boolean;
  progress?: number;
  snapshot: string;
  data: Results;
  meta: Meta;
}

/** Until then the first answer is waited for; afterwards progress is shown. */
const WAIT_MS = 700;
const POLL_MS = 350;

export interface Asking {
  signal?: AbortSignal | undefined;
  /** Told about every answer on the way. */
  partial?: (answer: Answer) => void;
}

/** Answers a specification. Cancelling also stops the server's work. */
export const query = (spec: Record<string, unknown>, asking: Asking = {}): Promise<Answer> => answered('/api/v1/query', spec, asking);

/** Answers a query in the language of Logs Insights. */
export const insights = (body: Record<string, unknown>, asking: Asking = {}): Promise<Answer> => answered('/api/v1/insights', body, asking);

async function answered(path: string, spec: Record<string, unknown>, { signal, partial }: Asking): Promise<Answer> {
  if (signal?.aborted) throw Failure.of(new DOMException('', 'AbortError'));
  // The first request is not aborted: its id is needed to stop the query.
  const first = request<QueryAnswer>('POST', path, { body: { wait_ms: WAIT_MS, ...spec } }) as Promise<unknown> as Promise<Answer>;
  const given = environment();
  const stop = (answer: Answer): void => {
    if (!answer.complete) void request<Cancelled>('DELETE', `/api/v1/query/${answer.id}`, { environment: given }).catch(() => undefined);
  };
  let answer = await unlessAborted(first, signal, stop);
  while (!answer.complete) {
    partial?.(answer);
    try {
      await pause(POLL_MS, signal);
      answer = await request<Answer>('GET', `/api/v1/query/${answer.id}`, { signal, environment: given });
    } catch (thrown) {
      if (signal?.aborted) stop(answer);
      throw thrown;
    }
  }
  return answer;
}

/** An answer that was given before, by its id. */
export const answerOf = (id: string, signal?: AbortSignal): Promise<Answer> => request('GET', `/api/v1/query/${encodeURIComponent(id)}`, { signal });

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, late: (value: T) => void): Promise<T> {
  if (!signal) return work;
  return new Promise((done, failed) => {
    let gone = false;
    const leave = (): void => {
      gone = true;
      failed(Failure.of(new DOMException('', 'AbortError')));
    };
    signal.addEventListener('abort', leave, { once: true });
    work.then(
      (value) => (gone ? late(value) : done(value)),
      (thrown: unknown) => failed(thrown),
    ).finally(() => signal.removeEventListener('abort', leave));
  });
}

const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((done, failed) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', () => (clearTimeout(timer), failed(Failure.of(new DOMException('', 'AbortError')))), { once: true });
  });

export const isHistogram = (cell: Cell | undefined): cell is Histogram => typeof cell === 'object' && cell !== null && 'counts' in cell;
