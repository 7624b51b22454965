/** Inside: the network as its graph, where its time goes, and what each layer makes of the picture. */

import './inside.css';
import { load, type Model, networkNames, networks } from '../bindings/index.web.js';
import type { App, View } from './app.js';
import { Details } from './details.js';
import { h } from './dom.js';
import { type Drawing, drawNetwork } from './drawing.js';
import { layoutNetwork } from './graph-layout.js';
import { legend } from './legend.js';
import { groupsOf } from './structure.js';
import { Subject } from './subject.js';
import type { Weights } from './weights.js';
import { ms, short } from './words.js';

class Inside implements View {
  readonly id = 'inside';
  readonly title = 'Inside';
  #app!: App;
  #details!: Details;
  #subject!: Subject;
  #drawing: Drawing | undefined;
  #part = 0;
  #isVisible = false;
  /** Of the graph, in pixels; 0 until it is drawn. */
  #width = 0;
  /** Stops the measurement that was begun last. */
  #measuring: AbortController | undefined;
  /** What was loaded and chosen in the page when it was last looked at. */
  #followed: { readonly model?: Model; readonly chosen?: Weights } = {};

  readonly #select = h('select', { onchange: () => this.#openAndMeasure(this.#select.value) });
  readonly #measure = h('button', { class: 'button quiet', type: 'button', onclick: () => this.#startMeasuring() });
  readonly #status = h('p', { class: 'small soft', role: 'status' });
  readonly #totals = h('p', { class: 'totals' });
  readonly #graph = h('div', { class: 'graph' });
  readonly #legend = h('div');

  render(app: App): HTMLElement {
    this.#app = app;
    this.#details = new Details(app, {
      back: () => {
        this.#graph.scrollIntoView({ block: 'nearest' });
        this.#drawing?.focus(this.#part);
      },
      open: (network) => this.#openAndMeasure(network),
      model: () => this.#model,
    });
    this.#select.append(...networkOptions());
    for (const event of ['model', 'weights']) app.addEventListener(event, () => this.#follow());
    app.addEventListener('picture', () => this.#details.showFeatures());
    // In the next frame: what is drawn changes sizes again, which an observer that is still at work reports as an error.
    new ResizeObserver(() => requestAnimationFrame(() => this.#draw())).observe(this.#graph);
    this.#followed = { model: app.model, chosen: app.chosen };
    this.#open(app.model?.name ?? app.settings.network);
    const lead = [
      'The network as its graph, from the picture to the answer. Choose a box to see what it is made of, what it costs,',
      'and what it makes of the picture.',
    ];
    return h(
      'div',
      { class: 'view inside' },
      h('div', { class: 'lead' }, h('h1', {}, 'Inside'), h('p', {}, lead.join(' '))),
      h(
        'div',
        { class: 'row bar' },
        h('label', { class: 'field' }, 'Network', this.#select),
        h('div', { class: 'about' }, this.#totals, this.#status),
        this.#measure,
      ),
      h(
        'div',
        { class: 'split' },
        h('section', { class: 'panel stack', 'aria-label': 'The graph' }, this.#graph, this.#legend),
        this.#details.element,
      ),
    );
  }

  shown(): void {
    this.#isVisible = true;
    this.#follow();
  }

  hidden(): void {
    this.#isVisible = false;
    this.#measuring?.abort();
  }

  /** The loaded model, if it is of the network that is shown. */
  get #model(): Model | undefined {
    const { model } = this.#app;
    return model?.name === this.#subject.name ? model : undefined;
  }

  /** Follows what is loaded and chosen elsewhere in the page; what the visitor opened here stays until that changes. */
  #follow(): void {
    const { model, chosen, settings } = this.#app;
    if (model !== this.#followed.model || chosen !== this.#followed.chosen) {
      this.#followed = { model, chosen };
      this.#open(model?.name ?? settings.network);
    } else {
      void this.#details.showFeatures();
    }
    if (this.#isVisible && this.#model && !this.#subject.measured) void this.#startMeasuring();
  }

  #open(name: string): void {
    const { model, chosen } = this.#app;
    const isOther = this.#subject?.name !== name;
    this.#measuring?.abort();
    this.#select.value = name;
    this.#subject = new Subject(
      name,
      chosen?.network === name ? chosen.options : {},
      model?.name === name ? model : undefined,
    );
    // The first layer: its maps are still like the picture.
    if (isOther) this.#part = Math.min(1, this.#subject.parts.length - 1);
    this.#details.show(this.#subject, this.#part);
    this.#width = 0;
    this.#draw();
    this.#showCosts();
  }

  /** A model that is there is measured at once; to make one of random weights is left to the visitor. */
  #openAndMeasure(name: string): void {
    this.#open(name);
    if (this.#model) void this.#startMeasuring();
  }

  /** Draws the graph in the width that there is. */
  #draw(): void {
    const width = this.#graph.clientWidth;
    if (width === 0 || width === this.#width) return;
    const hadFocus = this.#graph.contains(document.activeElement);
    this.#width = width;
    const { name, parts, costs } = this.#subject;
    this.#drawing = drawNetwork(name, layoutNetwork(groupsOf(parts), width), (part) => {
      this.#part = part;
      this.#drawing?.select(part);
      this.#details.show(this.#subject, part);
      this.#details.reveal();
    });
    this.#graph.replaceChildren(this.#drawing.element);
    this.#legend.replaceChildren(...legend(parts));
    this.#drawing.select(this.#part);
    this.#drawing.setShares(parts.map((part) => costs.share(part)));
    if (hadFocus) this.#drawing.focus(this.#part);
    this.#details.showLayers();
  }

  #showCosts(): void {
    const { summary, costs, measured, parts } = this.#subject;
    const total = costs.totalMs;
    const totals = [
      `${short(summary.parameters)} parameters`,
      `${short(summary.macs)} multiply–adds`,
      ...(total === undefined ? [] : [ms(total)]),
    ];
    this.#totals.replaceChildren(
      ...totals.flatMap((text, i) => [i > 0 ? ' · ' : '', h('span', { class: 'whole-line' }, text)]),
    );
    this.#status.textContent =
      measured ?? (this.#model ? '' : 'Times appear once it is measured; random weights are enough for that.');
    this.#measure.textContent = measured ? 'Measure again' : 'Measure';
    this.#drawing?.setShares(parts.map((part) => costs.share(part)));
    this.#details.showCosts();
  }

  /** Measures the network that is shown, on the loaded model or on one of random weights. */
  async #startMeasuring(): Promise<void> {
    this.#measuring?.abort();
    const abort = new AbortController();
    this.#measuring = abort;
    const { signal } = abort;
    const subject = this.#subject;
    const own = this.#model;
    const { binary, threads } = this.#app.settings;
    this.#status.textContent = own ? 'Measuring.' : 'Making random weights.';
    let model = own;
    try {
      model ??= await load(subject.name, { weights: { seed: 1 }, binary, threads, signal });
      if (!signal.aborted) this.#status.textContent = 'Measuring.';
      await subject.measure(model, signal);
    } catch (reason) {
      if (!signal.aborted) this.#app.report(reason);
    } finally {
      if (!own) model?.dispose();
      if (this.#measuring === abort) this.#showCosts();
    }
  }
}

/** All networks, family by family. */
function networkOptions(): HTMLElement[] {
  const families = new Map<string, string[]>();
  for (const name of networkNames()) {
    const family = networks[name]?.family ?? '';
    families.set(family, [...(families.get(family) ?? []), name]);
  }
  return [...families].map(([family, names]) =>
    h(
      'optgroup',
      { label: family },
      names.map((name) => h('option', { value: name }, name)),
    ),
  );
}

export const inside: View = new Inside();
