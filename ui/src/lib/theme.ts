// Dark, light, or what the system says. Canvases listen to `onTheme`, since they cannot use CSS variables.

export type Theme = 'system' | 'dark' | 'light';

export function themeChosen(): Theme {
  const chosen = document.documentElement.dataset.theme;
  return chosen === 'dark' || chosen === 'light' ? chosen : 'system';
}

export function setTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === 'system') localStorage.removeItem('skein.theme');
    else localStorage.setItem('skein.theme', theme);
  } catch {
    // Storage is off: it holds until the page is closed.
  }
  dispatchEvent(new Event('skein-theme'));
}

/** Calls back whenever colours change; call what it returns to stop. */
export function onTheme(changed: () => void): () => void {
  const media = matchMedia('(prefers-color-scheme: dark)');
  addEventListener('skein-theme', changed);
  media.addEventListener('change', changed);
  return () => {
    removeEventListener('skein-theme', changed);
    media.removeEventListener('change', changed);
  };
}
