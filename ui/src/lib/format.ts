// Numbers for people: three significant digits with a unit beside them. What is copied is exact.

const three = (value: number): string => {
  if (value === 0) return '0';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return size < 0.01 ? value.toPrecision(1) : value.toFixed(digits);
};

/** 1.84 s, 317 ms, 48 µs, 2 m 05 s. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  const size = Math.abs(ms);
  if (size === 0) return '0 ms';
  if (size < 0.001) return `${three(ms * 1e6)} ns`;
  if (size < 1) return `${three(ms * 1e3)} µs`;
  if (size < 999.5) return `${three(ms)} ms`;
  if (size < 119_500) return `${three(ms / 1e3)} s`;
  const seconds = Math.round(size / 1e3);
  const sign = ms < 0 ? '−' : '';
  if (seconds < 7200) return `${sign}${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2880) return `${sign}${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} m`;
  return `${sign}${three(seconds / 86400)} d`;
}

/** A whole number with its thousands apart. (The locale's own way takes 40 ms at its first use.) */
export const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ' ');

/** 412, 3 104, 48.2k, 3.10M. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size < 10_000) return Number.isInteger(value) ? grouped(value) : three(value);
  if (size < 999_500) return `${three(value / 1e3)}k`;
  if (size < 999_500_000) return `${three(value / 1e6)}M`;
  return size < 1e15 ? `${three(value / 1e9)}G` : value.toExponential(2);
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let step = 0;
  let size = value;
  while (Math.abs(size) >= 999.5 && step < units.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${step === 0 ? String(size) : three(size)} ${units[step]}`;
}

export function percent(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return '–';
  const value = fraction * 100;
  const size = Math.abs(value);
  return `${size >= 99.95 || size === 0 || size >= 10 ? value.toFixed(size < 99.95 && size >= 99 ? 1 : 0) : three(value)} %`;
}

/** A number of a column, in the unit that its name tells. */
export function measure(value: unknown, column?: string): string {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'number') return String(value);
  if (column) {
    if (/(^|[._])duration_ms$|_ms$|\.ms$/.test(column)) return duration(value);
    if (/bytes$|_size$|\.size$/.test(column)) return bytes(value);
  }
  return count(value);
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** As `measure`, without noughts that say nothing: for the round numbers of an axis. */
export const tick = (value: number, column?: string): string => measure(value, column).replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '');
