/** Runs a network on pictures in their order, and shows how far it is. */

import type { Pixels } from '../bindings/index.node.js';
import { reportFailure } from './failure.js';
import { decoded, type Picture } from './pictures.js';
import { showPictures } from './progress.js';

interface EachOptions {
  readonly signal: AbortSignal;
  readonly maxPixels: number | undefined;
  /** Pictures that `use` may have at once: a model's threads share those that wait. */
  readonly atOnce: number;
}

/** Settles as `promise` does, or rejects with the signal's reason. */
async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Hands each picture that can be read to `use`, several at once. What that resolves to is called in the pictures' order, and
 * returns text for stdout; `ms` is then the milliseconds since the picture was opened, or since the last one was done if that
 * came later. A picture that fails is reported on stderr, and the next one follows. Rejects with the signal's reason once it
 * is aborted.
 */
export async function eachPicture(
  pictures: readonly Picture[],
  { signal, maxPixels, atOnce }: EachOptions,
  use: (picture: Picture, pixels: Pixels) => Promise<(ms: number) => string>,
): Promise<void> {
  const view = showPictures(pictures.length);
  let done = 0;
  let last = performance.now();
  try {
    view.update(0);
    const started: { picture: Picture; result: Promise<(ms: number) => string> }[] = [];
    const next = decoded(pictures, maxPixels);
    for (;;) {
      while (started.length < atOnce) {
        const { value } = next.next();
        if (!value) break;
        const { picture, pixels } = value;
        const result = untilAborted(pixels, signal).then((read) => use(picture, read));
        // Awaited later, perhaps never.
        result.catch(() => {});
        started.push({ picture, result });
      }
      const first = started.shift();
      if (!first) return;
      const { picture, result } = first;
      let write: () => void;
      let isOnTerminal = process.stdout.isTTY === true;
      try {
        const text = (await result)(Math.round(10 * (performance.now() - last)) / 10);
        write = () => process.stdout.write(text);
      } catch (error) {
        signal.throwIfAborted();
        write = () => reportFailure(error, picture.name);
        isOnTerminal = true;
      }
      view.update(++done, write, isOnTerminal);
      last = performance.now();
    }
  } finally {
    view.stop();
  }
}
