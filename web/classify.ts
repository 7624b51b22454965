/** Classify: a picture or the camera, and the five most probable classes. */

import './classify.css';
import type { Classification, Model } from '../bindings/index.web.js';
import { type App, type Picture, TOP, type View } from './app.js';
import { Bars, nameOf } from './bars.js';
import { Camera } from './camera.js';
import { PROMPT, pictureButton, samples } from './choose.js';
import { h } from './dom.js';
import { megabytes, milliseconds, percent } from './format.js';
import { settingsPanel } from './settings.js';

/** How much of the mean of a live frame's time is the newest frame's. */
const NEWEST = 0.2;

class Classify {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #bars = new Bars(TOP);
  readonly #camera = new Camera();
  readonly #status = h('p', { class: 'status soft' });
  readonly #spoken = h('p', { class: 'sr-only', role: 'status' });
  readonly #prompt = h('p', { class: 'prompt soft' }, PROMPT);
  readonly #picture = h('img', { alt: '', hidden: true });
  readonly #live: HTMLButtonElement;
  readonly #open: HTMLButtonElement;
  readonly #ofPicture: HTMLElement;
  readonly #ofCamera: HTMLElement;
  /** What the bars show. */
  #shown: { readonly picture: Picture; readonly model: Model } | undefined;
  #isVisible = false;
  #isBusy = false;
  /** Something changed meanwhile. */
  #again = false;
  /** The run of live mode, while there is one. */
  #liveRun: object | undefined;

  constructor(app: App) {
    this.#app = app;
    this.#camera.video.hidden = true;
    const button = (label: string, onclick: () => void) =>
      h('button', { class: 'button quiet', type: 'button', onclick }, label);
    this.#live = button('Classify live', () => (this.#liveRun ? this.#stopLive() : void this.#startLive()));
    this.#live.setAttribute('aria-pressed', 'false');
    this.#open = button('Camera', () => void this.#openCamera());
    this.#ofPicture = h('div', { class: 'row actions' }, pictureButton(app), this.#open, samples(app));
    const take = h(
      'button',
      { class: 'button', type: 'button', onclick: () => void this.#takeStill() },
      'Take a picture',
    );
    this.#ofCamera = h(
      'div',
      { class: 'row actions', hidden: true },
      take,
      this.#live,
      button('Close the camera', () => this.#closeCamera()),
    );
    this.element = h(
      'div',
      { class: 'view classify' },
      h(
        'div',
        { class: 'lead' },
        h('h1', {}, 'What is in the picture?'),
        h('p', {}, 'A residual network names what it sees, on this computer’s CPU, in this page.'),
      ),
      h(
        'div',
        { class: 'beside' },
        h(
          'div',
          { class: 'stack' },
          h('div', { class: 'photo' }, this.#prompt, this.#picture, this.#camera.video),
          this.#ofPicture,
          this.#ofCamera,
        ),
        h(
          'section',
          { class: 'panel stack results', 'aria-labelledby': 'results-title' },
          h('h2', { id: 'results-title' }, 'Five most probable'),
          this.#bars.element,
          this.#status,
          this.#spoken,
        ),
      ),
      settingsPanel(app),
    );
    app.addEventListener('picture', () => {
      this.#closeCamera();
      this.#showPicture();
      this.#update();
    });
    app.addEventListener('model', () => this.#update());
    app.addEventListener('progress', () => this.#explain());
    document.addEventListener('visibilitychange', () => document.hidden && this.#stopLive());
    this.#showPicture();
    this.#explain();
  }

  shown(): void {
    this.#isVisible = true;
    this.#update();
  }

  hidden(): void {
    this.#isVisible = false;
    this.#closeCamera();
  }

  #showPicture(): void {
    const { picture } = this.#app;
    if (!picture) return;
    URL.revokeObjectURL(this.#picture.src);
    this.#picture.src = URL.createObjectURL(picture.blob);
    this.#picture.alt = `The picture to classify: ${picture.name}`;
    this.#picture.hidden = false;
    this.#prompt.hidden = true;
  }

  /** Classifies the picture, if the bars are not of it and this model. */
  #update(): void {
    this.#explain();
    const { picture, model } = this.#app;
    if (!this.#isVisible || !picture || this.#camera.isOpen) return;
    this.#again = this.#isBusy;
    if (this.#isBusy) return;
    if (this.#shown?.picture === picture && this.#shown.model === model) return;
    void this.#classify(picture);
  }

  async #classify(picture: Picture): Promise<void> {
    this.#isBusy = true;
    this.#bars.element.setAttribute('aria-busy', 'true');
    try {
      const model = await this.#app.ensureModel();
      try {
        const { classes, ms } = await this.#app.analyse(model, picture);
        this.#bars.show(classes);
        this.#status.textContent = `In ${milliseconds(ms)}, with decoding and resizing.`;
        this.#say(classes);
      } catch (reason) {
        // Not if the model is gone, since other weights were chosen.
        if (model === this.#app.model) throw reason;
      } finally {
        // What failed is not tried again.
        this.#shown = { picture, model };
      }
    } catch (reason) {
      this.#app.report(reason);
      this.#bars.show([]);
    } finally {
      this.#isBusy = false;
      this.#bars.element.removeAttribute('aria-busy');
    }
    if (this.#again) this.#update();
  }

  #say(classes: readonly Classification[]): void {
    this.#spoken.textContent = classes.map((found) => `${nameOf(found)}, ${percent(found.probability)}`).join('; ');
  }

  /** What the line under the bars says while they are empty. */
  #explain(): void {
    const { picture, loading, model, chosen } = this.#app;
    if (this.#shown && this.#shown.model === model && this.#shown.picture === picture) return;
    if (this.#liveRun) return;
    if (!model && this.#shown) {
      this.#shown = undefined;
      this.#bars.show([]);
    }
    if (loading?.phase === 'cancelled') this.#status.textContent = 'The weights are not loaded.';
    else if (loading) this.#status.textContent = 'The weights come first.';
    else if (!chosen)
      this.#status.textContent = 'There are no weights yet: choose a network or open a weight file below.';
    else if (picture) this.#status.textContent = '\u00a0';
    else
      this.#status.textContent = `The first picture fetches the network’s weights, ${megabytes(chosen.bytes)}, once.`;
  }

  async #openCamera(): Promise<void> {
    this.#app.clearProblem();
    try {
      if (!(await this.#camera.open())) return;
      this.#setCamera(true);
      this.#live.focus();
    } catch (reason) {
      this.#closeCamera();
      this.#app.report(reason);
    }
  }

  #closeCamera(): void {
    const wasOpen = this.#camera.isOpen;
    const hadFocus = this.#ofCamera.contains(document.activeElement);
    this.#stopLive();
    this.#camera.close();
    this.#setCamera(false);
    if (hadFocus) this.#open.focus();
    if (wasOpen) this.#update();
  }

  #setCamera(isOpen: boolean): void {
    this.#camera.video.hidden = !isOpen;
    this.#ofCamera.hidden = !isOpen;
    this.#ofPicture.hidden = isOpen;
    this.#picture.hidden = isOpen || !this.#app.picture;
    this.#prompt.hidden = isOpen || this.#app.picture !== undefined;
  }

  async #takeStill(): Promise<void> {
    try {
      await this.#app.setPicture(await this.#camera.still(), 'a still of the camera');
    } catch (reason) {
      this.#app.report(reason);
    }
  }

  async #startLive(): Promise<void> {
    const own = {};
    this.#setLive(own);
    let run: number | undefined;
    let whole: number | undefined;
    while (this.#liveRun === own) {
      // Asked for each frame: the settings may change meanwhile, and take the model away.
      let model: Model | undefined;
      try {
        model = await this.#app.ensureModel();
        const start = performance.now();
        const classes = await model.classify(this.#camera.video, { topK: TOP });
        run = mean(run, performance.now() - start);
        if (this.#liveRun !== own) return;
        this.#shown = undefined;
        this.#bars.show(classes);
        await nextFrame();
        whole = mean(whole, performance.now() - start);
        this.#status.textContent = `${milliseconds(run)} per frame, ${(1000 / whole).toFixed(1)} frames per second.`;
      } catch (reason) {
        if (model && model !== this.#app.model) continue;
        if (this.#liveRun !== own) return;
        this.#stopLive();
        this.#app.report(reason);
      }
    }
  }

  #stopLive(): void {
    if (this.#liveRun) this.#setLive(undefined);
  }

  #setLive(run: object | undefined): void {
    this.#liveRun = run;
    this.#live.setAttribute('aria-pressed', String(run !== undefined));
    this.#live.textContent = run ? 'Stop' : 'Classify live';
  }
}

const mean = (before: number | undefined, newest: number): number =>
  before === undefined ? newest : before + NEWEST * (newest - before);

const nextFrame = (): Promise<number> => new Promise(requestAnimationFrame);

let view: Classify | undefined;

export const classify: View = {
  id: 'classify',
  title: 'Classify',
  render: (app) => {
    view = new Classify(app);
    return view.element;
  },
  shown: () => view?.shown(),
  hidden: () => view?.hidden(),
};
