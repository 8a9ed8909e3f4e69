// One colour and one shape per service, the same on every page: colour alone is not enough for everybody.
// Colours are Okabe–Ito, extended by lightness; a service takes the place its name hashes to, or the next free one
// among those that are known, so that few services never share a colour.

const HUES = 8;
const PLACES = 16;
let known = new Map<string, number>();

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value ^= value >>> 15;
  value = Math.imul(value, 0x2c1b3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

/** Tells which services there are. Order does not matter. */
export function knowServices(names: Iterable<string>): void {
  const places = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of [...new Set(names)].sort()) {
    const wanted = hash(name) % HUES;
    let place = wanted;
    for (let step = 0; step < PLACES && taken.has(place); step += 1) {
      place = step < HUES ? (wanted + step) % HUES : HUES + ((wanted + step) % HUES);
    }
    taken.add(place);
    places.set(name, place);
  }
  known = places;
}

const placeOf = (name: string): number => known.get(name) ?? hash(name) % HUES;

/** A CSS colour for lines and marks, right in light and dark. */
export function serviceColour(name: string): string {
  return paletteColour(placeOf(name));
}

/** The n-th colour of the series palette. */
export function paletteColour(place: number): string {
  const hue = `var(--s${(place % HUES) + 1})`;
  const step = Math.floor(place / HUES) % 3;
  return step === 0 ? hue : `color-mix(in oklab, ${hue} 65%, ${step === 1 ? 'var(--text)' : 'var(--ground)'})`;
}

/** 5 × 5 cells, mirrored, as an SVG path of a 5 × 5 box. */
export function identicon(name: string): string {
  let bits = hash(`${name}\u0001shape`);
  let path = '';
  for (let row = 0; row < 5; row += 1) {
    for (let column = 0; column < 3; column += 1) {
      // The middle is always there, so that no shape is empty.
      if ((bits & 1) === 1 || (row === 2 && column === 2)) {
        path += `M${column} ${row}h1v1h-1z`;
        if (column < 2) path += `M${4 - column} ${row}h1v1h-1z`;
      }
      bits >>>= 1;
    }
  }
  return path;
}

/** The value of a CSS variable or expression, for a canvas. */
export function resolved(colour: string): string {
  const probe = document.createElement('span');
  probe.style.color = colour;
  probe.hidden = true;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
