/** What a PyTorch pickle means: tensors that look into storages, and the `state_dict` within a checkpoint. */

import { label, shown } from '../../../util/messages.js';
import { size } from '../../../util/shape.js';
import { STORED_BYTES, type StoredDtype } from '../../dtype.js';
import { COUNTER } from '../../torch-names.js';
import { Dictionary, type Environment, Global } from './pickle.js';

/** A row of values that tensors look into; its bytes come later in the file. */
export interface Storage {
  readonly key: string;
  /** torch's name: `FloatStorage`. */
  readonly type: string;
  /** Undefined if the values are not of floating point. */
  readonly dtype: StoredDtype | undefined;
  readonly count: number;
  readonly bytes: number;
}

/** Values offset + Σ index · stride of a storage. */
export class View {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly count: number;

  constructor(storage: Storage, offset: number, shape: readonly number[], stride: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
    this.count = size(shape);
  }

  /** Whether its values lie side by side. */
  get isContiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const length = this.shape[axis] as number;
      if (length !== 1 && this.stride[axis] !== expected) return this.count === 0;
      expected *= length;
    }
    return true;
  }
}

export interface NamedView {
  readonly name: string;
  readonly view: View;
}

interface StorageType {
  readonly dtype?: StoredDtype;
  readonly width: number;
}

const STORAGE_TYPES: Readonly<Record<string, StorageType>> = {
  DoubleStorage: { dtype: 'F64', width: STORED_BYTES.F64 },
  FloatStorage: { dtype: 'F32', width: STORED_BYTES.F32 },
  HalfStorage: { dtype: 'F16', width: STORED_BYTES.F16 },
  BFloat16Storage: { dtype: 'BF16', width: STORED_BYTES.BF16 },
  LongStorage: { width: 8 },
  IntStorage: { width: 4 },
  ShortStorage: { width: 2 },
  CharStorage: { width: 1 },
  ByteStorage: { width: 1 },
  BoolStorage: { width: 1 },
};

/** Keys under which checkpoints keep their state_dict, in the order of trial. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'net', 'network', 'weights', 'params'];
const MAX_WRAPPERS = 3;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/**
 * What a state_dict's pickle may name, and the storages that it has named so far, by key. Nothing here runs code of the
 * file's choice: a call makes a dictionary or a View, or throws, `subject` first.
 */
export class Checkpoint implements Environment {
  readonly #subject: string;
  readonly storages = new Map<string, Storage>();
  readonly globals: ReadonlyMap<string, Global>;

  constructor(subject: string) {
    this.#subject = subject;
    const functions: Record<string, (args: readonly unknown[]) => unknown> = {
      'collections.OrderedDict': ([items = []]) => this.#ordered(items),
      'torch._utils._rebuild_tensor': (args) => this.#tensor(args),
      'torch._utils._rebuild_tensor_v2': (args) => this.#tensor(args),
      'torch._utils._rebuild_parameter': ([tensor]) => tensor,
      'torch.Size': ([sizes = []]) => sizes,
    };
    this.globals = new Map([
      ...Object.entries(functions).map(([name, call]) => [name, new Global(name, call)] as const),
      ...Object.keys(STORAGE_TYPES).map((name) => [`torch.${name}`, new Global(name)] as const),
    ]);
  }

  /** ('storage', type, key, place, count[, None or (key of a part, its offset, its count)]) */
  persistent(id: unknown): unknown {
    const [kind, type, key, , count, part = null] = Array.isArray(id) ? id : [];
    const row = type instanceof Global ? STORAGE_TYPES[type.name] : undefined;
    if (kind !== 'storage' || !row || typeof key !== 'string' || !isCount(count) || part !== null) {
      this.#fail('a storage (kind, type, key, place, count)', shown(id));
    }
    const bytes = count * row.width;
    if (!isCount(bytes)) this.#fail('storages of at most 2^53 bytes', `${count} values`);
    const storage = { key, type: (type as Global).name, dtype: row.dtype, count, bytes };
    const known = this.storages.get(key);
    if (!known) this.storages.set(key, storage);
    else if (known.type !== storage.type || known.count !== count) {
      const other = `${known.count} in a ${known.type} and ${count} in a ${storage.type}`;
      this.#fail(`one count and type of storage ${label(key)}`, other);
    }
    return known ?? storage;
  }

  #ordered(items: unknown): Dictionary {
    const dictionary = new Dictionary();
    if (!Array.isArray(items)) this.#fail('pairs to put into an OrderedDict', shown(items));
    for (const pair of items) {
      const isPair = Array.isArray(pair) && pair.length === 2;
      if (!isPair || !dictionary.set(pair[0], pair[1])) this.#fail('pairs of different keys', shown(pair));
    }
    return dictionary;
  }

  #tensor([storage, offset, shape, stride]: readonly unknown[]): View {
    const known = this.#storage(storage);
    if (!known || !isCount(offset) || !isCounts(shape) || !isCounts(stride) || shape.length !== stride.length) {
      const got = `${shown(offset)}, ${shown(shape)}, ${shown(stride)}`;
      this.#fail('a tensor (storage, offset, shape, stride)', got);
    }
    return new View(known, offset, shape, stride);
  }

  #storage(value: unknown): Storage | undefined {
    const key = typeof value === 'object' && value !== null && 'key' in value ? value.key : undefined;
    const known = this.storages.get(String(key));
    return known === value ? known : undefined;
  }

  #fail(expected: string, got: string): never {
    throw new Error(`${this.#subject}: expected ${expected}, got ${got}.`);
  }
}

/** Finds the state_dict in a checkpoint, and what is beside it. Throws, `subject` first, if there is none. */
export function findStateDict(
  subject: string,
  value: unknown,
): { views: NamedView[]; metadata: Record<string, string> } {
  let dictionary = value;
  let metadata = {};
  for (let depth = 0; dictionary instanceof Dictionary; depth++) {
    const outer: Dictionary = dictionary;
    const inner = WRAPPERS.map((key) => outer.get(key)).find((candidate) => candidate instanceof Dictionary);
    const views = viewsOf(outer);
    if (!inner && views.length > 0) return { views: views.filter(({ name }) => !COUNTER.test(name)), metadata };
    if (!inner || depth === MAX_WRAPPERS) {
      const keys = [...outer.entries].map(([key]) => key);
      throw new Error(`${subject}: expected a state_dict, got a dictionary of ${shown(keys)} without tensors.`);
    }
    metadata = { ...metadata, ...scalars(outer) };
    dictionary = inner;
  }
  throw new Error(
    `${subject}: expected a state_dict, got ${dictionary instanceof View ? 'a tensor' : 'no dictionary'}.`,
  );
}

function viewsOf(dictionary: Dictionary): NamedView[] {
  const views: NamedView[] = [];
  for (const [name, view] of dictionary.entries) {
    if (typeof name === 'string' && view instanceof View) views.push({ name, view });
  }
  return views;
}

const MAX_TEXT = 80;

/** Lists numbers and short texts beside a state_dict, such as `epoch` and `arch`. */
function scalars(dictionary: Dictionary): Record<string, string> {
  const found: [string, string][] = [];
  for (const [key, value] of dictionary.entries) {
    const isShort = typeof value === 'string' && value.length <= MAX_TEXT;
    const isShown = isShort || typeof value === 'number' || typeof value === 'boolean';
    if (isShown && typeof key === 'string' && key.length <= MAX_TEXT) found.push([key, String(value)]);
  }
  return Object.fromEntries(found);
}
