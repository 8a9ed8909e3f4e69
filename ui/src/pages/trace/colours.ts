// Colours for a canvas, which knows no CSS variables: all of them for the price of one look at the styles.

export function coloursOf(colours: string[]): string[] {
  const box = document.createElement('div');
  box.hidden = true;
  for (const colour of colours) box.append(Object.assign(document.createElement('span'), { style: `color: ${colour}` }));
  document.body.append(box);
  const read = Array.from(box.children, (span) => getComputedStyle(span).color);
  box.remove();
  return read;
}
