/** Rows of float32 in linear memory, and the products that a linear layer over them is trained with. */

import { align } from './arena.js';
import type { Core } from './core.js';
import { createCore } from './create-core.js';
import { constant, writeRecord } from './lower.js';

/** Rows of a block, which lie together: a block is packed as a whole, and its products take some milliseconds. */
const BLOCK_ROWS = 256;

const BYTES = Float32Array.BYTES_PER_ELEMENT;

/** A linear layer: y = x · weightᵀ + bias. */
export interface LinearLayer {
  /** [outputs, columns]. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** A growing matrix X[rows, columns]. Its memory is its own, and is given back with it. */
export class RowMatrix {
  readonly columns: number;
  #length = 0;
  readonly #core: Core;
  /** Addresses of the blocks; all but the last are full. */
  readonly #blocks: number[] = [];

  private constructor(core: Core, columns: number) {
    this.#core = core;
    this.columns = columns;
  }

  /** Makes a matrix without rows. */
  static async create(columns: number): Promise<RowMatrix> {
    const core = await createCore();
    await core.measured;
    return new RowMatrix(core, columns);
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of all memory that it holds. */
  get bytes(): number {
    return this.#core.arena.memory.buffer.byteLength;
  }

  /** Appends a row. */
  push(row: Float32Array): void {
    if (this.#length === this.#blocks.length * BLOCK_ROWS) {
      this.#blocks.push(this.#core.arena.alloc(BLOCK_ROWS * this.columns * BYTES));
    }
    this.#length += 1;
    this.row(this.#length - 1).set(row);
  }

  /** A view of a row, until the next `push` or product. */
  row(index: number): Float32Array {
    const block = this.#blocks[Math.floor(index / BLOCK_ROWS)] as number;
    return this.#core.arena.f32(block + (index % BLOCK_ROWS) * this.columns * BYTES, this.columns);
  }

  /** Moves the last row to the place of another. */
  remove(index: number): void {
    const last = this.#length - 1;
    if (index !== last) this.row(index).set(this.row(last).slice());
    this.#length = last;
  }

  /** Computes X · weightᵀ + bias, [rows, outputs]. */
  scores(layer: LinearLayer): Float32Array {
    const outputs = layer.bias.length;
    const scores = new Float32Array(this.#length * outputs);
    this.#withProducts(layer, (products) => {
      for (const block of products.blocks()) scores.set(products.forward(block), block.first * outputs);
    });
    return scores;
  }

  /**
   * Computes the gradient of a loss with respect to the weights, Eᵀ · X [outputs, columns]. `toErrors` makes of the scores
   * of rows `first` … the errors E of the same rows, in place: the loss's derivatives with respect to the scores.
   */
  gradient(layer: LinearLayer, toErrors: (scores: Float32Array, first: number) => void): Float32Array {
    return this.#withProducts(layer, (products) => {
      for (const block of products.blocks()) {
        const scores = products.forward(block);
        toErrors(scores, block.first);
        products.backward(block, scores);
      }
      return products.gradient();
    });
  }

  #withProducts<Result>(layer: LinearLayer, use: (products: Products) => Result): Result {
    const { arena } = this.#core;
    const mark = arena.mark();
    try {
      return use(new Products(this.#core, this, this.#blocks, layer));
    } finally {
      arena.release(mark);
    }
  }
}

interface Block {
  readonly first: number;
  readonly rows: number;
  readonly ptr: number;
}

/** The two products, block by block, as pointwise convolutions over rows that stand for pixels. */
class Products {
  readonly #core: Core;
  readonly #matrix: RowMatrix;
  readonly #blocks: readonly number[];
  readonly #outputs: number;
  readonly #recordPtr: number;
  readonly #scratchPtr: number;
  readonly #weightPtr: number;
  readonly #biasPtr: number;
  readonly #scoresPtr: number;
  /** Eᵀ of a block, [outputs, rows]. */
  readonly #errorsPtr: number;
  /** A block of X as packed B[rows, columns]. */
  readonly #packedPtr: number;
  readonly #zerosPtr: number;
  readonly #gradientPtr: number;

  constructor(core: Core, matrix: RowMatrix, blocks: readonly number[], { weight, bias }: LinearLayer) {
    this.#core = core;
    this.#matrix = matrix;
    this.#blocks = blocks;
    this.#outputs = bias.length;
    const { arena, kernels } = core;
    const { columns } = matrix;
    const zeros = (bytes: number): number => {
      const ptr = arena.alloc(bytes);
      arena.u8(ptr, bytes).fill(0);
      return ptr;
    };
    this.#recordPtr = arena.alloc(constant(core, 'STEP_BYTES'));
    this.#weightPtr = zeros(kernels.packedBytes(columns, this.#outputs));
    this.#biasPtr = zeros(kernels.packedBytes(1, this.#outputs));
    this.#scoresPtr = arena.alloc(BLOCK_ROWS * this.#outputs * BYTES);
    this.#errorsPtr = arena.alloc(BLOCK_ROWS * this.#outputs * BYTES);
    this.#packedPtr = zeros(kernels.packedBytes(BLOCK_ROWS, columns));
    this.#zerosPtr = zeros(kernels.packedBytes(1, columns));
    this.#gradientPtr = zeros(this.#outputs * columns * BYTES);
    // Last: tiles read a little beyond the weights.
    this.#scratchPtr = arena.alloc(align(constant(core, 'SCRATCH_BYTES')));
    const rowsPtr = arena.alloc(weight.byteLength);
    arena.f32(rowsPtr, weight.length).set(weight);
    kernels.packOI(rowsPtr, this.#weightPtr, 0, this.#outputs, this.#outputs, columns, 1);
    arena.f32(this.#biasPtr, this.#outputs).set(bias);
  }

  *blocks(): Iterable<Block> {
    for (let first = 0; first < this.#matrix.length; first += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, this.#matrix.length - first);
      yield { first, rows, ptr: this.#blocks[first / BLOCK_ROWS] as number };
    }
  }

  /** The scores of a block, [rows, outputs]: a view until the next product. */
  forward({ rows, ptr }: Block): Float32Array {
    const out = this.#scoresPtr;
    const { columns } = this.#matrix;
    this.#multiply(rows, this.#outputs, columns, {
      inPtr: ptr,
      weightPtr: this.#weightPtr,
      biasPtr: this.#biasPtr,
      outPtr: out,
    });
    return this.#core.arena.f32(out, rows * this.#outputs);
  }

  /** Adds the part of a block with errors E [rows, outputs]. */
  backward({ rows, ptr }: Block, errors: Float32Array): void {
    const { arena, kernels } = this.#core;
    const { columns } = this.#matrix;
    const outputs = this.#outputs;
    const transposed = arena.f32(this.#errorsPtr, rows * outputs);
    for (let i = 0; i < rows; i++) {
      for (let o = 0; o < outputs; o++) transposed[o * rows + i] = errors[i * outputs + o] as number;
    }
    kernels.packIO(ptr, this.#packedPtr, 0, rows, columns, columns, rows);
    const gradientPtr = this.#gradientPtr;
    const places = { inPtr: this.#errorsPtr, weightPtr: this.#packedPtr, biasPtr: this.#zerosPtr, outPtr: gradientPtr };
    this.#multiply(outputs, columns, rows, {
      ...places,
      residualPtr: gradientPtr,
      ldResidual: columns,
      flags: constant(this.#core, 'FLAG_ADD'),
    });
  }

  /** A copy of the sum of all parts. */
  gradient(): Float32Array {
    return this.#core.arena.f32(this.#gradientPtr, this.#outputs * this.#matrix.columns).slice();
  }

  /** C[m, n] = A[m, k] · packed B[k, n] + bias. */
  #multiply(m: number, n: number, k: number, places: Readonly<Record<string, number>>): void {
    const core = this.#core;
    const one = { kh: 1, kw: 1, strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, groups: 1, batch: 1 };
    const size = { ih: m, iw: 1, ic: k, oh: m, ow: 1, oc: n, ldIn: k, ldOut: n };
    writeRecord(core, this.#recordPtr, {
      kind: constant(core, 'KIND_CONV'),
      mr: core.tileRows,
      ...one,
      ...size,
      ...places,
    });
    core.kernels.run(this.#recordPtr, 0, 1, 0, 1, this.#scratchPtr);
  }
}
