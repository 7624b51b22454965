/**
 * ONNX models: a protocol buffer of a graph and its tensors. After
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */

import type { Reader } from '../../types.js';
import { refusal } from '../impostors.js';
import { weightFile } from '../spans.js';
import { externalBytes, externalOf, withSmallTensors } from './external.js';
import { importModel } from './import.js';
import { scanModel } from './scan.js';
import { sourceOf } from './source.js';
import { isExternal, isStored } from './types.js';
import { tensorsOf } from './weights.js';

/** The name of a network: the file's or, without one, the graph's. */
const nameOf = (file: string, graph: string): string => {
  const stem = /([^/\\]+)\.onnx$/i.exec(file)?.[1] ?? graph;
  return stem === '' ? 'network' : stem;
};

/** Of the bytes that tell a file. */
const HEAD_BYTES = 512;

/**
 * Tells a model by its version (field 1), from 3 on, and another of its fields: the producer's name, its version, the
 * domain, the model's version, the graph or the sets of operations. Core ML's second field is a description, which begins
 * with the model's inputs where ONNX has the producer's name.
 */
const isOnnx = ([, version = 0, tag = 0, ...rest]: Uint8Array): boolean =>
  version >= 3 &&
  version < 100 &&
  [0x12, 0x1a, 0x22, 0x28, 0x3a, 0x42].includes(tag) &&
  !(tag === 0x12 && [1, 2].some((at) => rest[at] === 0x0a));

export const onnx: Reader = {
  async open(stream, options) {
    const head = await stream.peek(HEAD_BYTES);
    if (!isOnnx(head)) throw refusal(stream.name, [{ name: 'an ONNX model' }], head);
    const source = sourceOf(stream);
    try {
      const open = externalOf(stream.name, stream.base, options.data, options);
      const model = await withSmallTensors(await scanModel(source), open);
      const { graph, uses, warnings } = await importModel(stream.name, nameOf(stream.name, model.name), model, options);
      const { infos, pieces } = tensorsOf(uses);
      const isApart = [...model.tensors.values()].some((tensor) => isStored(tensor) && isExternal(tensor.held));
      const metadata = { ...(model.producer ? { producer: model.producer } : {}), ...model.metadata };
      const description = {
        format: isApart ? 'ONNX model with data beside it' : 'ONNX model',
        metadata,
        config: {},
        graph,
        warnings,
      };
      return weightFile(description, infos, { name: stream.name, close: () => source.close() }, () =>
        pieces((places) => externalBytes(places, open)),
      );
    } catch (error) {
      await source.close();
      throw error;
    }
  },
};
