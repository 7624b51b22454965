/** What the names in a PyTorch pickle stand for: storages, and tensors that look into them. */

import { ResnetError } from '../../../../models/errors.js';
import { label, shown } from '../../../util/messages.js';
import { STORED_BYTES, type StoredDtype } from '../../dtype.js';
import type { Environment } from './pickle.js';
import { Dictionary, Global, kindOf, Opaque } from './values.js';

/** A type of values. */
export interface ValueType {
  /** torch's name: `FloatStorage`, `torch.float32`. */
  readonly name: string;
  /** Undefined for what are no values of floating point. */
  readonly dtype?: StoredDtype | undefined;
  /** Bytes of a value; undefined for a type that is not known. */
  readonly width: number | undefined;
}

/** A row of values that tensors look into; its bytes are elsewhere in the file. */
export class Storage {
  readonly key: string;
  readonly type: ValueType;
  readonly count: number;
  /** Undefined if the type is not known. */
  readonly bytes: number | undefined;

  constructor(key: string, type: ValueType, count: number, bytes: number | undefined) {
    this.key = key;
    this.type = type;
    this.count = count;
    this.bytes = bytes;
  }
}

/** Values offset + Σ index · stride of a storage. */
export class View {
  readonly storage: Storage;
  /** The storage's own, except in one of untyped bytes. */
  readonly type: ValueType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly count: number;

  constructor(storage: Storage, type: ValueType, offset: number, shape: readonly number[], stride: readonly number[]) {
    this.storage = storage;
    this.type = type;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
    this.count = shape.reduce((product, n) => product * n, 1);
  }

  /** Whether its values lie one after the other. */
  get isContiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const size = this.shape[axis] as number;
      if (size !== 1 && this.stride[axis] !== expected) return this.count === 0;
      expected *= size;
    }
    return true;
  }
}

/** A tensor that cannot be read: sparse, quantized, of a subclass. A fault only if it is wanted. */
export class OpaqueTensor extends Opaque {}

const OTHER_TYPES = {
  1: ['Char', 'Byte', 'Bool', 'Untyped', '_Untyped', 'QInt8', 'QUInt8', 'QUInt4x2', 'QUInt2x4'],
  2: ['Short'],
  4: ['Int', 'QInt32'],
  8: ['Long', 'ComplexFloat'],
  16: ['ComplexDouble'],
};

const FLOATS: Readonly<Record<string, StoredDtype>> = { Double: 'F64', Float: 'F32', Half: 'F16', BFloat16: 'BF16' };

const STORAGE_TYPES: ReadonlyMap<string, ValueType> = new Map(
  [
    ...Object.entries(FLOATS).map(([name, dtype]) => ({ name, dtype, width: STORED_BYTES[dtype] })),
    ...Object.entries(OTHER_TYPES).flatMap(([width, names]) => names.map((name) => ({ name, width: Number(width) }))),
  ].map(({ name, ...rest }) => [`${name}Storage`, { name: `${name}Storage`, ...rest }] as const),
);

/** Types that tensors of untyped storages say themselves. Float8 and the like are not here: they are not read. */
const TENSOR_TYPES: ReadonlyMap<string, ValueType> = new Map(
  Object.entries<Omit<ValueType, 'name'>>({
    float64: { dtype: 'F64', width: 8 },
    float32: { dtype: 'F32', width: 4 },
    float16: { dtype: 'F16', width: 2 },
    bfloat16: { dtype: 'BF16', width: 2 },
    int64: { width: 8 },
    uint64: { width: 8 },
    int32: { width: 4 },
    uint32: { width: 4 },
    int16: { width: 2 },
    uint16: { width: 2 },
    int8: { width: 1 },
    uint8: { width: 1 },
    bool: { width: 1 },
    complex64: { width: 8 },
    complex128: { width: 16 },
  }).map(([name, rest]) => [`torch.${name}`, { name: `torch.${name}`, ...rest }]),
);

/** PyTorch's own limit. */
const MAX_AXES = 64;
/** Of all lists that OrderedDicts are made of: a list may be named again and again. */
const MAX_PAIRS = 1_000_000;

/** Modules in which PyTorch's versions have their storages' types. */
const STORAGE_NAME = /^torch\.(?:cuda\.|storage\.)?(\w+Storage)$/;

/** What makes tensors, all of it in PyTorch's own modules. */
const REBUILDS = /^torch\.(_utils|_tensor|tensor)\._rebuild_/;

/** Classes of tensors that are plain ones. */
const PLAIN_CLASS = /^torch\.(Tensor|_tensor\.Tensor|nn\.(parameter\.)?(Parameter|Buffer))$/;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MAX_AXES && value.every(isCount);

/**
 * What a pickle of PyTorch may name, and the storages that it has named so far, by key. Nothing here runs code of the
 * file's choice: a call makes a dictionary, a list or a View, or what stays opaque.
 */
export class Checkpoint implements Environment {
  readonly #subject: string;
  readonly storages = new Map<string, Storage>();
  #pairs = 0;
  readonly #functions: ReadonlyMap<string, Global>;

  constructor(subject: string) {
    this.#subject = subject;
    const same = ([value]: readonly unknown[]) => value;
    const list = ([items = []]: readonly unknown[]) => items;
    const functions: Record<string, (args: readonly unknown[]) => unknown> = {
      'collections.OrderedDict': ([items = []]) => this.#ordered(items),
      'collections.defaultdict': () => new Dictionary(),
      'torch._utils._rebuild_tensor': (args) => this.#tensor(args),
      'torch._utils._rebuild_tensor_v2': (args) => this.#tensor(args),
      'torch._utils._rebuild_tensor_v3': (args) => this.#tensor(args, args[6]),
      'torch._utils._rebuild_parameter': same,
      'torch._utils._rebuild_parameter_with_state': same,
      'torch.nn.parameter.Parameter': same,
      'torch.nn.parameter.Buffer': same,
      'torch._tensor._rebuild_from_type': (args) => this.#ofClass(args),
      'torch._tensor._rebuild_from_type_v2': (args) => this.#ofClass(args),
      'torch.Size': list,
      'builtins.set': list,
      'builtins.frozenset': list,
      '__builtin__.set': list,
      '__builtin__.frozenset': list,
    };
    this.#functions = new Map(Object.entries(functions).map(([name, call]) => [name, new Global(name, call)]));
  }

  global(name: string): Global {
    const known = this.#functions.get(name);
    if (known) return known;
    return REBUILDS.test(name) ? new Global(name, () => new OpaqueTensor(`one that ${name} makes`)) : new Global(name);
  }

  /** ('storage', type, key, place, count[, None or (key of a part, its offset, its count)]), or ('module', class, …). */
  persistent(id: unknown): unknown {
    const [kind, type, key, , count, part = null] = Array.isArray(id) ? id : [];
    if (kind === 'module') return type;
    if (kind !== 'storage' || !(type instanceof Global) || typeof key !== 'string' || !isCount(count)) {
      return new Opaque('what a persistent id stands for');
    }
    const name = STORAGE_NAME.exec(type.name)?.[1] ?? type.name;
    const row = STORAGE_TYPES.get(name) ?? { name, width: undefined };
    const bytes = row.width === undefined ? undefined : count * row.width;
    if (bytes !== undefined && !isCount(bytes)) this.#fail('storages of at most 2^53 bytes', `${count} values`);
    const known = this.storages.get(key);
    if (known && (known.type.name !== name || known.count !== count)) {
      const other = `${known.count} in a ${known.type.name} and ${count} in a ${name}`;
      this.#fail(`one count and type of storage ${label(key)}`, other);
    }
    const storage = known ?? new Storage(key, row, count, bytes);
    this.storages.set(key, storage);
    return part === null ? storage : new Opaque('a part of a storage');
  }

  #ordered(items: unknown): Dictionary {
    const dictionary = new Dictionary();
    if (!Array.isArray(items)) return new Opaque('collections.OrderedDict');
    this.#pairs += items.length;
    if (this.#pairs > MAX_PAIRS) this.#fail(`at most ${MAX_PAIRS} pairs for OrderedDicts`, 'more');
    for (const pair of items) {
      const isPair = Array.isArray(pair) && pair.length === 2;
      if (!isPair || !dictionary.set(pair[0], pair[1])) this.#fail('pairs of different keys', shown(pair));
    }
    return dictionary;
  }

  /** `own` is the type that the tensor says itself, as a Global. */
  #tensor([storage, offset, shape, stride]: readonly unknown[], own?: unknown): View | OpaqueTensor {
    if (!(storage instanceof Storage)) return new OpaqueTensor(`one in ${kindOf(storage)}`);
    if (!isCount(offset) || !isCounts(shape) || !isCounts(stride) || shape.length !== stride.length) {
      return new OpaqueTensor(`one of offset ${shown(offset)}, shape ${shown(shape)} and strides ${shown(stride)}`);
    }
    const name = own instanceof Global ? own.name : undefined;
    const type = name === undefined ? storage.type : (TENSOR_TYPES.get(name) ?? { name, width: undefined });
    return new View(storage, type, offset, shape, stride);
  }

  /** (function, class, its arguments, state) */
  #ofClass([rebuild, type, args]: readonly unknown[]): unknown {
    const isPlain = type instanceof Global && PLAIN_CLASS.test(type.name);
    if (isPlain && rebuild instanceof Global && Array.isArray(args)) {
      // One that is made by itself would have no end.
      const isNested = rebuild.name.includes('_rebuild_from_type');
      if (rebuild.call && !isNested) return rebuild.call(args);
    }
    return new OpaqueTensor(`a ${kindOf(type)}`);
  }

  #fail(expected: string, got: string): never {
    throw new ResnetError('weights', `${this.#subject}: expected ${expected}, got ${got}.`);
  }
}
