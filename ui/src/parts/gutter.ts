// Plots below each other share their left edge, so that a moment is at the same place in all of them.
export const plotGutter = (width: number): number => (width < 480 ? 48 : 64);
