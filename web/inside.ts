/** Inside: the network as its graph, where its time goes, and what each layer makes of the picture. */

import './inside.css';
import { load, type Model, type StepProfile, seededInput } from '../bindings/web.js';
import {
  buildNetwork,
  type Graph,
  graphInput,
  networkNames,
  networks,
  type Summary,
  summary,
} from '../models/index.js';
import type { App, View, Weights } from './app.js';
import { pictureButton, samples, setSample } from './choose.js';
import { Costs, stepTimes } from './costs.js';
import { type Child, h } from './dom.js';
import { type Drawing, drawBlock, drawNetwork } from './drawing.js';
import { featureMaps } from './feature-maps.js';
import { layoutBlock, layoutNetwork } from './graph-layout.js';
import { legend } from './legend.js';
import { groupsOf, type Part, partsOf, shapeOf, type Unit } from './structure.js';
import { description, digits, ms, share, short, unitDescription } from './words.js';

// The engine compiles the kernels with optimisation meanwhile.
const WARM_UP = 3;
const RUNS = 7;

/** A network that is looked into. */
interface Shown {
  readonly name: string;
  readonly graph: Graph;
  readonly parts: readonly Part[];
  readonly summary: Summary;
  costs: Costs;
  /** How it was measured, once it is. */
  measured: string | undefined;
}

class Inside implements View {
  readonly id = 'inside';
  readonly title = 'Inside';
  #app!: App;
  #shown!: Shown;
  #drawing: Drawing | undefined;
  #blockDrawing: Drawing | undefined;
  #part = 0;
  #unit: number | undefined;
  #isVisible = false;
  #width = 0;
  /** Stops what was begun for a choice that no longer holds. */
  #measuring: AbortController | undefined;
  #maps = 0;
  #followed: { readonly model?: Model; readonly chosen?: Weights } = {};

  readonly #select = h('select', { onchange: () => this.#openAndMeasure(this.#select.value) });
  readonly #measure = h('button', { class: 'button quiet', type: 'button', onclick: () => this.#startMeasuring() });
  readonly #status = h('p', { class: 'small soft', role: 'status' });
  readonly #totals = h('p', { class: 'totals' });
  readonly #graph = h('div', { class: 'graph' });
  readonly #legend = h('div');
  readonly #heading = h('div', { class: 'heading' });
  readonly #facts = h('dl', { class: 'facts' });
  readonly #layers = h('div', { class: 'layers' });
  readonly #features = h('div', { class: 'features' });
  readonly #details = h(
    'section',
    { class: 'panel stack details', 'aria-label': 'The chosen part', tabindex: -1 },
    this.#heading,
    this.#facts,
    this.#layers,
    h('h3', {}, 'Feature maps'),
    this.#features,
  );

  render(app: App): HTMLElement {
    this.#app = app;
    this.#select.append(...networkOptions());
    for (const event of ['model', 'weights']) app.addEventListener(event, () => this.#follow());
    app.addEventListener('picture', () => this.#showFeatures());
    new ResizeObserver(() => this.#draw()).observe(this.#graph);
    this.#open(app.model?.name ?? app.settings.network);
    return h(
      'div',
      { class: 'view inside' },
      h(
        'div',
        { class: 'lead' },
        h('h1', {}, 'Inside'),
        h(
          'p',
          {},
          'The network as its graph, from the picture to the answer. Choose a box to see what it is made of, what it costs, and what it makes of the picture.',
        ),
      ),
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
        this.#details,
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

  /** The loaded model, if it is the network that is shown. */
  get #model(): Model | undefined {
    const { model } = this.#app;
    return model?.name === this.#shown.name ? model : undefined;
  }

  /** Follows what is loaded and chosen elsewhere in the page; what the visitor opened here stays until that changes. */
  #follow(): void {
    const { model, chosen, settings } = this.#app;
    if (model !== this.#followed.model || chosen !== this.#followed.chosen) {
      this.#followed = { model, chosen };
      this.#open(model?.name ?? settings.network);
    } else {
      void this.#showFeatures();
    }
    if (this.#isVisible && this.#model && !this.#shown.measured) void this.#startMeasuring();
  }

  #open(name: string): void {
    const { model, chosen } = this.#app;
    const isLoaded = model?.name === name;
    const isChosen = chosen?.network === name;
    const graph = buildNetwork(name, isChosen ? chosen.options : {});
    const counts = isLoaded ? model.summary() : summary(graph);
    this.#measuring?.abort();
    this.#select.value = name;
    const isOther = this.#shown?.name !== name;
    this.#shown = {
      name,
      graph,
      parts: partsOf(graph),
      summary: counts,
      costs: new Costs(counts),
      measured: undefined,
    };
    // The first layer: its maps are still like the picture.
    if (isOther) [this.#part, this.#unit] = [Math.min(1, this.#shown.parts.length - 1), undefined];
    this.#width = 0;
    this.#draw();
    this.#showCosts();
    this.#showPart();
  }

  /** A model that is there is measured at once; to make one of random weights is left to the visitor. */
  #openAndMeasure(name: string): void {
    this.#open(name);
    if (this.#model) void this.#startMeasuring();
  }

  #draw(): void {
    const width = this.#graph.clientWidth;
    if (width === 0 || width === this.#width) return;
    const hadFocus = this.#graph.contains(document.activeElement);
    this.#width = width;
    const layout = layoutNetwork(groupsOf(this.#shown.parts), width);
    this.#drawing = drawNetwork(this.#shown.name, layout, (index) => this.#choose(index));
    this.#graph.replaceChildren(this.#drawing.element);
    this.#legend.replaceChildren(...legend(this.#shown.parts));
    this.#drawing.select(this.#part);
    this.#drawing.setShares(this.#shown.parts.map((part) => this.#shown.costs.share(part)));
    if (hadFocus) this.#drawing.focus(this.#part);
    this.#showLayers();
  }

  #choose(part: number): void {
    [this.#part, this.#unit] = [part, undefined];
    this.#drawing?.select(part);
    this.#showPart();
    const { top } = this.#details.getBoundingClientRect();
    if (top < innerHeight - 120) {
      this.#details.scrollTop = 0;
      return;
    }
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.#details.scrollIntoView({ behavior: isStill ? 'auto' : 'smooth' });
  }

  #backToGraph(): void {
    this.#graph.scrollIntoView({ block: 'nearest' });
    this.#drawing?.focus(this.#part);
  }

  #chooseUnit(unit: number | undefined): void {
    this.#unit = unit;
    this.#blockDrawing?.select(unit);
    this.#showHeading();
    void this.#showFeatures();
  }

  get #chosen(): Part | Unit {
    const part = this.#shown.parts[this.#part] as Part;
    return this.#unit === undefined ? part : (part.units[this.#unit] as Unit);
  }

  #showPart(): void {
    this.#showHeading();
    this.#showLayers();
    void this.#showFeatures();
  }

  #showHeading(): void {
    const part = this.#shown.parts[this.#part] as Part;
    const chosen = this.#chosen;
    const words = 'units' in chosen ? description(chosen) : unitDescription(chosen);
    const back =
      this.#unit !== undefined &&
      h('button', { class: 'link', type: 'button', onclick: () => this.#chooseUnit(undefined) }, part.name);
    const own = this.#unit === undefined ? part.name : chosen.name.slice(part.name.length + 1);
    this.#heading.replaceChildren(
      h('h2', {}, back, back && ' › ', own),
      h(
        'button',
        { class: 'link small back', type: 'button', onclick: () => this.#backToGraph() },
        'Back to the graph',
      ),
      h('p', { class: 'soft' }, `${words.charAt(0).toUpperCase()}${words.slice(1)}.`),
    );
    this.#showFacts();
  }

  #showFacts(): void {
    const { costs, measured } = this.#shown;
    const chosen = this.#chosen;
    const { parameters, macs, ms: time } = costs.of(chosen);
    const part = costs.share(chosen);
    const fact = (name: string, text: Child) => h('div', {}, h('dt', {}, name), h('dd', {}, text));
    const timeText = time !== undefined ? ms(time) : measured && macs === 0 ? 'fused' : '–';
    this.#facts.replaceChildren(
      fact('Output', shapeOf(chosen.shape)),
      fact('Parameters', digits(parameters)),
      fact('Multiply–adds', macs === 0 ? '0' : short(macs)),
      fact('Time', timeText),
      fact('Share of the run', part === undefined ? '–' : share(part)),
      fact('Speed', time && macs ? `${((2 * macs) / time / 1e6).toFixed(0)} GFLOP/s` : '–'),
    );
  }

  #showLayers(): void {
    const part = this.#shown.parts[this.#part] as Part;
    this.#layers.hidden = !part.isBlock;
    this.#blockDrawing = undefined;
    if (!part.isBlock) return;
    const width = this.#layers.clientWidth;
    if (width === 0) return;
    const before = this.#shown.parts[this.#part - 1];
    this.#blockDrawing = drawBlock(part.name, before ? shapeOf(before.shape) : '', layoutBlock(part, width), (unit) =>
      this.#chooseUnit(unit === this.#unit ? undefined : unit),
    );
    this.#blockDrawing.select(this.#unit);
    this.#blockDrawing.setShares(part.units.map((unit) => this.#shown.costs.share(unit)));
    this.#layers.replaceChildren(this.#blockDrawing.element);
  }

  #showCosts(): void {
    const { summary: counts, costs, measured, parts } = this.#shown;
    const total = costs.totalMs;
    this.#totals.textContent = [
      `${short(counts.parameters)} parameters`,
      `${short(counts.macs)} multiply–adds`,
      total !== undefined && ms(total),
    ]
      .filter(Boolean)
      .join(' · ');
    this.#status.textContent =
      measured ?? (this.#model ? '' : 'Times appear when it is measured: random weights do for that.');
    this.#measure.textContent = measured ? 'Measure again' : 'Measure';
    this.#measure.disabled = false;
    this.#drawing?.setShares(parts.map((part) => costs.share(part)));
    this.#blockDrawing?.setShares((parts[this.#part] as Part).units.map((unit) => costs.share(unit)));
    this.#showFacts();
  }

  /** Runs the network that is shown, on the loaded model or on one of random weights, and shows each step's time. */
  async #startMeasuring(): Promise<void> {
    this.#measuring?.abort();
    const abort = new AbortController();
    this.#measuring = abort;
    const shown = this.#shown;
    const own = this.#model;
    const { binary, threads } = this.#app.settings;
    this.#measure.disabled = true;
    this.#status.textContent = own ? 'Measuring.' : 'Making random weights.';
    let model: Model | undefined;
    try {
      model = own ?? (await load(shown.name, { weights: { seed: 1 }, binary, threads, signal: abort.signal }));
      this.#status.textContent = 'Measuring.';
      const { h: height, w: width, c } = graphInput(shown.graph);
      const shape = [1, c, height, width];
      const input = { data: seededInput(shape), shape, layout: 'NCHW' as const };
      const runs: (readonly StepProfile[])[] = [];
      for (let run = -WARM_UP; run < RUNS; run++) {
        const { profile = [] } = await model.run(input, { profile: true });
        abort.signal.throwIfAborted();
        if (run >= 0) runs.push(profile);
      }
      const { threads: count } = model.info();
      shown.costs = new Costs(shown.summary, stepTimes(runs));
      shown.measured = `Median of ${RUNS} runs, ${runs[0]?.length} steps one by one, ${count === 1 ? 'one thread' : `${count} threads`}${own ? '' : ', random weights'}.`;
    } catch (reason) {
      if (!abort.signal.aborted) this.#app.report(reason);
    } finally {
      if (!own) model?.dispose();
      if (this.#measuring === abort) this.#showCosts();
    }
  }

  async #showFeatures(): Promise<void> {
    const turn = ++this.#maps;
    const { picture, chosen: weights } = this.#app;
    const model = this.#model;
    if (!model) {
      this.#features.replaceChildren(...this.#askForModel());
      return;
    }
    if (!picture) {
      this.#features.replaceChildren(
        h('p', {}, 'Choose a picture to see what this layer makes of it.'),
        h('div', { class: 'row' }, pictureButton(this.#app), samples(this.#app)),
      );
      return;
    }
    if (!this.#isVisible) return;
    const chosen = this.#chosen;
    const unit = 'units' in chosen ? (chosen.units.at(-1) as Unit) : chosen;
    const node = unit.nodes.at(-1);
    this.#features.setAttribute('aria-busy', 'true');
    try {
      const map = await model.featureMap(picture.blob, node?.name ?? unit.name);
      if (turn !== this.#maps) return;
      const isOutput = map.layer === this.#shown.graph.nodes[this.#shown.graph.output]?.name;
      this.#features.replaceChildren(
        featureMaps(map, picture, isOutput ? weights?.labels : undefined),
        ...(map.layer === node?.name
          ? []
          : [
              h('p', { class: 'small soft' }, `This is the value of ${map.layer}, which is computed in the same step.`),
            ]),
      );
    } catch (reason) {
      if (turn === this.#maps) this.#app.report(reason);
    } finally {
      if (turn === this.#maps) this.#features.setAttribute('aria-busy', 'false');
    }
  }

  #askForModel(): Node[] {
    const app = this.#app;
    const { chosen, model } = app;
    if (!chosen)
      return [h('p', {}, 'Feature maps need weights: drop a weight file on the page, or choose one in Classify.')];
    if (chosen.network !== this.#shown.name) {
      return [
        h('p', {}, `Feature maps need weights, and those here are of ${chosen.network}.`),
        h(
          'button',
          { class: 'button quiet', type: 'button', onclick: () => this.#openAndMeasure(chosen.network) },
          `Show ${chosen.network}`,
        ),
      ];
    }
    if (model) return [];
    const start = async (): Promise<void> => {
      try {
        await app.ensureModel();
        if (!app.picture) await setSample(app);
      } catch (reason) {
        app.report(reason);
      }
    };
    return [
      h('p', {}, 'Feature maps need the weights of the network.'),
      h('button', { class: 'button', type: 'button', onclick: start }, `Load ${chosen.title}`),
    ];
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
