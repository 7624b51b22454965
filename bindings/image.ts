/** Decoded 8-bit pixels, row by row from the top left. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 3 for RGB, 4 for RGBA with straight alpha; by default told from the length of `data`. */
  readonly channels?: 3 | 4;
}
