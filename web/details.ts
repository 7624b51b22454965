/** What is told of the chosen part of a network: its costs, its layers, and what it makes of the picture. */

import type { Model } from '../bindings/index.web.js';
import type { App } from './app.js';
import { pictureButton, samples, setSample } from './choose.js';
import { type Child, h } from './dom.js';
import { type Drawing, drawBlock } from './drawing.js';
import { featureMaps } from './feature-maps.js';
import { layoutBlock } from './graph-layout.js';
import { type Part, shapeOf, type Unit } from './structure.js';
import type { Subject } from './subject.js';
import { description, digits, ms, share, short, unitDescription } from './words.js';

/** What the details ask of the view around them. */
export interface Around {
  /** Scrolls back to the graph, if it is out of sight. */
  back(): void;
  /** Shows another network. */
  open(network: string): void;
  /** The loaded model, if it is of the network that is shown. */
  model(): Model | undefined;
}

export class Details {
  readonly #app: App;
  readonly #around: Around;
  #subject!: Subject;
  #index = 0;
  #unit: number | undefined;
  #drawing: Drawing | undefined;
  /** Counts the maps that were asked for: only the last are shown. */
  #turn = 0;

  readonly #heading = h('div', { class: 'heading' });
  readonly #facts = h('dl', { class: 'facts' });
  readonly #layers = h('div', { class: 'layers' });
  readonly #features = h('div', { class: 'features' });
  readonly element = h(
    'section',
    { class: 'panel stack details', 'aria-label': 'The chosen part', tabindex: -1 },
    this.#heading,
    this.#facts,
    this.#layers,
    h('h3', {}, 'Feature maps'),
    this.#features,
  );

  constructor(app: App, around: Around) {
    this.#app = app;
    this.#around = around;
  }

  /** Tells of a part, given by its place in `subject.parts`. */
  show(subject: Subject, index: number): void {
    // The same part of a network that is only now loaded stays as it was opened.
    const isSame = this.#subject !== subject && this.#subject?.name === subject.name && this.#index === index;
    if (!isSame) this.#unit = undefined;
    this.#subject = subject;
    this.#index = index;
    this.#showHeading();
    this.showLayers();
    void this.showFeatures();
  }

  /** Scrolls to the details, if they are out of sight. */
  reveal(): void {
    if (this.element.getBoundingClientRect().top < innerHeight - 120) {
      this.element.scrollTop = 0;
      return;
    }
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.element.scrollIntoView({ behavior: isStill ? 'auto' : 'smooth' });
  }

  /** After a measurement. */
  showCosts(): void {
    const { costs } = this.#subject;
    this.#drawing?.setShares(this.#part.units.map((unit) => costs.share(unit)));
    this.#showFacts();
  }

  get #part(): Part {
    return this.#subject.parts[this.#index] as Part;
  }

  get #chosen(): Part | Unit {
    return this.#unit === undefined ? this.#part : (this.#part.units[this.#unit] as Unit);
  }

  #chooseUnit(unit: number | undefined): void {
    this.#unit = unit;
    this.#drawing?.select(unit);
    this.#showHeading();
    void this.showFeatures();
  }

  #showHeading(): void {
    const { name } = this.#part;
    const chosen = this.#chosen;
    const words = 'units' in chosen ? description(chosen) : unitDescription(chosen);
    const toBlock = () => {
      const unit = this.#unit;
      this.#chooseUnit(undefined);
      // The button that had the focus is gone.
      this.#drawing?.focus(unit ?? 0);
    };
    const title =
      this.#unit === undefined
        ? [name]
        : [
            h('button', { class: 'link', type: 'button', onclick: toBlock }, name),
            ' › ',
            chosen.name.slice(name.length + 1),
          ];
    this.#heading.replaceChildren(
      h('h2', {}, title),
      h(
        'button',
        { class: 'link small back', type: 'button', onclick: () => this.#around.back() },
        'Back to the graph',
      ),
      h('p', { class: 'soft' }, `${words.charAt(0).toUpperCase()}${words.slice(1)}.`),
    );
    this.#showFacts();
  }

  #showFacts(): void {
    const { costs, measured } = this.#subject;
    const chosen = this.#chosen;
    const { parameters, macs, ms: time } = costs.of(chosen);
    const part = costs.share(chosen);
    const fact = (name: string, text: Child) => h('div', {}, h('dt', {}, name), h('dd', {}, text));
    const timeText = time !== undefined ? ms(time) : measured && macs === 0 ? 'fused' : '–';
    this.#facts.replaceChildren(
      fact('Output', shapeOf(chosen.shape)),
      fact('Parameters', digits(parameters)),
      fact('Multiply–adds', short(macs)),
      fact('Time', timeText),
      fact('Share of the run', part === undefined ? '–' : share(part)),
      fact('Speed', time && macs ? `${((2 * macs) / time / 1e6).toFixed(0)} GFLOP/s` : '–'),
    );
  }

  /** Draws the layers of a block in the width that there is. */
  showLayers(): void {
    const part = this.#part;
    this.#layers.hidden = !part.isBlock;
    this.#drawing = undefined;
    if (!part.isBlock) return;
    const width = this.#layers.clientWidth;
    if (width === 0) return;
    const before = this.#subject.parts[this.#index - 1];
    this.#drawing = drawBlock(part.name, before ? shapeOf(before.shape) : '', layoutBlock(part, width), (unit) =>
      this.#chooseUnit(unit === this.#unit ? undefined : unit),
    );
    this.#drawing.select(this.#unit);
    this.#drawing.setShares(part.units.map((unit) => this.#subject.costs.share(unit)));
    this.#layers.replaceChildren(this.#drawing.element);
  }

  /** Shows what the chosen layer, or a block's last, makes of the picture; or asks for what is missing for that. */
  async showFeatures(): Promise<void> {
    const turn = ++this.#turn;
    const { picture } = this.#app;
    const model = this.#around.model();
    if (!model || !picture) {
      this.#features.replaceChildren(...(model ? this.#askForPicture() : this.#askForModel()));
      this.#features.setAttribute('aria-busy', 'false');
      return;
    }
    if (!this.element.isConnected) return;
    const { graph } = this.#subject;
    const chosen = this.#chosen;
    const unit = 'units' in chosen ? (chosen.units.at(-1) as Unit) : chosen;
    const { name } = unit.nodes.at(-1) ?? unit;
    this.#features.setAttribute('aria-busy', 'true');
    try {
      const map = await model.featureMap(picture.blob, name);
      if (turn !== this.#turn) return;
      const labels = map.layer === graph.nodes[graph.outputs[0].node]?.name ? model.labels : undefined;
      const note = `This is the value of ${map.layer}, which is computed in the same step.`;
      this.#features.replaceChildren(
        featureMaps(map, picture, labels),
        ...(map.layer === name ? [] : [h('p', { class: 'small soft' }, note)]),
      );
    } catch (reason) {
      if (turn === this.#turn) this.#app.report(reason);
    } finally {
      if (turn === this.#turn) this.#features.setAttribute('aria-busy', 'false');
    }
  }

  #askForPicture(): Node[] {
    return [
      h('p', {}, 'Choose a picture to see what this layer makes of it.'),
      h('div', { class: 'row' }, pictureButton(this.#app), samples(this.#app)),
    ];
  }

  #askForModel(): Node[] {
    const app = this.#app;
    const { chosen } = app;
    if (!chosen) {
      return [h('p', {}, 'Feature maps need weights: drop a weight file on the page, or choose one in Classify.')];
    }
    const button = (label: string, kind: string, onclick: () => void) =>
      h('button', { class: kind, type: 'button', onclick }, label);
    const { network, title } = chosen;
    if (network !== this.#subject.name) {
      return [
        h('p', {}, `Feature maps need weights, and those here are of ${network}.`),
        button(`Show ${network}`, 'button quiet', () => this.#around.open(network)),
      ];
    }
    const start = async (): Promise<void> => {
      try {
        await app.ensureModel();
        if (!app.picture) await setSample(app);
      } catch (reason) {
        app.report(reason);
      }
    };
    return [h('p', {}, 'Feature maps need the weights of the network.'), button(`Load ${title}`, 'button', start)];
  }
}
