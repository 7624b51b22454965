/** A worker that tells what a weight file holds: to start libhdf5, or to read a large pickle, takes the page too long. */

import { buildNetwork, identifyNetwork, type NetworkOptions, openWeights } from '../bindings/index.web.js';

export interface Question {
  readonly file: File;
  /** Where the library is that reads HDF5. */
  readonly hdf5: string;
}

export type Answer =
  | { readonly network: string; readonly options: NetworkOptions; readonly classes: number | undefined }
  /** One sentence. */
  | { readonly error: string };

async function recognise({ file, hdf5 }: Question): Promise<Answer> {
  const opened = await openWeights(file, { hdf5 });
  try {
    const match = identifyNetwork(opened.tensors);
    if (!match) {
      const count = opened.tensors.length;
      throw new Error(
        `${file.name}: expected the tensors of a network that this page has, got ${count} ${count === 1 ? 'other' : 'others'}.`,
      );
    }
    const { network, options } = match;
    const graph = buildNetwork(network, { ...opened.config, ...options });
    return { network, options, classes: graph.nodes[graph.outputs[0].node]?.shape.c };
  } finally {
    await opened.close();
  }
}

addEventListener('message', ({ data }: MessageEvent<Question>) => {
  recognise(data)
    .catch((reason): Answer => ({ error: reason instanceof Error ? reason.message : String(reason) }))
    .then((answer) => postMessage(answer));
});
