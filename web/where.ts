/** Where it looked: the evidence for each of the five most probable classes, over the picture. */

import './where.css';
import { type Cam, heatmap, type Model, type Pixels } from '../bindings/index.web.js';
import { type App, type Picture, TOP, type View } from './app.js';
import { nameOf } from './bars.js';
import { PROMPT, pictureButton, samples, setSample } from './choose.js';
import { h } from './dom.js';
import { percent } from './format.js';

const LONGEST_SIDE = 1200;
const HEAT_SIDE = 224;
const SMALL_SIDE = 160;
const OUTSIDE = 'rgb(0 0 0 / 45%)';

class Where {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #canvas = h('canvas', {
    class: 'whole',
    width: 1200,
    height: 900,
    role: 'img',
    'aria-label': 'No picture yet',
  });
  readonly #prompt: HTMLElement;
  readonly #opacity = h('input', { type: 'range', min: 0, max: 100, value: 75, id: 'heat-opacity' });
  readonly #choices: readonly {
    readonly input: HTMLInputElement;
    readonly canvas: HTMLCanvasElement;
    readonly name: HTMLElement;
    readonly share: HTMLElement;
  }[];
  readonly #status = h('p', { class: 'status soft', role: 'status' });
  #shown:
    | { readonly picture: Picture; readonly model: Model; readonly cam: Cam; readonly heats: HTMLCanvasElement[] }
    | undefined;
  /** What failed is not tried again. */
  #failed: { readonly picture: Picture; readonly model: Model } | undefined;
  #chosen = 0;
  #isVisible = false;
  #isBusy = false;
  /** Something changed meanwhile. */
  #again = false;

  constructor(app: App) {
    this.#app = app;
    this.#prompt = h(
      'div',
      { class: 'prompt stack' },
      h('p', { class: 'soft' }, PROMPT),
      h(
        'button',
        { class: 'button', type: 'button', onclick: () => setSample(app).catch((reason) => app.report(reason)) },
        'Show it with the cat',
      ),
    );
    this.#choices = Array.from({ length: TOP }, (_, i) => ({
      input: h('input', { type: 'radio', name: 'class', value: i, checked: i === 0, disabled: true }),
      canvas: h('canvas', { width: SMALL_SIDE, height: SMALL_SIDE, 'aria-hidden': 'true' }),
      name: h('span', { class: 'name' }),
      share: h('span', { class: 'soft' }),
    }));
    for (const [i, { input }] of this.#choices.entries()) {
      input.addEventListener('change', () => {
        this.#chosen = i;
        this.#draw();
      });
    }
    this.#opacity.addEventListener('input', () => this.#draw());
    this.element = h(
      'div',
      { class: 'view where' },
      h(
        'div',
        { class: 'lead' },
        h('h1', {}, 'Where did it look?'),
        h(
          'p',
          {},
          'Each map shows what in the picture speaks for a class: the last feature map, weighted by that class’s ',
          'weights (Zhou et al. 2016).',
        ),
      ),
      h(
        'div',
        { class: 'beside' },
        h(
          'div',
          { class: 'stack' },
          h('div', { class: 'photo' }, this.#canvas, this.#prompt),
          h('div', { class: 'row actions' }, pictureButton(app), samples(app)),
        ),
        h(
          'div',
          { class: 'panel stack' },
          h(
            'fieldset',
            { class: 'stack' },
            h('legend', {}, 'Evidence for'),
            h(
              'div',
              { class: 'choices' },
              this.#choices.map(({ input, canvas, name, share }) =>
                h('label', { class: 'choice' }, input, canvas, h('span', { class: 'text' }, name, share)),
              ),
            ),
          ),
          h('label', { class: 'field', for: 'heat-opacity' }, 'Strength of the map', this.#opacity),
          this.#status,
        ),
      ),
    );
    app.addEventListener('picture', () => this.#update());
    app.addEventListener('model', () => this.#update());
    app.addEventListener('progress', () => this.#explain());
    this.#clear();
  }

  shown(): void {
    this.#isVisible = true;
    this.#update();
  }

  hidden(): void {
    this.#isVisible = false;
  }

  /** Maps the picture, if what is shown is not of it and this model. */
  #update(): void {
    const { picture, model } = this.#app;
    if (!this.#isVisible) return;
    this.#again = this.#isBusy;
    if (this.#isBusy) return;
    const isOf = (done: { picture: Picture; model: Model } | undefined) =>
      done !== undefined && done.picture === picture && done.model === model;
    if (isOf(this.#shown) || isOf(this.#failed)) return;
    this.#clear();
    if (picture) void this.#map(picture);
  }

  async #map(picture: Picture): Promise<void> {
    this.#isBusy = true;
    try {
      const model = await this.#app.ensureModel();
      try {
        // A network without maps says so itself.
        const cam = (await this.#app.analyse(model, picture)).cam ?? (await model.cam(picture.blob));
        const heats = cam.maps.map(({ data }) => canvasOf(heatmap(data, cam.shape, HEAT_SIDE, HEAT_SIDE)));
        this.#shown = { picture, model, cam, heats };
        this.#fill();
      } catch (reason) {
        this.#failed = { picture, model };
        // Not if the model is gone, since other weights were chosen.
        if (model === this.#app.model) throw reason;
      }
    } catch (reason) {
      this.#app.report(reason);
    } finally {
      this.#isBusy = false;
    }
    this.#explain();
    if (this.#again) this.#update();
  }

  /** The picture alone, until there are maps. */
  #clear(): void {
    this.#shown = undefined;
    for (const { input, canvas, name, share } of this.#choices) {
      input.disabled = true;
      name.textContent = '–';
      share.textContent = '\u00a0';
      canvas.getContext('2d')?.clearRect(0, 0, SMALL_SIDE, SMALL_SIDE);
    }
    this.#draw();
    this.#explain();
  }

  #explain(): void {
    const { picture, loading } = this.#app;
    if (this.#shown)
      this.#status.textContent = 'The network does not see what is dark: it takes a square from the middle.';
    else if (loading?.phase === 'cancelled') this.#status.textContent = 'The weights are not loaded.';
    else if (loading) this.#status.textContent = 'The weights come first.';
    else
      this.#status.textContent = picture ? '\u00a0' : 'The maps of a picture’s five most probable classes appear here.';
  }

  #fill(): void {
    if (!this.#shown) return;
    const { picture, cam, heats } = this.#shown;
    for (const [i, { input, canvas, name, share }] of this.#choices.entries()) {
      const map = cam.maps[i];
      const heat = heats[i];
      input.disabled = !map;
      if (!map || !heat) continue;
      name.textContent = nameOf(map);
      share.textContent = percent(map.probability);
      const context = canvas.getContext('2d');
      const { x, y, width, height } = cam.crop;
      context?.clearRect(0, 0, SMALL_SIDE, SMALL_SIDE);
      context?.drawImage(picture.bitmap, x, y, width, height, 0, 0, SMALL_SIDE, SMALL_SIDE);
      context?.drawImage(heat, 0, 0, SMALL_SIDE, SMALL_SIDE);
    }
    this.#chosen = 0;
    const first = this.#choices[0];
    if (first) first.input.checked = true;
    this.#draw();
  }

  /** Draws the picture, dark outside the network's crop, and the chosen class's map over the rest. */
  #draw(): void {
    const { picture } = this.#app;
    this.#canvas.hidden = !picture;
    this.#prompt.hidden = picture !== undefined;
    const context = this.#canvas.getContext('2d');
    if (!picture || !context) return;
    const { bitmap } = picture;
    const scale = LONGEST_SIDE / Math.max(bitmap.width, bitmap.height);
    const [width, height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
    this.#canvas.width = width;
    this.#canvas.height = height;
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, width, height);
    this.#canvas.setAttribute('aria-label', `The picture: ${picture.name}`);
    if (!this.#shown) return;
    const { cam, heats } = this.#shown;
    const map = cam.maps[this.#chosen];
    const heat = heats[this.#chosen];
    if (!map || !heat) return;
    const [x, y, w, h2] = [cam.crop.x, cam.crop.y, cam.crop.width, cam.crop.height].map((n) => n * scale) as [
      number,
      number,
      number,
      number,
    ];
    context.beginPath();
    context.rect(0, 0, width, height);
    context.rect(x, y, w, h2);
    context.fillStyle = OUTSIDE;
    context.fill('evenodd');
    context.globalAlpha = Number(this.#opacity.value) / 100;
    context.drawImage(heat, x, y, w, h2);
    context.globalAlpha = 1;
    this.#canvas.setAttribute('aria-label', `${picture.name}, with the evidence for ${nameOf(map)} over it`);
  }
}

function canvasOf({ data, width, height }: Pixels): HTMLCanvasElement {
  const canvas = h('canvas', { width, height });
  canvas.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
  return canvas;
}

let view: Where | undefined;

export const where: View = {
  id: 'where',
  title: 'Where it looked',
  render: (app) => {
    view = new Where(app);
    return view.element;
  },
  shown: () => view?.shown(),
  hidden: () => view?.hidden(),
};
