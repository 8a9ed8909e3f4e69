// Boards: questions that are kept together (docs/reference/boards.md).

import { environment, insights, query, request, type Answer } from './api';
import { EMPTY, fromAddress, toAddress, toSpec, type Question } from './question';
import type { Past } from './history';

export interface Panel {
  title?: string;
  query?: Record<string, unknown>;
  insights?: { query: string; datasets?: string[] };
  text?: string;
}
export interface BoardEntry {
  id: string;
  name: string;
  description: string;
  panels: number;
  version: number;
}
export interface Board extends Omit<BoardEntry, 'panels'> {
  panels: Panel[];
}

const path = (id: string): string => `/api/v1/boards/${encodeURIComponent(id)}`;

export const boards = (signal?: AbortSignal): Promise<{ boards: BoardEntry[] }> => request('GET', '/api/v1/boards', { signal });
export const board = (id: string, signal?: AbortSignal): Promise<Board> => request('GET', path(id), { signal });
export const keep = (name: string, panels: Panel[]): Promise<Board> => request('POST', '/api/v1/boards', { body: { name, panels }, environment: environment() });
export const drop = (id: string): Promise<unknown> => request('DELETE', path(id), { environment: environment() });

/** A question of this browser as a panel; null where its address is of another version. */
export function panelOf(one: Past): Panel | null {
  if (one.text !== undefined) return { title: one.summary, insights: { query: one.text } };
  const question = fromAddress(one.q);
  return question ? { title: one.summary, query: toSpec(question) } : null;
}

/** Parameters of the query page that asks the same. */
export const asked = (panel: Panel): { q: string | null; text: string | null } =>
  panel.insights ? { q: null, text: panel.insights.query } : { q: panel.query ? toAddress({ ...EMPTY, ...panel.query } as Question) : null, text: null };

/** Asks a panel over a range; null of a text. */
export function answerOfPanel(panel: Panel, range: { start: number; end: number }, signal: AbortSignal): Promise<Answer> | null {
  const times = { start_time: range.start / 1e3, end_time: range.end / 1e3 };
  if (panel.insights) return insights({ ...panel.insights, ...times }, { signal });
  return panel.query ? query({ ...times, ...panel.query, limit: 20 }, { signal }) : null;
}
