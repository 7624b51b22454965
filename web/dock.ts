/** What is going on and what went wrong, over an edge of the window: the progress of the weights, and the last problem. */

import type { App } from './app.js';
import { h } from './dom.js';
import { megabytes, timeLeft } from './format.js';

export function dock(app: App, parent: HTMLElement): void {
  parent.append(problem(app), progress(app));
}

function problem(app: App): HTMLElement {
  const text = h('p');
  const note = h(
    'div',
    { class: 'panel note problem', hidden: true },
    text,
    h('button', { class: 'button quiet', type: 'button', onclick: () => app.clearProblem() }, 'Close'),
  );
  // The alert itself is always there, so that screen readers see its text change.
  const alert = h('div', { role: 'alert' }, note);
  app.addEventListener('problem', () => {
    text.textContent = app.problem ?? '';
    note.hidden = app.problem === undefined;
  });
  return alert;
}

function progress(app: App): HTMLElement {
  const title = h('span');
  const figures = h('span', { class: 'soft small' });
  const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Weights loaded' });
  const button = h('button', { class: 'button quiet', type: 'button' });
  const dismiss = h('button', { class: 'button quiet', type: 'button', onclick: () => app.dismiss() }, 'Close');
  const note = h(
    'div',
    { class: 'panel note', hidden: true },
    h('div', { class: 'stack' }, h('p', { class: 'figures' }, title, figures), bar),
    h('div', { class: 'row' }, button, dismiss),
  );
  const spoken = h('p', { class: 'sr-only', role: 'status' });
  const say = (text: string) => {
    if (spoken.textContent !== text) spoken.textContent = text;
  };
  button.addEventListener('click', () => {
    if (app.loading?.phase === 'loading') app.cancel();
    else app.ensureModel().catch((reason) => app.report(reason));
  });
  app.addEventListener('progress', () => {
    const { loading } = app;
    note.hidden = loading === undefined;
    if (!loading) {
      say(app.model ? 'The weights are loaded.' : '');
      return;
    }
    const { phase, loaded, total, rate } = loading;
    const isRunning = phase === 'loading';
    const share = total > 0 ? Math.min(1, loaded / total) : 0;
    bar.value = share;
    button.textContent = isRunning ? 'Cancel' : 'Load again';
    dismiss.hidden = isRunning;
    title.textContent = isRunning ? `Loading ${loading.title}` : `Stopped loading ${loading.title}`;
    figures.textContent = [
      `${megabytes(loaded).replace(' MB', '')} of ${megabytes(total)}`,
      isRunning && rate !== undefined && `${megabytes(rate)}/s`,
      isRunning && rate && timeLeft((total - loaded) / rate),
      // A file of the visitor's is read anew.
      !isRunning && !(app.chosen?.source instanceof Blob) && 'it goes on from there',
    ]
      .filter(Boolean)
      .join(', ');
    say(
      isRunning
        ? `Loading ${loading.title}: ${25 * Math.floor(4 * share)} percent.`
        : `Stopped loading ${loading.title}.`,
    );
  });
  return h('div', {}, note, spoken);
}
