/** The error function (Abramowitz and Stegun 1964, 7.1.6 and 7.1.14), to float64's precision and a few units more. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  const gauss = Math.exp(-a * a) / Math.sqrt(Math.PI);
  if (a < 2.5) {
    let [term, sum] = [a, a];
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * 2 * gauss * sum;
  }
  // The continued fraction of the complement.
  let fraction = a;
  for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - gauss / fraction);
}
