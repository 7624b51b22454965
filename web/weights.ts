/** The weights that people can choose: those served with the page, and files of their own. */

import { buildNetwork, guessNetwork, type NetworkOptions, openWeights, type Preset } from '../bindings/web.js';
import type { Weights } from './app.js';

/** A row of weights/sets.json, which the build writes. */
export interface PublishedSet {
  readonly title: string;
  readonly network: string;
  readonly options: NetworkOptions;
  readonly preset: Preset;
  /** Beside the list. */
  readonly file: string;
  readonly bytes: number;
}

const folder = new URL('weights/', document.baseURI);

/** Where this page has the library that reads HDF5. */
export const hdf5 = new URL('h5wasm/hdf5_hl.js', document.baseURI).href;

async function fetchJson<T>(name: string): Promise<T> {
  const url = new URL(name, folder);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname}: expected status 200, got ${response.status}.`);
  return response.json();
}

let fetched: Promise<readonly string[] | undefined> | undefined;

/** ImageNet's, one for each of its 1000 classes; undefined where the page was built without them. */
export function imagenetLabels(): Promise<readonly string[] | undefined> {
  fetched ??= fetchJson<readonly string[]>('imagenet.json').then((labels) => (labels.length ? labels : undefined));
  return fetched;
}

/** What the page was built with. */
export async function publishedWeights(): Promise<readonly Weights[]> {
  const [sets, labels] = await Promise.all([fetchJson<readonly PublishedSet[]>('sets.json'), imagenetLabels()]);
  return sets.map(({ file, ...set }) => ({ ...set, source: new URL(file, folder).href, labels }));
}

/**
 * A visitor's weight file, by what it holds. Rejects with one sentence where it is damaged, no weight file, or that of
 * a network which is not here.
 */
export async function weightsOf(file: File): Promise<Weights> {
  const opened = await openWeights(file, { hdf5 });
  try {
    const guess = guessNetwork(opened.tensors);
    if (!guess) {
      throw new Error(
        `${file.name}: expected the tensors of a network that this page has, got ${opened.tensors.length} others.`,
      );
    }
    const { network, options } = guess;
    const graph = buildNetwork(network, { ...opened.hints, ...options });
    const classes = graph.nodes[graph.output]?.shape.c;
    return {
      title: `${network}, from ${file.name}`,
      network,
      options,
      source: file,
      bytes: file.size,
      labels: classes === 1000 ? await imagenetLabels() : undefined,
    };
  } finally {
    await opened.close();
  }
}
