/** How often values of which magnitude occur, and how far it pays to represent them. */

/** Twice as many change the scales of a ResNet-50 by less than a thousandth. */
const BINS = 2048;

/** A histogram of magnitudes other than zero, whose range grows with what comes. */
export class Magnitudes {
  readonly #counts = new Float64Array(BINS);
  /** What the bins reach to; 0 until a value other than zero comes. */
  #limit = 0;

  add(values: Float32Array): void {
    let largest = 0;
    for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
    this.#reach(largest);
    if (this.#limit === 0) return;
    const perUnit = BINS / this.#limit;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value === 0) continue;
      const bin = Math.min(BINS - 1, Math.floor(Math.abs(value) * perUnit));
      this.#counts[bin] = (this.#counts[bin] as number) + 1;
    }
  }

  /** Doubles the width of the bins until they reach to a magnitude. */
  #reach(magnitude: number): void {
    if (this.#limit === 0) this.#limit = magnitude;
    for (; this.#limit < magnitude; this.#limit *= 2) {
      const counts = this.#counts;
      for (let i = 0; i < BINS; i++) {
        const [a, b] = [counts[2 * i] ?? 0, counts[2 * i + 1] ?? 0];
        counts[i] = a + b;
      }
    }
  }

  /**
   * Finds the range T with the least squared error if magnitudes become the nearest of 0, T / levels, …, T: a step's square
   * over 12 for each that is within, and the distance to T squared for each that is beyond. 0 if all values are zero.
   */
  bestRange(levels: number): number {
    const width = this.#limit / BINS;
    let [best, least] = [0, Number.POSITIVE_INFINITY];
    // Sums over the bins beyond: of counts, of magnitudes, and of their squares.
    let [n, sum, squares] = [0, 0, 0];
    const all = this.#counts.reduce((total, count) => total + count, 0);
    for (let bin = BINS; bin > 0; bin--) {
      const range = bin * width;
      const error = ((all - n) * (range / levels) ** 2) / 12 + squares - 2 * range * sum + n * range ** 2;
      if (error < least) [best, least] = [range, error];
      const [count, middle] = [this.#counts[bin - 1] as number, (bin - 0.5) * width];
      n += count;
      sum += count * middle;
      squares += count * middle ** 2;
    }
    return best;
  }
}
