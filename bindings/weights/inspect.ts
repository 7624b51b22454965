/** What a weight file holds: its tensors, and the values among them that no network should have. */

import { buildNetwork } from '../../models/index.js';
import { toFloat32 } from './dtype.js';
import type { NetworkMatch } from './exact.js';
import { fitted, networkIn } from './fitted.js';
import { identifyNetwork } from './identify.js';
import { withNetworkNames } from './network-names.js';
import { type OpenOptions, openWeights, type WeightFile, type WeightSource } from './open.js';
import { Kept, signalToNoise } from './signal-to-noise.js';
import { networkOf } from './structure.js';
import { DTYPE_BYTES, type TensorInfo } from './types.js';
import { wholeValues } from './whole-values.js';

export interface TensorReport extends Omit<TensorInfo, 'scales'> {
  /** How many values are not numbers, and how many are infinite. */
  readonly nan: number;
  readonly infinite: number;
  /** Of a calibrated I8 tensor: inputs of its layer are clipped to ±127 · inputScale. */
  readonly inputScale?: number | undefined;
  /**
   * Of an I8 tensor, if the file is compared with another: 10 · log10(Σ w² / Σ (w − w′)²) dB, where w are the other's values
   * and w′ this one's.
   */
  readonly signalToNoise?: number | undefined;
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

export interface InspectOptions extends Pick<OpenOptions, 'signal' | 'prefix'> {
  /** Weights that these were made of, with which I8 tensors are compared. */
  readonly against?: WeightSource | undefined;
}

/**
 * Reads a whole weight file, piece by piece; holds I8 tensors if they are compared. Rejects if a file
 * is damaged, if the other lacks a tensor, or with the signal's reason.
 */
export async function inspectWeights(
  source: WeightSource,
  { signal, prefix, against }: InspectOptions = {},
): Promise<WeightReport> {
  const opened = await openWeights(source, { signal, prefix });
  try {
    const file = withNetworkNames(opened);
    const counts = new Map(file.tensors.map((tensor) => [tensor.name, { nan: 0, infinite: 0 }]));
    const kept = new Kept();
    let values = 0;
    for await (const { tensor, bytes } of wholeValues(file)) {
      const { name, dtype } = tensor;
      values += bytes.length / DTYPE_BYTES[dtype];
      if (dtype === 'I8') {
        // Whole numbers are finite, and so are their scales.
        if (against !== undefined) kept.push(tensor, bytes);
        continue;
      }
      const count = counts.get(name);
      for (const value of toFloat32(dtype, bytes)) {
        if (count && Number.isNaN(value)) count.nan += 1;
        else if (count && !Number.isFinite(value)) count.infinite += 1;
      }
    }
    const ratios = against === undefined ? undefined : await signalToNoise(kept, against, signal);
    const { format, total, metadata } = file;
    const tensors = file.tensors.map(({ scales, ...tensor }): TensorReport => {
      const ratio = ratios?.get(tensor.name);
      return {
        ...tensor,
        ...(counts.get(tensor.name) ?? { nan: 0, infinite: 0 }),
        ...(scales?.input && { inputScale: scales.input[0] }),
        ...(ratio !== undefined && { signalToNoise: ratio }),
      };
    });
    return { format, total, values, metadata, tensors, ...recognised(opened) };
  } finally {
    await opened.close();
  }
}

/** The network in a file, and what `load` would say of it. */
function recognised(file: WeightFile): Pick<WeightReport, 'network' | 'warnings'> {
  const found = file.graph && networkOf(file.graph);
  if (found) return { network: found, warnings: [] };
  try {
    const network = networkIn(file, 'weights');
    const graph = buildNetwork(network.network, { ...file.config, ...network.options });
    return { network, warnings: file.graph ? [] : (fitted(file, network.network, graph, true).file.warnings ?? []) };
  } catch (reason) {
    return { network: identifyNetwork(file.tensors), warnings: file.graph ? [] : [(reason as Error).message] };
  }
}
