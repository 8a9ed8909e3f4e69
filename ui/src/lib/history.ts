// Questions of this browser, the latest first. The team's are events of environment `skein`.

const KEY = 'skein.history';
const KEPT = 40;

export interface Past {
  /** The question as an address holds it. */
  q: string;
  /** A query in Logs Insights instead; `q` is empty then. */
  text?: string;
  summary: string;
  at: number;
}

export function past(): Past[] {
  try {
    const read = JSON.parse(localStorage.getItem(KEY) ?? '[]') as unknown;
    return Array.isArray(read) ? (read as Past[]).filter((one) => typeof one?.q === 'string' && typeof one.summary === 'string') : [];
  } catch {
    return [];
  }
}

/** Parameters of the page that asks it again. */
export const again = (one: Past): { q: string | null; text: string | null } => (one.text === undefined ? { q: one.q, text: null } : { q: null, text: one.text });

export function remember(one: Past): void {
  try {
    localStorage.setItem(KEY, JSON.stringify([one, ...past().filter((other) => other.q !== one.q || other.text !== one.text)].slice(0, KEPT)));
  } catch {
    // Storage is off or full: a history is a comfort.
  }
}
