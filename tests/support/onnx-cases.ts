/** ONNX's own backend tests: models with what goes in and comes out (Debian's libonnx-testdata), run by this package. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '../../bindings/index.node.js';
import { ConstantOutput, type Imported, importModel } from '../../bindings/weights/formats/onnx/import.js';
import { scanModel } from '../../bindings/weights/formats/onnx/scan.js';
import { sourceOf } from '../../bindings/weights/formats/onnx/source.js';
import { fromInteger, TensorFields } from '../../bindings/weights/formats/onnx/tensors.js';
import { BFLOAT16, FLOAT, isStored, type OnnxModel, type Tensor } from '../../bindings/weights/formats/onnx/types.js';
import { dimsOf, isValue, type Value } from '../../bindings/weights/formats/onnx/value.js';
import { fieldsOf } from '../../bindings/weights/formats/onnx/wire.js';
import { openSource } from '../../bindings/weights/stream/open.js';
import { ResnetError } from '../../models/errors.js';
import type { Shape } from '../../models/index.js';
import { concat } from './weight-files.js';

export const TESTDATA = '/usr/share/libonnx-testdata/data';

/** What became of a model: `folded` if all it makes are constants. */
export interface Verdict {
  readonly result: 'passed' | 'folded' | 'refused' | 'failed';
  /** Why it was refused, or what differs. */
  readonly reason: string;
}

/** Folders of all models. */
export const cases = (): string[] =>
  readdirSync(TESTDATA).flatMap((group) =>
    readdirSync(join(TESTDATA, group))
      .map((name) => join(TESTDATA, group, name))
      .filter((folder) => existsSync(join(folder, 'model.onnx'))),
  );

interface Named {
  readonly name: string;
  readonly tensor: Tensor;
  readonly message: Uint8Array;
  /** Whether the model says bfloat16. */
  readonly isRounded?: boolean;
}

/** TensorProtos of a test: undefined if one is no tensor of numbers. */
function tensorsIn(folder: string, kind: 'input' | 'output'): Named[] | undefined {
  const files = readdirSync(folder)
    .filter((file) => file.startsWith(`${kind}_`))
    .sort((a, b) => Number(/\d+/.exec(a)) - Number(/\d+/.exec(b)));
  try {
    return files.map((file) => {
      const message = readFileSync(join(folder, file));
      const fields = new TensorFields();
      for (const field of fieldsOf(file, message)) fields.add(file, field);
      const tensor = fields.finish(file);
      if (isStored(tensor)) throw new Error(`${file}: expected values, got their place.`);
      return { name: fields.name, tensor, message };
    });
  } catch {
    return undefined;
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

const field = (number: number, bytes: Uint8Array): Uint8Array =>
  concat(Uint8Array.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes);

/** A model some of whose inputs are constants: initialisers of these names. */
export function withConstants(
  model: Uint8Array,
  constants: readonly { name: string; message: Uint8Array }[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { number, wire, value, bytes } of fieldsOf('model', model)) {
    if (number === 7) {
      // The last name of a message is the one that counts.
      const added = constants.map(({ name, message }) =>
        field(5, concat(message, field(8, new TextEncoder().encode(name)))),
      );
      parts.push(field(7, concat(bytes, ...added)));
    } else if (wire === 0) parts.push(Uint8Array.from([...varint(number * 8), ...varint(value)]));
    else parts.push(field(number, bytes));
  }
  return concat(...parts);
}

async function scanned(bytes: Uint8Array): Promise<OnnxModel> {
  const source = sourceOf(await openSource(bytes));
  return scanModel(source);
}

/** For each value in memory, its place in ONNX's row-major order. */
export function places({ axes, dims }: Value): Int32Array {
  const logical = dims.flat();
  const steps = new Array<number>(axes.length).fill(0);
  let step = 1;
  for (const axis of [...logical].reverse()) {
    steps[axis] = step;
    step *= axes[axis] as number;
  }
  const found = new Int32Array(step);
  for (let i = 0; i < step; i++) {
    let [rest, at] = [i, 0];
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const n = axes[axis] as number;
      at += (rest % n) * (steps[axis] as number);
      rest = Math.floor(rest / n);
    }
    found[i] = at;
  }
  return found;
}

/** ONNX's own tolerance (onnx/backend/test/runner). */
const [RELATIVE, ABSOLUTE] = [1e-3, 1e-7];

/** A run computes in float32 what a model has as bfloat16, and the tests cut off. */
const BFLOAT16_RELATIVE = 2 ** -7;

function difference(
  name: string,
  got: ArrayLike<number>,
  dims: readonly number[],
  { tensor, isRounded = false }: Named,
): string | undefined {
  if (dims.join() !== tensor.dims.join())
    return `${name}: [${tensor.dims.join(', ')}] expected, [${dims.join(', ')}] got`;
  const relative = isRounded ? BFLOAT16_RELATIVE : RELATIVE;
  for (const [i, expected] of tensor.data.entries()) {
    const value = got[i] as number;
    const isEqual =
      Object.is(value, expected) ||
      value === expected ||
      Math.abs(value - expected) <= ABSOLUTE + relative * Math.abs(expected);
    if (!isEqual) return `${name}[${i}]: ${expected} expected, ${value} got`;
  }
  return undefined;
}

const isRefusal = (error: unknown): error is ResnetError => error instanceof ResnetError && error.code !== 'values';

/** Runs a model on the inputs that are not in `constants`, all others being initialisers. */
async function attempt(
  model: Uint8Array,
  inputs: readonly Named[],
  outputs: readonly Named[],
  constants: ReadonlySet<string>,
): Promise<Verdict> {
  const bytes = withConstants(
    model,
    inputs.filter(({ name }) => constants.has(name)),
  );
  let imported: Imported;
  try {
    imported = await importModel('model', 'model', await scanned(bytes), {});
  } catch (error) {
    if (error instanceof ConstantOutput) {
      for (const [i, { name, operand }] of error.outputs.entries()) {
        const values = !isValue(operand) && operand.tensor;
        if (!values || !outputs[i]) return { result: 'refused', reason: error.message };
        const reason = difference(name, values.data, values.dims, outputs[i]);
        if (reason) return { result: 'failed', reason };
      }
      return { result: 'folded', reason: '' };
    }
    if (isRefusal(error)) return { result: 'refused', reason: error.message };
    throw error;
  }
  for (const { name } of imported.inputs) {
    const { h, w, c } = shapeOf(imported, name);
    const { tensor } = inputs.find((each) => each.name === name) as Named;
    if (tensor.data.length % (h * w * c) !== 0)
      return { result: 'refused', reason: `${name}: its values are not of its shape.` };
  }
  const net = await load(bytes, { threads: 1, onWarning: () => {} });
  try {
    const given = Object.fromEntries(
      imported.inputs.map(({ name, value }) => {
        const { data } = (inputs.find((each) => each.name === name) as Named).tensor;
        const { h, w, c } = shapeOf(imported, name);
        const shape = [data.length / (h * w * c), h, w, c];
        return [
          name,
          { data: Float32Array.from(places(value), (at) => data[at] as number), shape, layout: 'NHWC' as const },
        ];
      }),
    );
    const made = await net.run(given);
    for (const [i, { name, operand }] of imported.outputs.entries()) {
      const expected = outputs[i];
      if (!isValue(operand) || !expected) return { result: 'refused', reason: `${name}: no value.` };
      const { data } = made.outputs?.[name] ?? made;
      const values = new Float64Array(data.length);
      for (const [from, to] of places(operand).entries()) values[to] = data[from] as number;
      const reason = difference(name, values, dimsOf(operand), expected);
      if (reason) return { result: 'failed', reason };
    }
    return { result: 'passed', reason: '' };
  } finally {
    net.dispose();
  }
}

/** The tests have bfloat16 as uint16 of its bits, where the model says what they are. */
function asDeclared(given: Named, infos: OnnxModel['inputs'], name: string | undefined): Named {
  const type = infos.find((info) => info.name === name)?.type;
  if (type !== BFLOAT16 || given.tensor.type === BFLOAT16) return given;
  const data = Float32Array.from(given.tensor.data, (bits) => fromInteger(BFLOAT16, bits));
  const { dims } = given.tensor;
  const message = concat(
    ...dims.map((n) => Uint8Array.from([8, ...varint(n)])),
    Uint8Array.from([16, 1]),
    field(9, new Uint8Array(data.buffer)),
  );
  return { ...given, tensor: { dims, type: FLOAT, data }, message, isRounded: true };
}

/** The shape of an input's node. */
function shapeOf({ graph }: Imported, name: string): Shape {
  const port = graph.inputs.find((each) => each.name === name);
  const node = graph.nodes[port?.node ?? -1];
  if (!node) throw new Error(`${name}: expected an input, got none.`);
  return node.shape;
}

/**
 * Runs a model. Of its inputs as many as possible are those of a run: weights, shapes and the like, which have to be
 * constants here, are made some: first those that are whole numbers, then all but the first, then all.
 */
export async function verdictOf(folder: string): Promise<Verdict> {
  const model = readFileSync(join(folder, 'model.onnx'));
  const set = join(folder, 'test_data_set_0');
  const [found, outputs] = [tensorsIn(set, 'input'), tensorsIn(set, 'output')];
  if (!found || !outputs)
    return { result: 'refused', reason: 'model: its inputs or outputs are no tensors of numbers.' };
  let own: OnnxModel;
  try {
    own = await scanned(model);
  } catch (error) {
    if (isRefusal(error)) return { result: 'refused', reason: error.message };
    throw error;
  }
  const names = own.inputs.map(({ name }) => name).filter((name) => !own.tensors.has(name));
  const inputs = found.map((each, i) => ({ ...asDeclared(each, own.inputs, names[i]), name: names[i] ?? each.name }));
  const made = outputs.map((each, i) => asDeclared(each, own.outputs, own.outputs[i]?.name));
  const isFloat = ({ tensor }: Named): boolean => [1, 10, 11, 16].includes(tensor.type);
  const of = (list: readonly Named[]) => new Set(list.map(({ name }) => name));
  const choices = [new Set<string>(), of(inputs.filter((each) => !isFloat(each))), of(inputs.slice(1)), of(inputs)];
  const tried = new Set<string>();
  let last: Verdict = { result: 'refused', reason: 'model: expected a model that can be run.' };
  for (const constants of choices) {
    const key = [...constants].join();
    if (tried.has(key)) continue;
    tried.add(key);
    const verdict = await attempt(model, inputs, made, constants);
    if (verdict.result !== 'refused') return verdict;
    if (tried.size === 1 || !/no such operation/.test(last.reason)) last = tried.size === 1 ? verdict : last;
  }
  return last;
}
