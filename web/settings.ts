/** What runs: the weights, the binary and the threads, what the model takes, and what the browser keeps of downloads. */

import { supportsRelaxed, weightCache } from '../bindings/index.web.js';
import type { App } from './app.js';
import { fileButton, takeWeights } from './choose.js';
import { h } from './dom.js';
import { megabytes, threadsText } from './format.js';
import { serviceWorkers } from './offline.js';
import type { Weights } from './weights.js';

const MOST_THREADS = 8;

/** The largest number of threads that can be chosen: 1 if the page may not share memory. */
export const mostThreads = (): number =>
  crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;

export function settingsPanel(app: App): HTMLElement {
  return h(
    'section',
    { class: 'panel stack settings', 'aria-labelledby': 'settings-title' },
    h('h2', { id: 'settings-title' }, 'The network'),
    h(
      'div',
      { class: 'fields' },
      networkField(app),
      binaryField(app),
      threadsField(app),
      fileButton(
        'Open a weight file',
        '.safetensors,.pth,.pt,.bin,.onnx,.h5,.keras',
        (file) => takeWeights(app, file),
        true,
      ),
    ),
    info(app),
    h(
      'p',
      { class: 'soft small' },
      'The page comes with the weights of one network. Others come from the Hugging Face hub when they are chosen, or ',
      'from your own weight file (safetensors, PyTorch or Keras): drop it anywhere here, and its tensors tell which network it is.',
    ),
    cacheLine(app),
  );
}

const field = (label: string, control: HTMLElement): HTMLElement => h('label', { class: 'field' }, label, control);

function networkField(app: App): HTMLElement {
  const select = h('select', { name: 'network' });
  const option = (weights: Weights) =>
    h(
      'option',
      { value: app.weights.indexOf(weights), selected: weights === app.chosen },
      `${weights.title}, ${megabytes(weights.bytes)}`,
    );
  const fill = () => {
    const own = app.weights.filter(({ hub }) => !hub);
    const fromHub = app.weights.filter(({ hub }) => hub);
    select.replaceChildren(
      ...(app.chosen ? [] : [h('option', { value: '', selected: true }, 'none: choose one, or open a weight file')]),
      ...own.map(option),
      ...(fromHub.length ? [h('optgroup', { label: 'From the Hugging Face hub' }, fromHub.map(option))] : []),
    );
    select.disabled = app.weights.length === 0;
  };
  fill();
  for (const event of ['weights', 'model']) app.addEventListener(event, fill);
  select.addEventListener('change', () => app.choose({}, app.weights[Number(select.value || Number.NaN)]));
  return field('Network and weights', select);
}

function binaryField(app: App): HTMLElement {
  const select = h('select', { name: 'binary' });
  for (const binary of ['relaxed', 'baseline'] as const) {
    const isMissing = binary === 'relaxed' && !supportsRelaxed();
    select.append(
      h(
        'option',
        { value: binary, selected: binary === app.settings.binary, disabled: isMissing },
        isMissing ? `${binary} (not in this browser)` : binary,
      ),
    );
  }
  select.addEventListener('change', () => app.choose({ binary: select.value === 'relaxed' ? 'relaxed' : 'baseline' }));
  return field('SIMD', select);
}

function threadsField(app: App): HTMLElement {
  const select = h('select', { name: 'threads' });
  const most = mostThreads();
  select.append(
    h('option', { value: 'auto' }, `auto (${most})`),
    ...Array.from({ length: most }, (_, i) => h('option', { value: i + 1 }, i + 1)),
  );
  select.addEventListener('change', () =>
    app.choose({ threads: select.value === 'auto' ? 'auto' : Number(select.value) }),
  );
  return field('Threads', select);
}

/** One line on the model that is loaded, and why it has fewer threads than it could have. */
function info(app: App): HTMLElement {
  const text = h('span', {});
  const load = h(
    'button',
    { class: 'button quiet', type: 'button', onclick: () => app.ensureModel().catch((reason) => app.report(reason)) },
    'Load now',
  );
  const reload = h(
    'button',
    { class: 'button quiet', type: 'button', hidden: true, onclick: () => location.reload() },
    'Reload for more threads',
  );
  const show = () => {
    const { model, chosen } = app;
    load.hidden = model !== undefined || chosen === undefined || app.loading !== undefined;
    if (!model) {
      text.textContent = chosen
        ? app.loading?.phase === 'loading'
          ? 'It is being loaded.'
          : 'Not loaded yet: the first picture does it.'
        : '';
      return;
    }
    const { network, binary, threads, threadsNote, weightBytes, memoryBytes } = model.info();
    text.textContent = [
      `${network}: ${binary} SIMD, ${threadsText(threads)},`,
      `${megabytes(weightBytes)} of packed weights, ${megabytes(memoryBytes)} of memory in all.`,
      threadsNote,
    ]
      .filter(Boolean)
      .join(' ');
  };
  show();
  for (const event of ['model', 'weights', 'progress']) app.addEventListener(event, show);
  // The service worker gives the page the headers that threads need, once it is loaded through it.
  if (!crossOriginIsolated) serviceWorkers()?.ready.then(() => (reload.hidden = false));
  return h('div', { class: 'row info' }, h('p', {}, text), load, reload);
}

function cacheLine(app: App): HTMLElement {
  const text = h('span');
  const forget = h('button', { class: 'button quiet', type: 'button' }, 'Forget downloaded weights');
  const show = async () => {
    const kept = await weightCache.list();
    const bytes = kept.reduce((sum, entry) => sum + entry.bytes, 0);
    text.textContent = bytes
      ? `This browser keeps ${megabytes(bytes)} of downloaded weights, for the next visit and offline.`
      : 'This browser keeps no downloaded weights.';
    forget.disabled = bytes === 0;
  };
  const update = () => void show().catch((reason) => app.report(reason));
  forget.addEventListener('click', () => {
    weightCache
      .clear()
      .then(update)
      .catch((reason) => app.report(reason));
  });
  update();
  app.addEventListener('model', update);
  app.addEventListener('progress', () => app.loading?.phase !== 'loading' && update());
  return h('div', { class: 'row small cache' }, h('p', { class: 'soft' }, text), forget);
}
