/** The way to a head; what it needs comes when it is called. */

import type { WeightSource } from '../weights/open.js';
import type { Embedder, Head } from './types.js';

/**
 * Makes a classifier of your own classes on the embeddings of a model: add examples, train, classify. `saved`: a file that
 * `Head.save` wrote; a head that comes from it classifies at once, and is trained anew once it has examples. Rejects if that
 * is no such file, or of another network.
 */
export async function createHead(model: Embedder, saved?: WeightSource): Promise<Head> {
  const [{ EmbeddingHead }, { readHead }] = await Promise.all([import('./head.js'), import('./head-file.js')]);
  return new EmbeddingHead(model, saved === undefined ? undefined : await readHead(saved, model));
}

/** The network that a file which `Head.save` wrote is for; undefined if it is no such file. */
export async function headNetwork(saved: WeightSource): Promise<string | undefined> {
  const [{ openWeights }, { baseFromMetadata }] = await Promise.all([
    import('../weights/open.js'),
    import('../weights/metadata.js'),
  ]);
  const file = await openWeights(saved);
  await file.close();
  return baseFromMetadata(file.metadata);
}
