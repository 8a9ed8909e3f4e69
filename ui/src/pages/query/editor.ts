// CodeMirror with what a query in Logs Insights needs: colours, errors underlined where the server saw them, completion
// from the server. It lives in a shadow tree: there its styles are sheets of their own, which the pages'
// Content-Security-Policy allows, while a <style> element would be refused.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion, type Completion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, redo, undo } from '@codemirror/commands';
import { lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { EditorState, RangeSetBuilder } from '@codemirror/state';
import { Decoration, drawSelection, EditorView, keymap, placeholder, ViewPlugin, type DecorationSet, type ViewUpdate } from '@codemirror/view';
import { tokens } from '../../lib/insights';

export interface Item {
  label: string;
  kind: string;
  detail?: string | undefined;
  insert: string;
}
export interface Completions {
  from: number;
  to: number;
  items: Item[];
}
export interface Problem {
  from: number;
  to: number;
  message: string;
  hint?: string | undefined;
  candidates: string[];
}
export interface Options {
  parent: HTMLElement;
  text: string;
  changed: (text: string) => void;
  run: () => void;
  complete: (text: string, position: number) => Promise<Completions | null>;
}
export interface Editor {
  set: (text: string) => void;
  text: () => string;
  tell: (problem: Problem | null) => void;
  focus: () => void;
  insert: (text: string) => void;
  undo: () => void;
  redo: () => void;
  close: () => void;
}

const MARKS = Object.fromEntries(['command', 'function', 'text', 'number', 'pattern', 'comment', 'pipe', 'word', 'name'].map((kind) => [kind, Decoration.mark({ class: `t-${kind}` })]));

function coloured(view: EditorView): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const { kind, text, start } of tokens(view.state.doc.toString())) {
    const mark = MARKS[kind];
    if (mark) builder.add(start, start + text.length, mark);
  }
  return builder.finish();
}

// A query has some hundred characters, so colours are made anew whole.
const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = coloured(view);
    }
    update(update: ViewUpdate): void {
      if (update.docChanged) this.decorations = coloured(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

const look = EditorView.theme({
  '&': { color: 'var(--text)', background: 'var(--ground)', fontSize: '13px' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-1px', borderRadius: '4px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', maxHeight: '40vh' },
  '.cm-content': { padding: '8px 0', minHeight: '60px', caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { background: 'var(--accent-ground)' },
  '.cm-placeholder': { color: 'var(--text-quiet)' },
  '.cm-gutters': { background: 'var(--ground)', border: 'none', minWidth: '14px' },
  '.t-command': { color: 'var(--accent)', fontWeight: '600' },
  '.t-word': { color: 'var(--accent)' },
  '.t-function': { color: 'var(--warning)' },
  '.t-text, .t-pattern': { color: 'var(--ok)' },
  '.t-number': { color: 'var(--selection)' },
  '.t-comment': { color: 'var(--text-quiet)', fontStyle: 'italic' },
  '.t-pipe': { color: 'var(--text-quiet)', fontWeight: '600' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--error) 1px', textUnderlineOffset: '3px' },
  '.cm-tooltip': { background: 'var(--ground)', color: 'var(--text)', border: '1px solid var(--line-strong)', borderRadius: '4px', zIndex: '30' },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '300px', maxWidth: 'min(560px, 90vw)' },
  '.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { background: 'var(--accent-ground)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--text-quiet)', fontStyle: 'normal', marginLeft: '16px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected] .cm-completionDetail': { color: 'var(--text)' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '600' },
  '.cm-diagnostic': { borderLeftColor: 'var(--error)', maxWidth: '60ch', whiteSpace: 'pre-wrap' },
  '.cm-diagnosticAction': { background: 'var(--accent)', color: 'var(--on-accent)', borderRadius: '4px', padding: '1px 8px' },
});

export function makeEditor({ parent, text, changed, run, complete }: Options): Editor {
  const source = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const word = context.matchBefore(/[\w@$.`"']+/);
    if (!context.explicit && !word && !/[|(,=]\s*$/.test(context.state.doc.sliceString(Math.max(0, context.pos - 3), context.pos))) return null;
    const found = await complete(context.state.doc.toString(), context.pos);
    if (!found || found.items.length === 0 || context.aborted) return null;
    return {
      from: found.from,
      to: found.to,
      // The server has filtered and ordered, best first; it is asked again at every key.
      filter: false,
      options: found.items.map((item): Completion => ({
        label: item.label,
        ...(item.detail ? { detail: item.detail } : {}),
        type: item.kind,
        apply: (view, _, from, to) => {
          view.dispatch({ changes: { from, to, insert: item.insert }, selection: { anchor: from + item.insert.length }, userEvent: 'input.complete' });
          // Behind a function, a command or an operator comes something.
          if (/[\s(]$/.test(item.insert)) startCompletion(view);
        },
      })),
    };
  };
  const ran = (): boolean => (run(), true);
  const root = parent.attachShadow({ mode: 'open', delegatesFocus: true });
  const view: EditorView = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        keymap.of([{ key: 'Shift-Enter', run: ran }, { key: 'Mod-Enter', run: ran }, ...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
        history(),
        drawSelection(),
        closeBrackets(),
        autocompletion({ override: [source], icons: false, activateOnTypingDelay: 60, maxRenderedOptions: 100 }),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'Query in Logs Insights; Shift+Enter runs, Control+Space completes', autocapitalize: 'off', autocorrect: 'off', spellcheck: 'false' }),
        placeholder('filter error = true | stats count(*) by service.name, bin(1m)'),
        colours,
        lintGutter(),
        look,
        EditorView.updateListener.of((update) => update.docChanged && changed(update.state.doc.toString())),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    set: (next) => {
      if (next !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next }, selection: { anchor: next.length } });
    },
    tell: (problem) => {
      const length = view.state.doc.length;
      const list: Diagnostic[] = [];
      if (problem) {
        const from = Math.min(problem.from, Math.max(0, length - 1));
        list.push({
          from, to: Math.min(length, Math.max(problem.to, from + 1)), severity: 'error', message: [problem.message, problem.hint].filter(Boolean).join('\n'),
          actions: problem.candidates.slice(0, 4).map((name) => ({ name, apply: (at, start, end) => at.dispatch({ changes: { from: start, to: end, insert: name } }) })),
        });
      }
      view.dispatch(setDiagnostics(view.state, list));
    },
    focus: () => view.focus(),
    insert: (more) => {
      view.dispatch(view.state.replaceSelection(more));
      view.focus();
    },
    undo: () => void undo(view),
    redo: () => void redo(view),
    close: () => view.destroy(),
  };
}
