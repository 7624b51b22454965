/** The weights that people can choose: those served with the page, those of the Hugging Face hub, and files of their own. */

import {
  buildNetwork,
  imagenetLabels,
  type NetworkOptions,
  type Preprocessing,
  pretrained,
  summary,
} from '../bindings/index.web.js';
import type { Answer, Question } from './recognise.js';

/** A row of weights/sets.json, which the build writes. */
export interface PublishedSet {
  readonly title: string;
  readonly network: string;
  readonly options: NetworkOptions;
  readonly preprocessing: Preprocessing;
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

/** What the page was built with. */
export async function publishedWeights(): Promise<readonly Weights[]> {
  const [sets, labels] = await Promise.all([fetchJson<readonly PublishedSet[]>('sets.json'), imagenetLabels()]);
  return sets.map(({ file, ...set }) => ({ ...set, source: new URL(file, folder).href, labels }));
}

/** What comes from the Hugging Face hub when it is chosen: float32, by the names that `load` takes without weights. */
export const hubWeights = (): readonly Weights[] =>
  pretrained()
    // Those of a network's own name.
    .filter((name) => !name.endsWith('.tv_in1k'))
    .map((name) => {
      const { network, options, preprocessing } = pretrained.describe(name);
      const bytes = 4 * summary(buildNetwork(network, options)).parameters;
      return { title: name, network, options, preprocessing, hub: name, bytes };
    });

/**
 * A visitor's weight file, by what it holds. Rejects if it is damaged, no weight file, or that of
 * a network which is not here.
 */
export async function weightsOf(file: File): Promise<Weights> {
  const { network, options, classes } = await recognise(file);
  return {
    title: `${network}, from ${file.name}`,
    network,
    options,
    source: file,
    bytes: file.size,
    labels: classes === 1000 ? await imagenetLabels() : undefined,
  };
}

async function recognise(file: File): Promise<Exclude<Answer, { error: string }>> {
  const worker = new Worker(new URL('./recognise.js', import.meta.url), { type: 'module' });
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = () => reject(new Error(`${file.name}: expected a worker that reads it, got one that fails.`));
      worker.postMessage({ file, hdf5 } satisfies Question);
    });
    if ('error' in answer) throw new Error(answer.error);
    return answer;
  } finally {
    worker.terminate();
  }
}

/** Weights that can be loaded: those served with the page, the hub's, or a file of the visitor's. */
export interface Weights {
  /** What people read: `ResNet-50, ImageNet`, or a file's name. */
  readonly title: string;
  readonly network: string;
  readonly options: NetworkOptions;
  /** Undefined if they are the hub's. */
  readonly source?: string | Blob;
  /** The name by which `load` has them from the hub. */
  readonly hub?: string;
  readonly bytes: number;
  readonly preprocessing?: Preprocessing;
  readonly labels?: readonly string[];
}
