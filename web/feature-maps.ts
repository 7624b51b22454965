/** What a layer makes of the picture: its channels as tiles, and the one in hand over the picture. */

import type { FeatureMap } from '../bindings/index.web.js';
import type { Picture } from './app.js';
import { type Channel, channelsOf, pixelsOf } from './channels.js';
import { h, svg } from './dom.js';
import { digits, value } from './words.js';

const FIRST = 48;
const MORE = 96;
const PREVIEW = 320;

const spread = ({ least, greatest, mean }: Channel): string =>
  `${value(least)} to ${value(greatest)}, mean ${value(mean)}`;

/** One channel as a canvas of its own size. */
function canvasOf(map: FeatureMap, channel: Channel): HTMLCanvasElement {
  const [height, width] = map.shape;
  const canvas = h('canvas', { width, height });
  const image = new ImageData(width, height);
  image.data.set(pixelsOf(map, channel));
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}

/** `names`: what the values of a vector stand for, if that is known. */
export function featureMaps(map: FeatureMap, picture: Picture, names?: readonly string[]): HTMLElement {
  const [height, width] = map.shape;
  return height === 1 && width === 1 ? vector(map, names) : tiles(map, picture);
}

function tiles(map: FeatureMap, picture: Picture): HTMLElement {
  const channels = channelsOf(map);
  const preview = h('canvas', { class: 'preview', width: PREVIEW, height: PREVIEW });
  const caption = h('p', { class: 'small soft caption' });
  const list = h('div', { class: 'tiles', role: 'listbox', 'aria-label': 'Channels, most active first' });
  const more = h('button', { class: 'button quiet', type: 'button' });
  let stop: HTMLElement | undefined;
  let shown: HTMLElement | undefined;

  const show = (tile: HTMLElement, channel: Channel): void => {
    if (tile === shown) return;
    shown?.setAttribute('aria-selected', 'false');
    tile.setAttribute('aria-selected', 'true');
    shown = tile;
    drawOver(preview, picture, map, tile.querySelector('canvas') as HTMLCanvasElement);
    caption.replaceChildren(h('strong', {}, `Channel ${channel.index}`), ` over the picture: ${spread(channel)}.`);
  };
  const setStop = (tile: HTMLElement): void => {
    stop?.setAttribute('tabindex', '-1');
    tile.setAttribute('tabindex', '0');
    stop = tile;
  };
  const add = (count: number): void => {
    const from = list.childElementCount;
    for (const channel of channels.slice(from, from + count)) {
      const tile = h(
        'div',
        {
          role: 'option',
          tabindex: -1,
          'aria-selected': 'false',
          'aria-label': `Channel ${channel.index}: ${spread(channel)}`,
          title: `Channel ${channel.index}`,
        },
        canvasOf(map, channel),
      );
      tile.addEventListener('pointerenter', () => show(tile, channel));
      tile.addEventListener('focus', () => {
        setStop(tile);
        show(tile, channel);
      });
      list.append(tile);
    }
    const rest = channels.length - list.childElementCount;
    more.hidden = rest === 0;
    more.textContent = `Show ${rest > MORE ? `${MORE} more` : `the other ${rest}`}`;
  };
  more.addEventListener('click', () => {
    const next = list.childElementCount;
    add(MORE);
    (list.children[next] as HTMLElement | undefined)?.focus();
  });
  list.addEventListener('keydown', (event) => {
    const all = [...list.children] as HTMLElement[];
    const across = getComputedStyle(list).gridTemplateColumns.split(' ').length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    const at = all.indexOf(event.target as HTMLElement);
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? all.length - 1 : step === undefined ? -1 : at + step;
    if (step === undefined && to < 0) return;
    event.preventDefault();
    all[to]?.focus();
  });
  add(FIRST);
  const [first] = list.children;
  if (first && channels[0]) {
    setStop(first as HTMLElement);
    show(first as HTMLElement, channels[0]);
  }
  const [height, width, count] = map.shape;
  return h(
    'div',
    { class: 'stack' },
    h('div', { class: 'over' }, preview, caption),
    h(
      'p',
      { class: 'small soft' },
      `${digits(count)} channels of ${height}×${width}, most active first. Each is scaled on its own: dark is its least value, light its greatest.`,
    ),
    list,
    more,
  );
}

/** The part of the picture that the network saw, in grey, and one channel over it. */
function drawOver(to: HTMLCanvasElement, { bitmap }: Picture, { crop }: FeatureMap, channel: HTMLCanvasElement): void {
  const context = to.getContext('2d');
  if (!context) return;
  const [across, down] = [to.width / crop.width, to.height / crop.height];
  context.clearRect(0, 0, to.width, to.height);
  context.filter = 'grayscale(1)';
  context.drawImage(bitmap, -crop.x * across, -crop.y * down, bitmap.width * across, bitmap.height * down);
  context.filter = 'none';
  context.globalAlpha = 0.62;
  context.imageSmoothingQuality = 'high';
  context.drawImage(channel, 0, 0, to.width, to.height);
  context.globalAlpha = 1;
}

/** Values without a place: a bar each, in their order. */
function vector({ data }: FeatureMap, names: readonly string[] | undefined): HTMLElement {
  const [least, greatest] = data.reduce(([low, high], each) => [Math.min(low, each), Math.max(high, each)] as const, [
    0, 0,
  ] as readonly [number, number]);
  const span = greatest - least || 1;
  const y = (each: number): number => 100 - (100 * (each - least)) / span;
  const bars = Array.from(data, (each, i) => `M${i + 0.5} ${y(0)}V${y(each)}`).join('');
  const best = Array.from(data, (each, index) => ({ each, index }))
    .sort((a, b) => b.each - a.each)
    .slice(0, 5);
  return h(
    'div',
    { class: 'stack' },
    h('p', { class: 'small soft' }, `${digits(data.length)} values, from ${value(least)} to ${value(greatest)}.`),
    svg(
      'svg',
      {
        class: 'vector',
        viewBox: `0 -1 ${data.length} 102`,
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': `${digits(data.length)} values as bars`,
      },
      svg('path', { d: bars }),
    ),
    h(
      'ol',
      { class: 'small greatest' },
      best.map(({ each, index }) =>
        h(
          'li',
          {},
          h('span', { class: 'soft' }, `${index}`),
          h('span', {}, names?.[index]),
          h('span', {}, value(each)),
        ),
      ),
    ),
  );
}
