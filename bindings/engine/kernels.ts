/** The exports of the wasm binaries. */

/** Exports of assembly/index.ts that the bindings call; assembly/ says what each does. Addresses are bytes, sizes elements. */
export interface Kernels {
  run(stepsPtr: number, first: number, last: number, piece: number, pieces: number, scratchPtr: number): void;
  work(controlPtr: number, thread: number): number;
  peak(rounds: number, factor: number): number;
  peakWide(rounds: number, factor: number, outPtr: number): void;
  packedBytes(k: number, n: number): number;
  packOI(
    srcPtr: number,
    dstPtr: number,
    o0: number,
    count: number,
    perGroup: number,
    inner: number,
    taps: number,
  ): void;
  packIO(srcPtr: number, dstPtr: number, k0: number, count: number, outputs: number, perGroup: number, k: number): void;
  groupedScratchBytes(taps: number, channels: number): number;
  winogradBytes(tile: number, c: number, n: number): number;
  winogradScratchBytes(tile: number, c: number): number;
  scaleColumns(bPtr: number, k: number, panels: number, scalePtr: number): void;
  // Of the set `int8`.
  quantWords(isBytes: boolean, taps: number, channels: number): number;
  quantBlockRows(words: number): number;
  quantScratchBytes(words: number): number;
  quantMapBytes(
    rows: number,
    oh: number,
    ow: number,
    kh: number,
    kw: number,
    strideH: number,
    strideW: number,
    dilationH: number,
    dilationW: number,
    pixelWords: number,
  ): number;
  packedQuantBytes(isBytes: boolean, words: number, n: number): number;
  packI8(
    isBytes: boolean,
    srcPtr: number,
    dstPtr: number,
    o0: number,
    count: number,
    perGroup: number,
    inner: number,
    taps: number,
    words: number,
  ): void;
  packF32(
    isBytes: boolean,
    srcPtr: number,
    dstPtr: number,
    o0: number,
    count: number,
    perGroup: number,
    inner: number,
    taps: number,
    words: number,
    scalePtr: number,
    rowPtr: number,
  ): void;
  transposeIO(srcPtr: number, dstPtr: number, outputs: number, inner: number, taps: number): void;
  composeOnWhite(ptr: number, pixels: number): void;
  toGrey(ptr: number, channels: number, pixels: number): void;
  resizeRow(
    srcPtr: number,
    first: number,
    channels: number,
    filtersPtr: number,
    taps: number,
    count: number,
    dstPtr: number,
  ): void;
  resizeGreyRow(srcPtr: number, first: number, filtersPtr: number, taps: number, count: number, dstPtr: number): void;
  resizeColumn(ringPtr: number, stride: number, filterPtr: number, taps: number, dstPtr: number): void;
  normalise(srcPtr: number, count: number, isReversed: boolean, tablePtr: number, dstPtr: number): void;
  normaliseGrey(srcPtr: number, count: number, tablePtr: number, dstPtr: number): void;
  bf16ToF32(srcPtr: number, dstPtr: number, count: number): void;
  f16ToF32(srcPtr: number, dstPtr: number, count: number): void;
}

/** Constants of assembly/step.ts by name: `STEP_BYTES`, the fields' offsets `STEP_…`, `KIND_…`, `FLAG_…`. */
export type Constants = Readonly<Record<string, number>>;
