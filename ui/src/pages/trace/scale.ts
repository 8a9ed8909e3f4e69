// Time and pixels: the window that is shown, its lines of time, and how it is moved.

export interface Window {
  from: number;
  to: number;
}

/** The shortest window: beyond a nanosecond a millisecond's double has nothing to show. */
const NARROWEST_MS = 1e-5;

/** A window within the trace, kept as long as it is where it fits. */
export function within({ from, to }: Window, length: number): Window {
  const whole = Math.max(length, NARROWEST_MS);
  const width = Math.min(Math.max(to - from, NARROWEST_MS), whole);
  const start = Math.min(Math.max(from, 0), whole - width);
  return { from: start, to: start + width };
}

/** Zooms about a time: factors below 1 show less. */
export function zoomed({ from, to }: Window, about: number, factor: number, length: number): Window {
  const width = Math.min(Math.max((to - from) * factor, NARROWEST_MS), Math.max(length, NARROWEST_MS));
  const share = to > from ? (about - from) / (to - from) : 0.5;
  return within({ from: about - share * width, to: about - share * width + width }, length);
}

export function panned({ from, to }: Window, share: number, length: number): Window {
  const step = (to - from) * share;
  return within({ from: from + step, to: to + step }, length);
}

const CLOCK = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400].map((seconds) => seconds * 1000);

/** Round times within a window, about one for each `apart` of them. */
export function ticks({ from, to }: Window, wanted: number): number[] {
  const rough = (to - from) / Math.max(1, wanted);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const size = 10 ** Math.floor(Math.log10(rough));
  // Beyond ten seconds people count in minutes and hours.
  const step = (rough > 10_000 ? CLOCK.find((one) => one >= rough) : undefined) ?? size * ([1, 2, 5].find((times) => size * times >= rough) ?? 10);
  const first = Math.ceil(from / step);
  const all: number[] = [];
  for (let tick = first; tick * step <= to && all.length < 100; tick += 1) all.push(tick * step);
  return all;
}

/** Lines that scroll further than a browser's longest element: position in the list from that of the scroll bar. */
export class Scroll {
  /** Browsers end elements at 16 to 33 million pixels. */
  static readonly LONGEST = 8_000_000;
  height = 0;
  total = 0;

  get length(): number {
    return Math.min(this.total, Scroll.LONGEST);
  }

  private get factor(): number {
    const room = this.length - this.height;
    return room > 0 && this.total > this.length ? (this.total - this.height) / room : 1;
  }

  /** Of a scroll bar at `bar`: the first pixel of the list that is seen. */
  top(bar: number): number {
    return bar * this.factor;
  }

  /** The scroll bar for a place in the list. */
  bar(top: number): number {
    return Math.max(0, Math.min(top, this.total - this.height)) / this.factor;
  }

  get scaled(): boolean {
    return this.factor > 1;
  }
}
