// How unusual a span's values are among its like: spans of the same service and name in the hour around it. One query
// counts them all, a calculation for each field, so that the numbers are those that /api/v1/query gives everybody.

import { query, type Scalar } from '../../lib/api';

export interface Rarity {
  /** Spans of the same service and name, itself included. */
  like: number;
  /** For each field the part of them that has the same value and how many values there are; of a measured number, the
      part that has less. */
  share: Map<string, Share>;
}

export type Share = { same: number; values: number } | { below: number };

/** Fields that are different for every event, or the same for all that are compared. */
const NOT_ASKED = /^(timestamp|event\.id|name|service\.name|dataset|sample_rate|body|trace\.|meta\.|otlp\.|resource\.schema_url|scope\.schema_url|library\.|telemetry\.|span\.num_)/;
/** A question may have a hundred calculations. */
const FIELDS_MAX = 49;
const AROUND_S = 3600;

/** Whether a number is a measure, of which no two are equal, rather than a code or a count. */
export const isMeasured = (name: string, value: unknown): boolean =>
  typeof value === 'number' && (!Number.isInteger(value) || /(_ms|_bytes|duration|size|latency|_ns|_us|bytes)$/.test(name));

export const askedFields = (span: Record<string, unknown>): Array<[string, Scalar]> =>
  Object.entries(span)
    .filter(([name, value]) => !NOT_ASKED.test(name) && (typeof value === 'string' ? value.length <= 256 : typeof value === 'number' || typeof value === 'boolean'))
    .slice(0, FIELDS_MAX) as Array<[string, Scalar]>;

export function raritySpec(span: Record<string, unknown>): Record<string, unknown> | null {
  const time = Date.parse(String(span['timestamp'])) / 1e3;
  const service = span['service.name'];
  if (!Number.isFinite(time) || typeof service !== 'string' || typeof span['name'] !== 'string') return null;
  return {
    start_time: Math.floor(time - AROUND_S),
    end_time: Math.ceil(time + AROUND_S),
    filters: [
      { column: 'service.name', op: '=', value: service },
      { column: 'name', op: '=', value: span['name'] },
      { column: 'trace.span_id', op: 'exists' },
      { column: 'meta.annotation_type', op: 'does-not-exist' },
    ],
    calculations: [
      { op: 'COUNT', name: 'like' },
      ...askedFields(span).flatMap(([column, value], place) => {
        const measured = isMeasured(column, value);
        const same = { op: 'COUNT', name: `f${place}`, filters: [{ column, op: measured ? '<' : '=', value }] };
        return measured ? [same] : [same, { op: 'COUNT_DISTINCT', column, name: `v${place}` }];
      }),
    ],
    limit: 1,
  };
}

export async function rarityOf(span: Record<string, unknown>, signal: AbortSignal): Promise<Rarity | null> {
  const spec = raritySpec(span);
  if (!spec) return null;
  const answer = await query(spec, { signal });
  const counts = answer.data.results?.[0]?.data ?? {};
  const like = Number(counts['like'] ?? 0);
  const share: Rarity['share'] = new Map();
  if (like > 0) {
    askedFields(span).forEach(([column, value], place) => {
      const part = Number(counts[`f${place}`] ?? 0) / like;
      share.set(column, isMeasured(column, value) ? { below: part } : { same: part, values: Number(counts[`v${place}`] ?? 1) });
    });
  }
  return { like, share };
}

/** A number for sorting: 0 is what nobody else has. */
export const ordinary = (share: Share | undefined): number => {
  if (!share) return 1;
  return 'same' in share ? share.same : 2 * Math.min(share.below, 1 - share.below);
};

/** What is worth a mark, among enough of its like: far fewer have it than an average value of that field. */
export const isUnusual = (rarity: Rarity, name: string): boolean => {
  const share = rarity.share.get(name);
  return rarity.like >= 20 && share !== undefined && ('same' in share ? share.same <= 0.05 && share.same * share.values <= 0.2 : share.below >= 0.95);
};
