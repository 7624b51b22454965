/** Compare: networks × binaries × threads on this machine, against what its CPU can do at best. */

import './compare.css';
import {
  type Binary,
  buildNetwork,
  load,
  measurePeak,
  networkNames,
  networks,
  seededInput,
  summary,
  supportsRelaxed,
} from '../bindings/index.web.js';
import type { App, View } from './app.js';
import { bench, type Choice, type Machine, type Numbers, type Report } from './bench.js';
import { type Child, h } from './dom.js';
import { plots } from './plots.js';
import { type BrowserData, browserOf, COLUMNS, cells, machineLine, peaksText, toJson, toMarkdown } from './report.js';
import { mostThreads } from './settings.js';
import { short } from './words.js';

const CHOSEN = ['resnet18', 'resnet50'];
/** Shown at once; the others behind a line. */
const USUAL = ['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152', 'resnext50_32x4d', 'densenet121', 'vgg16'];
const ROUNDS = [5, 10, 20, 50];

function thisMachine(): Machine {
  const { userAgentData } = navigator as Navigator & { readonly userAgentData?: BrowserData };
  return {
    browser: browserOf(navigator.userAgent, userAgentData),
    cores: navigator.hardwareConcurrency,
    isolated: crossOriginIsolated,
  };
}

class Compare implements View {
  readonly id = 'compare';
  readonly title = 'Compare';
  #app!: App;
  #abort: AbortController | undefined;
  #report: Report | undefined;

  readonly #run = h('button', { class: 'button', type: 'submit' }, 'Measure');
  readonly #cancel = h(
    'button',
    { class: 'button quiet', type: 'button', disabled: true, onclick: () => this.#abort?.abort() },
    'Cancel',
  );
  readonly #progress = h('progress', { max: 1, value: 0, 'aria-label': 'Runs done' });
  readonly #text = h('p', { class: 'small soft' });
  readonly #spoken = h('p', { class: 'sr-only', role: 'status' });
  readonly #form = h('form', { class: 'panel stack choices' });
  readonly #results = h('section', { class: 'stack results', 'aria-label': 'Results', hidden: true });

  render(app: App): HTMLElement {
    this.#app = app;
    this.#form.append(...this.#fields());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#start();
    });
    this.#form.addEventListener('change', () => this.#showCount());
    this.#showCount();
    return h(
      'div',
      { class: 'view compare' },
      h(
        'div',
        { class: 'lead' },
        h('h1', {}, 'Compare'),
        h(
          'p',
          {},
          'How fast this browser runs the networks on this machine, and how near that is to what its CPU can do at best. The weights are random numbers: nothing is downloaded.',
        ),
        h('p', { class: 'small machine' }, machineLine({ machine: thisMachine() })),
      ),
      this.#form,
      this.#results,
    );
  }

  #fields(): HTMLElement[] {
    const others = networkNames().filter((name) => !USUAL.includes(name));
    const most = mostThreads();
    const counts = Array.from({ length: most }, (_, i) => i + 1);
    const rounds = h(
      'select',
      { name: 'rounds' },
      ROUNDS.map((count) => h('option', { value: count, selected: count === 10 }, count)),
    );
    return [
      group(
        'Networks',
        h('div', { class: 'checks' }, USUAL.map(networkCheck)),
        h(
          'details',
          {},
          h('summary', { class: 'small soft' }, `${others.length} more networks`),
          h('div', { class: 'checks' }, others.map(networkCheck)),
        ),
      ),
      h(
        'div',
        { class: 'variants' },
        group(
          'Binaries',
          h(
            'div',
            { class: 'checks' },
            check('binary', 'relaxed', supportsRelaxed(), !supportsRelaxed()),
            check('binary', 'baseline', !supportsRelaxed()),
          ),
          !supportsRelaxed() && h('p', { class: 'small soft' }, 'This browser has no relaxed SIMD.'),
        ),
        group(
          'Numbers',
          h('div', { class: 'checks' }, check('numbers', 'float32', true), check('numbers', 'int8', true)),
        ),
        group(
          'Threads',
          h(
            'div',
            { class: 'checks' },
            counts.map((count) => check('threads', `${count}`, count === 1 || count === most)),
          ),
          !crossOriginIsolated &&
            h(
              'p',
              { class: 'small soft' },
              'One thread only: the page is not cross-origin isolated, so that threads may not share memory.',
            ),
        ),
        h('label', { class: 'field rounds' }, 'Rounds', rounds),
      ),
      h(
        'div',
        { class: 'row actions' },
        this.#run,
        this.#cancel,
        h('div', { class: 'going' }, this.#text, this.#progress),
      ),
      this.#spoken,
    ];
  }

  get #choice(): Choice {
    const data = new FormData(this.#form);
    return {
      networks: data.getAll('network').map(String),
      binaries: data.getAll('binary') as Binary[],
      numbers: data.getAll('numbers') as Numbers[],
      threads: data.getAll('threads').map(Number),
      rounds: Number(data.get('rounds')),
    };
  }

  #showCount(): void {
    const { networks: names, binaries, numbers, threads } = this.#choice;
    const count = names.length * binaries.length * numbers.length * threads.length;
    this.#run.disabled = count === 0 || this.#abort !== undefined;
    if (this.#abort) return;
    this.#text.textContent = count
      ? `${count} ${count === 1 ? 'combination' : 'combinations'} of network, binary, numbers and threads.`
      : 'Choose at least one network, one binary, one type of numbers and one number of threads.';
  }

  async #start(): Promise<void> {
    if (this.#abort) return;
    const choice = this.#choice;
    const abort = new AbortController();
    this.#abort = abort;
    this.#cancel.disabled = false;
    this.#moveFocus(this.#run, this.#cancel);
    this.#run.disabled = true;
    this.#spoken.textContent = 'Measuring.';
    let end = 'Done.';
    try {
      await bench(
        { load, seededInput, measurePeak },
        choice,
        abort.signal,
        ({ done, total, text }) => {
          this.#progress.value = done / total;
          this.#text.textContent = text;
        },
        (results) => {
          this.#report = { date: new Date().toISOString(), machine: thisMachine(), ...results };
          this.#showResults(this.#report);
        },
      );
    } catch (reason) {
      end = abort.signal.aborted ? 'Cancelled: what was done is shown.' : 'It ended early.';
      if (!abort.signal.aborted) this.#app.report(reason);
      else if (this.#report === undefined) end = 'Cancelled.';
    } finally {
      this.#abort = undefined;
      this.#progress.value = 0;
      this.#showCount();
      this.#moveFocus(this.#cancel, this.#run);
      this.#cancel.disabled = true;
      this.#text.textContent = end;
      this.#spoken.textContent = end;
    }
  }

  /** A button that is disabled would lose the focus. */
  #moveFocus(from: HTMLElement, to: HTMLElement): void {
    if (document.activeElement === from) to.focus();
  }

  #showResults(report: Report): void {
    const copied = h('span', { class: 'small soft', role: 'status' });
    const copy = (label: string, text: () => string) =>
      h(
        'button',
        {
          class: 'button quiet',
          type: 'button',
          onclick: () =>
            copyText(text()).then(
              () => {
                copied.textContent = 'Copied.';
              },
              () => {
                copied.textContent = 'This browser lets the page copy nothing: mark the table and copy it.';
              },
            ),
        },
        label,
      );
    this.#results.hidden = false;
    this.#results.replaceChildren(
      h('h2', {}, 'Results'),
      plots(report),
      h(
        'div',
        { class: 'panel stack' },
        table(report),
        h('p', { class: 'small soft sideways', 'aria-hidden': 'true' }, 'The table goes on to the right.'),
        h(
          'p',
          { class: 'small soft' },
          `Measured peak of one thread in float32, in GFLOP/s: ${peaksText(report)}. GFLOP/s count the definition of a convolution; Winograd’s algorithm takes fewer operations, and int8 faster ones, so that more than 100\u00a0% of the peak is possible.`,
        ),
        report.threadsNote && h('p', { class: 'small' }, report.threadsNote),
        h('p', { class: 'small soft machine' }, machineLine(report)),
        h(
          'div',
          { class: 'row' },
          copy('Copy as Markdown', () => toMarkdown(report)),
          copy('Copy as JSON', () => toJson(report)),
          copied,
        ),
      ),
    );
  }
}

/** Rejects if the page may not copy; there is no clipboard at all without HTTPS. */
const copyText = async (text: string): Promise<void> => navigator.clipboard.writeText(text);

function group(legend: string, ...children: readonly Child[]): HTMLElement {
  return h('fieldset', { class: 'group' }, h('legend', { class: 'small soft' }, legend), children);
}

function check(name: string, value: string, checked: boolean, disabled = false, note?: string): HTMLElement {
  return h(
    'label',
    { class: 'check' },
    h('input', { type: 'checkbox', name, value, checked, disabled }),
    h('span', {}, value, note && h('span', { class: 'soft small' }, ` ${note}`)),
  );
}

function networkCheck(name: string): HTMLElement {
  const { macs } = summary(buildNetwork(name));
  const label = check('network', name, CHOSEN.includes(name), false, `${short(macs)}MACs`);
  label.title = networks[name]?.description ?? '';
  return label;
}

function table(report: Report): HTMLElement {
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Results as a table' },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          COLUMNS.map((name) => h('th', { scope: 'col' }, name)),
        ),
      ),
      h(
        'tbody',
        {},
        report.rows.map((row) =>
          h(
            'tr',
            {},
            cells(row).map((cell, i) => h(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row' } : {}, cell)),
          ),
        ),
      ),
    ),
  );
}

export const compare: View = new Compare();
