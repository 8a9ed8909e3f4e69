// Everything that can be done, in one list: Cmd-K shows it, the keyboard runs it, `?` explains it. A page registers its
// commands while it is shown. A key is "q", "shift+enter", "g h" (one after the other) or "mod+k" (Cmd or Ctrl).

import { untrack } from 'svelte';

export interface Command {
  id: string;
  title: string;
  group: string;
  keys?: string[];
  run: () => void;
  /** Also while the cursor is in a field. */
  always?: boolean;
}

class Commands {
  all: Command[] = $state.raw([]);
  palette = $state(false);
  help = $state(false);
}

export const commands = new Commands();

/** Adds commands; call what it returns to take them away. For an $effect: `$effect(() => register([...]))`. */
export function register(list: Command[]): () => void {
  // Untracked: an effect that registers does not depend on what others registered.
  untrack(() => (commands.all = [...commands.all.filter((known) => !list.some((one) => one.id === known.id)), ...list]));
  return () => untrack(() => (commands.all = commands.all.filter((known) => !list.includes(known))));
}

export function inField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  if (!element?.closest) return false;
  return element.isContentEditable || element.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, [role=textbox]') !== null;
}

/** A key press as the lists above write it. */
export function keyOf(event: KeyboardEvent): string {
  const parts: string[] = [];
  if (event.metaKey || event.ctrlKey) parts.push('mod');
  if (event.altKey) parts.push('alt');
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key.toLowerCase();
  // The shift of "?" is in the character already.
  if (event.shiftKey && (event.key.length > 1 || /[a-z]/.test(key))) parts.push('shift');
  parts.push(key === ' ' ? 'space' : key);
  return parts.join('+');
}

let before = '';
let beforeAt = 0;

export function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || ['Shift', 'Control', 'Alt', 'Meta'].includes(event.key)) return;
  const key = keyOf(event);
  // The field itself, also within a shadow tree.
  const typing = inField(event.composedPath()[0] ?? event.target);
  const pair = event.timeStamp - beforeAt < 1200 && before ? `${before} ${key}` : '';
  const open = commands.palette || commands.help;
  // The latest registered first: a page may take a key of the shell.
  const found = [...commands.all].reverse().find((command) => {
    if ((typing || open) && !command.always) return false;
    return command.keys?.some((wanted) => wanted === key || wanted === pair) ?? false;
  });
  before = typing ? '' : key;
  beforeAt = event.timeStamp;
  if (!found) return;
  event.preventDefault();
  before = '';
  found.run();
}

const NAMES: Record<string, string> = { mod: typeof navigator !== 'undefined' && /mac/i.test(navigator.platform) ? '⌘' : 'Ctrl', shift: '⇧', alt: 'Alt', enter: '⏎', escape: 'Esc', arrowleft: '←', arrowright: '→', arrowup: '↑', arrowdown: '↓' };

export const keyShown = (key: string): string =>
  key
    .split(' ')
    .map((step) => step.split('+').map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(' '))
    .join(' then ');

/** Words of the search must all be in the title or the group, in any order. */
export function search(list: Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return list.filter((command) => words.every((word) => `${command.group} ${command.title}`.toLowerCase().includes(word)));
}
