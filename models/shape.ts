/** Sizes that operations are made of. */

/** A feature map's height, width and channels (NHWC without the batch). A vector of C values is 1 × 1 × C. */
export interface Shape {
  readonly h: number;
  readonly w: number;
  readonly c: number;
}

/** Rows, then columns. */
export type Pair = readonly [number, number];

/** Elements added on each side of a feature map. */
export interface Padding {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** `56x56x256`. */
export const shapeText = ({ h, w, c }: Shape): string => `${h}x${w}x${c}`;

export const sameShape = (a: Shape, b: Shape): boolean => a.h === b.h && a.w === b.w && a.c === b.c;

export const isVector = ({ h, w }: Shape): boolean => h === 1 && w === 1;
