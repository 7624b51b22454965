/** What a weight file holds: its tensors, and the values among them that no network should have. */

import { buildNetwork } from '../../models/index.js';
import { toFloat32 } from './dtype.js';
import type { NetworkMatch } from './exact.js';
import { fitted, networkIn } from './fitted.js';
import { identifyNetwork } from './identify.js';
import { withNetworkNames } from './network-names.js';
import { type OpenOptions, openWeights, type WeightFile, type WeightSource } from './open.js';
import { DTYPE_BYTES, type TensorInfo } from './types.js';

export interface TensorReport extends TensorInfo {
  /** How many values are not numbers, and how many are infinite. */
  readonly nan: number;
  readonly infinite: number;
}

export interface WeightReport {
  readonly format: string;
  /** Bytes of all tensors. */
  readonly total: number;
  readonly values: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** In file order; under the names of `network`, if there is one. */
  readonly tensors: readonly TensorReport[];
  /** The network whose tensors these are; undefined if it is none of the registry's. */
  readonly network: NetworkMatch | undefined;
  /** Sentences on what of the file is not the network's, or not there, or could be meant too. */
  readonly warnings: readonly string[];
}

/** Reads a whole weight file, piece by piece. Rejects if it is damaged, or with the signal's reason. */
export async function inspectWeights(
  source: WeightSource,
  { signal, prefix }: Pick<OpenOptions, 'signal' | 'prefix'> = {},
): Promise<WeightReport> {
  const opened = await openWeights(source, { signal, prefix });
  try {
    const file = withNetworkNames(opened);
    const counts = new Map(file.tensors.map((tensor) => [tensor.name, { nan: 0, infinite: 0 }]));
    let values = 0;
    // The first bytes of a value whose others are in the next piece.
    let rest = new Uint8Array(0);
    for await (const { tensor, bytes } of file.pieces()) {
      const width = DTYPE_BYTES[tensor.dtype];
      const joined = new Uint8Array(rest.length + bytes.length);
      joined.set(rest);
      joined.set(bytes, rest.length);
      const whole = joined.length - (joined.length % width);
      rest = joined.slice(whole);
      const count = counts.get(tensor.name);
      for (const value of toFloat32(tensor.dtype, joined.subarray(0, whole))) {
        values += 1;
        if (count && Number.isNaN(value)) count.nan += 1;
        else if (count && !Number.isFinite(value)) count.infinite += 1;
      }
    }
    const { format, total, metadata } = file;
    const tensors = file.tensors.map((tensor) => ({
      ...tensor,
      ...(counts.get(tensor.name) ?? { nan: 0, infinite: 0 }),
    }));
    return { format, total, values, metadata, tensors, ...recognised(opened) };
  } finally {
    await opened.close();
  }
}

/** The network in a file, and what `load` would say of it. */
function recognised(file: WeightFile): Pick<WeightReport, 'network' | 'warnings'> {
  try {
    const network = networkIn(file, 'weights');
    const graph = buildNetwork(network.network, { ...file.config, ...network.options });
    return { network, warnings: file.graph ? [] : (fitted(file, network.network, graph, true).file.warnings ?? []) };
  } catch (reason) {
    return { network: identifyNetwork(file.tensors), warnings: file.graph ? [] : [(reason as Error).message] };
  }
}
