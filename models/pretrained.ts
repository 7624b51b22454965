/** How a weight set wants its pictures: what its training did to them. */
export interface Preset {
  /** The shorter side after resizing (bilinear, antialiased), in pixels. */
  readonly resize: number;
  /** Side of the square cut from the centre, in pixels. */
  readonly crop: number;
  readonly channelOrder: 'RGB' | 'BGR';
  /** Each value is (byte · scale − mean) / std; means and deviations in channel order. */
  readonly scale: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}
