/** Teach: classes of one's own, learned from a few pictures each while they come. */

import './teach.css';
import { createHead, type Head, heatmap, type Model } from '../bindings/index.web.js';
import type { App, View } from './app.js';
import { Bars } from './bars.js';
import { Camera } from './camera.js';
import { fileButton, pictureButton } from './choose.js';
import { h } from './dom.js';
import { milliseconds, percent } from './format.js';
import { hasMaps } from './structure.js';
import { ClassCard, type Learned } from './teach-class.js';

/** Classes whose bars are shown. */
const SHOWN = 5;

/** Milliseconds between the pictures of a held button. */
const RECORD_MS = 250;

/** Training waits so long for the next picture. */
const SETTLED_MS = 150;

/** Pictures of each class from which on the accuracy is estimated. */
const ENOUGH = 4;

const SIDE = 320;

const fileName = (names: readonly string[]): string =>
  `${
    names
      .slice(0, 4)
      .join('-')
      .replace(/[^\p{L}\p{N}-]+/gu, '_') || 'classes'
  }.safetensors`;

class Teach {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #cards: ClassCard[] = [];
  readonly #list = h('div', { class: 'stack' });
  readonly #camera = new Camera();
  readonly #cameraButton: HTMLButtonElement;
  readonly #canvas = h('canvas', { width: SIDE, height: SIDE, role: 'img', 'aria-label': 'Nothing to classify yet' });
  readonly #prompt = h('p', { class: 'prompt soft' }, 'What the camera or a picture shows appears here.');
  readonly #bars = new Bars(SHOWN);
  readonly #status = h('p', { class: 'status soft', role: 'status' });
  readonly #download: HTMLButtonElement;
  /** What learns; of the model that was there when it was made. */
  #learner: { readonly model: Model; readonly head: Head } | undefined;
  /** What changes the head, one after another. */
  #last: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #held: ClassCard | undefined;
  #isVisible = false;
  #isLive = false;

  constructor(app: App) {
    this.#app = app;
    this.#camera.video.hidden = true;
    const button = (label: string, onclick: () => void, kind = 'button quiet') =>
      h('button', { class: kind, type: 'button', onclick }, label);
    this.#cameraButton = button('Camera', () => void (this.#camera.isOpen ? this.#closeCamera() : this.#openCamera()));
    this.#download = button('Download', () => void this.#save(), 'button');
    this.#download.disabled = true;
    this.element = h(
      'div',
      { class: 'view teach' },
      h(
        'div',
        { class: 'lead' },
        h('h1', {}, 'Teach it your own classes'),
        h(
          'p',
          {},
          'Name two things or more, and show some pictures of each: ten are a start. The last layer of the network is ',
          'trained in this page, as the pictures come.',
        ),
      ),
      h(
        'div',
        { class: 'beside' },
        h(
          'div',
          { class: 'stack' },
          this.#list,
          h(
            'div',
            { class: 'row' },
            button('Add a class', () => this.#addCard('')),
          ),
        ),
        h(
          'section',
          { class: 'panel stack results', 'aria-labelledby': 'teach-results' },
          h('h2', { id: 'teach-results' }, 'What it sees'),
          h('div', { class: 'seen' }, this.#canvas, this.#prompt, this.#camera.video),
          h('div', { class: 'row' }, this.#cameraButton, pictureButton(app)),
          this.#bars.element,
          this.#status,
          h(
            'div',
            { class: 'row' },
            this.#download,
            fileButton('Open', '.safetensors', (file) => void this.#open(file), true),
          ),
        ),
      ),
    );
    this.#addCard('Class 1');
    this.#addCard('Class 2');
    app.addEventListener('picture', () => this.#isVisible && void this.#classifyPicture());
    app.addEventListener('model', () => {
      this.#learner = undefined;
      if (this.#isVisible && this.#cards.some(({ pictures }) => pictures.size > 0)) this.#changed();
    });
    document.addEventListener('visibilitychange', () => document.hidden && this.#closeCamera());
    this.#tell('Add pictures to two classes, from files or by the camera.');
  }

  shown(): void {
    this.#isVisible = true;
    void this.#classifyPicture();
  }

  hidden(): void {
    this.#isVisible = false;
    this.#closeCamera();
  }

  #tell(text: string): void {
    this.#status.textContent = text;
  }

  #addCard(name: string): void {
    const card = new ClassCard(name || `Class ${this.#cards.length + 1}`, {
      onName: () => {
        this.#learner = undefined;
        this.#changed();
      },
      onPictures: (to, pictures) => void this.#add(to, pictures),
      onRemove: (from, picture) => {
        from.hide(picture);
        this.#forget([picture]);
      },
      onDelete: (gone) => {
        this.#cards.splice(this.#cards.indexOf(gone), 1);
        gone.element.remove();
        this.#forget([...gone.pictures]);
      },
      onHold: (of, isHeld) => void this.#hold(of, isHeld),
    });
    card.canRecord = this.#camera.isOpen;
    this.#cards.push(card);
    this.#list.append(card.element);
  }

  async #add(card: ClassCard, blobs: readonly Blob[]): Promise<void> {
    this.#app.clearProblem();
    for (const blob of blobs) {
      try {
        const bitmap = await createImageBitmap(blob);
        card.show(blob, bitmap);
        bitmap.close();
      } catch {
        const name = blob instanceof File ? blob.name : 'picture';
        this.#app.report(new Error(`${name}: expected a picture that this browser can read, got none.`));
      }
    }
    this.#changed();
  }

  #forget(pictures: readonly Learned[]): void {
    const head = this.#learner?.head;
    for (const { example } of pictures) if (example !== undefined) void this.#next(async () => head?.remove(example));
    this.#changed();
  }

  /** Learns what is new, once no more comes for a moment. */
  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#next(() => this.#learn()), SETTLED_MS);
  }

  #next(task: () => Promise<unknown>): Promise<unknown> {
    this.#last = this.#last.then(task).catch((reason) => this.#app.report(reason));
    return this.#last;
  }

  /** The head of the present model; a new one has nothing learned. */
  async #head(): Promise<Head> {
    const model = await this.#app.ensureModel();
    if (this.#learner?.model === model) return this.#learner.head;
    const head = await createHead(model);
    this.#learner = { model, head };
    for (const { pictures } of this.#cards) for (const picture of pictures) delete picture.example;
    return head;
  }

  async #learn(): Promise<void> {
    const head = await this.#head();
    let done = 0;
    const fresh = this.#cards.flatMap((card) => [...card.pictures].map((picture) => ({ card, picture })));
    const waiting = fresh.filter(({ picture }) => picture.example === undefined);
    for (const { card, picture } of waiting) {
      this.#tell(`Looking at picture ${++done} of ${waiting.length}.`);
      picture.example = await head.add(picture.blob, card.name || 'unnamed');
      // Taken away meanwhile.
      if (!card.pictures.has(picture)) await head.remove(picture.example);
    }
    this.#download.disabled = head.labels.length < 2;
    if (head.labels.length < 2) {
      this.#bars.show([]);
      this.#tell('It needs pictures of two classes or more.');
      return;
    }
    const start = performance.now();
    await head.train();
    const took = `Learned from ${head.size} pictures in ${milliseconds(performance.now() - start)}.`;
    this.#tell(took);
    void this.#classifyPicture();
    const sizes = this.#cards.map(({ pictures }) => pictures.size).filter((size) => size > 0);
    if (Math.min(...sizes) < ENOUGH) return;
    const { accuracy } = await head.evaluate();
    this.#tell(`${took} Of pictures that it has not learned, it gets ${percent(accuracy)} right.`);
  }

  /** Classifies the page's picture, if the camera is closed. */
  async #classifyPicture(): Promise<void> {
    const { picture } = this.#app;
    const { head } = this.#learner ?? {};
    if (!picture || this.#camera.isOpen) return;
    this.#prompt.hidden = true;
    this.#draw(picture.bitmap);
    this.#canvas.setAttribute('aria-label', `The picture: ${picture.name}`);
    if (!head?.isTrained) return;
    try {
      this.#bars.show(await head.classify(picture.blob, { topK: SHOWN }));
      await this.#drawEvidence(head, picture.blob, picture.bitmap);
    } catch (reason) {
      if (head === this.#learner?.head) this.#app.report(reason);
    }
  }

  #draw(source: ImageBitmap): void {
    const context = this.#canvas.getContext('2d');
    const side = Math.min(source.width, source.height);
    context?.drawImage(source, (source.width - side) / 2, (source.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  }

  /** Draws where the best class was seen, over the part of the picture that the network sees. */
  async #drawEvidence(head: Head, blob: Blob, bitmap: ImageBitmap): Promise<void> {
    if (!this.#learner || !hasMaps(this.#learner.model.graph)) return;
    const { maps, shape, crop } = await head.cam(blob);
    const [map] = maps;
    if (!map || this.#camera.isOpen || this.#app.picture?.blob !== blob) return;
    const { data, width, height } = heatmap(map.data, shape, SIDE, SIDE);
    const heat = await createImageBitmap(new ImageData(new Uint8ClampedArray(data), width, height));
    const context = this.#canvas.getContext('2d');
    context?.drawImage(bitmap, crop.x, crop.y, crop.width, crop.height, 0, 0, SIDE, SIDE);
    if (context) context.globalAlpha = 0.6;
    context?.drawImage(heat, 0, 0);
    if (context) context.globalAlpha = 1;
    this.#canvas.setAttribute('aria-label', `The picture, and where it looks like ${map.label}`);
  }

  async #openCamera(): Promise<void> {
    this.#app.clearProblem();
    try {
      if (!(await this.#camera.open())) return;
      this.#setCamera(true);
      void this.#live();
    } catch (reason) {
      this.#closeCamera();
      this.#app.report(reason);
    }
  }

  #closeCamera(): void {
    this.#held = undefined;
    this.#camera.close();
    this.#setCamera(false);
  }

  #setCamera(isOpen: boolean): void {
    this.#camera.video.hidden = !isOpen;
    this.#canvas.hidden = isOpen;
    this.#prompt.hidden = isOpen || this.#app.picture !== undefined;
    this.#cameraButton.textContent = isOpen ? 'Close the camera' : 'Camera';
    for (const card of this.#cards) card.canRecord = isOpen;
  }

  /** Classifies what the camera sees, frame by frame. */
  async #live(): Promise<void> {
    if (this.#isLive) return;
    this.#isLive = true;
    try {
      while (this.#camera.isOpen) {
        const { head } = this.#learner ?? {};
        if (head?.isTrained && !this.#held) {
          const classes = await head.classify(this.#camera.video, { topK: SHOWN });
          if (this.#camera.isOpen) this.#bars.show(classes);
        }
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    } catch (reason) {
      this.#app.report(reason);
    } finally {
      this.#isLive = false;
    }
  }

  /** Takes pictures of the camera for as long as a class's button is held. */
  async #hold(card: ClassCard, isHeld: boolean): Promise<void> {
    if (!isHeld) {
      this.#held = undefined;
      return;
    }
    if (this.#held) return;
    this.#held = card;
    while (this.#held === card && this.#camera.isOpen) {
      await this.#add(card, [await this.#camera.still()]);
      await new Promise((resolve) => setTimeout(resolve, RECORD_MS));
    }
  }

  async #save(): Promise<void> {
    await this.#next(async () => {
      const head = await this.#head();
      const url = URL.createObjectURL(new Blob([await head.save()]));
      h('a', { href: url, download: fileName(head.labels) }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  }

  async #open(file: File): Promise<void> {
    this.#app.clearProblem();
    await this.#next(async () => {
      const model = await this.#app.ensureModel();
      const head = await createHead(model, file);
      for (const card of this.#cards.splice(0)) card.element.remove();
      this.#learner = { model, head };
      for (const label of head.labels) this.#addCard(label);
      this.#download.disabled = false;
      this.#tell(`It knows ${head.labels.join(', ')}. Pictures that you add make it learn anew, from them alone.`);
      await this.#classifyPicture();
    });
  }
}

let view: Teach | undefined;

export const teach: View = {
  id: 'teach',
  title: 'Teach',
  render: (app) => {
    view = new Teach(app);
    return view.element;
  },
  shown: () => view?.shown(),
  hidden: () => view?.hidden(),
};
