/** One class of one's own: its name, its pictures, and the ways to add some. */

import { h } from './dom.js';

const THUMB = 56;

/** A picture that is learned. */
export interface Learned {
  readonly blob: Blob;
  readonly canvas: HTMLCanvasElement;
  /** The head's number, once it is there. */
  example?: number;
}

export interface ClassEvents {
  readonly onName: (card: ClassCard) => void;
  readonly onPictures: (card: ClassCard, pictures: readonly Blob[]) => void;
  readonly onRemove: (card: ClassCard, picture: Learned) => void;
  readonly onDelete: (card: ClassCard) => void;
  /** While the button is held. */
  readonly onHold: (card: ClassCard, isHeld: boolean) => void;
}

export class ClassCard {
  readonly element: HTMLElement;
  readonly pictures = new Set<Learned>();
  readonly #name: HTMLInputElement;
  readonly #thumbs = h('ul', { class: 'thumbs' });
  readonly #count = h('span', { class: 'soft small' });
  readonly #hold: HTMLButtonElement;
  readonly #events: ClassEvents;

  constructor(name: string, events: ClassEvents) {
    this.#events = events;
    const id = `class-${crypto.randomUUID()}`;
    this.#name = h('input', { id, type: 'text', value: name, maxlength: 60, autocomplete: 'off', required: true });
    this.#name.addEventListener('change', () => events.onName(this));
    const files = h('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true });
    files.addEventListener('change', () => {
      events.onPictures(this, [...(files.files ?? [])]);
      // The same files may be chosen again.
      files.value = '';
    });
    this.#hold = h('button', { class: 'button quiet', type: 'button', hidden: true }, 'Hold to record');
    const hold = (isHeld: boolean) => (event: Event) => {
      event.preventDefault();
      events.onHold(this, isHeld);
    };
    this.#hold.addEventListener('pointerdown', (event) => {
      this.#hold.setPointerCapture(event.pointerId);
      hold(true)(event);
    });
    for (const end of ['pointerup', 'pointercancel', 'blur']) this.#hold.addEventListener(end, hold(false));
    this.#hold.addEventListener('keydown', (event) => {
      if (event.key === ' ' || event.key === 'Enter') hold(true)(event);
    });
    this.#hold.addEventListener('keyup', hold(false));
    this.element = h(
      'section',
      { class: 'panel stack class-card', 'aria-labelledby': `${id}-title` },
      h(
        'div',
        { class: 'row' },
        h('label', { class: 'field', for: id, id: `${id}-title` }, 'Class', this.#name),
        this.#count,
      ),
      h(
        'div',
        { class: 'row' },
        h('button', { class: 'button quiet', type: 'button', onclick: () => files.click() }, 'Add pictures'),
        files,
        this.#hold,
        h('button', { class: 'button quiet', type: 'button', onclick: () => events.onDelete(this) }, 'Remove'),
      ),
      // Below the buttons, which must not move while one is held.
      this.#thumbs,
    );
    this.element.addEventListener('drop', (event) => {
      const dropped = [...(event.dataTransfer?.files ?? [])];
      if (dropped.length > 0) events.onPictures(this, dropped);
      // The page would classify the first of them; it only takes its mark away.
      event.stopPropagation();
      event.preventDefault();
      document.body.classList.remove('dropping');
    });
    this.#tell();
  }

  get name(): string {
    return this.#name.value.trim();
  }

  /** Whether the camera can be held to. */
  set canRecord(can: boolean) {
    this.#hold.hidden = !can;
  }

  /** Shows a picture that is learned; its thumbnail takes it away. */
  show(blob: Blob, bitmap: ImageBitmap): Learned {
    const canvas = h('canvas', { width: THUMB, height: THUMB });
    const side = Math.min(bitmap.width, bitmap.height);
    const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    canvas.getContext('2d')?.drawImage(bitmap, x, y, side, side, 0, 0, THUMB, THUMB);
    const learned: Learned = { blob, canvas };
    const label = () => `Picture ${[...this.pictures].indexOf(learned) + 1} of ${this.name}: take it away`;
    const button = h('button', { type: 'button', onclick: () => this.#events.onRemove(this, learned) }, canvas);
    this.pictures.add(learned);
    button.setAttribute('aria-label', label());
    this.#thumbs.append(h('li', {}, button));
    this.#tell();
    return learned;
  }

  hide(picture: Learned): void {
    this.pictures.delete(picture);
    picture.canvas.closest('li')?.remove();
    this.#tell();
  }

  #tell(): void {
    const { size } = this.pictures;
    this.#count.textContent = size === 1 ? '1 picture' : `${size} pictures`;
  }
}
