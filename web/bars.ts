/** The most probable classes as a list of bars. Its rows are there from the start, so that nothing moves. */

import type { Classification } from '../bindings/index.web.js';
import { h } from './dom.js';
import { percent } from './format.js';

export const nameOf = ({ label, index }: Pick<Classification, 'label' | 'index'>): string => label ?? `class ${index}`;

export class Bars {
  readonly element: HTMLElement;
  readonly #rows: {
    readonly row: HTMLElement;
    readonly name: HTMLElement;
    readonly share: HTMLElement;
    readonly bar: HTMLElement;
  }[];

  constructor(count: number) {
    this.#rows = Array.from({ length: count }, () => {
      const name = h('span', { class: 'name' });
      const share = h('span', { class: 'share' });
      const bar = h('span', { class: 'bar', 'aria-hidden': 'true' });
      return { row: h('li', {}, name, share, bar), name, share, bar };
    });
    this.element = h(
      'ol',
      { class: 'bars', 'aria-label': 'The most probable classes' },
      this.#rows.map(({ row }) => row),
    );
    this.show([]);
  }

  show(classes: readonly Classification[]): void {
    for (const [i, { row, name, share, bar }] of this.#rows.entries()) {
      const found = classes[i];
      row.classList.toggle('empty', !found);
      if (found) row.removeAttribute('aria-hidden');
      else row.setAttribute('aria-hidden', 'true');
      name.textContent = found ? nameOf(found) : '\u00a0';
      name.title = found ? nameOf(found) : '';
      share.textContent = found ? percent(found.probability) : '';
      bar.style.setProperty('--share', String(found?.probability ?? 0));
    }
  }
}
