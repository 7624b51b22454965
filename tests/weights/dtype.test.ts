import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decoderOf, fromFloat32, toFloat32 } from '../../bindings/weights/dtype.js';
import { property } from '../support/property.js';
import { concat } from '../support/weight-files.js';

const everyHalf = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** Little-endian bytes of 16-bit patterns, and back. */
const bytesOf = (patterns: Uint16Array): Uint8Array => {
  const view = new DataView(new ArrayBuffer(2 * patterns.length));
  patterns.forEach((value, i) => {
    view.setUint16(2 * i, value, true);
  });
  return new Uint8Array(view.buffer);
};
const patternsOf = (bytes: Uint8Array): Uint16Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
};

/** The value of a pattern by the definition. */
function defined(dtype: 'F16' | 'BF16', pattern: number): number {
  const [exponentBits, fractionBits] = dtype === 'F16' ? [5, 10] : [8, 7];
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern & 0x7fff) >> fractionBits;
  const fraction = (pattern & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

for (const dtype of ['F16', 'BF16'] as const) {
  test(`${dtype}: all 65536 values, and back to the same bits`, () => {
    const values = toFloat32(dtype, bytesOf(everyHalf));
    assert.is(values.length, 65536);
    for (const [pattern, value] of values.entries()) {
      if (!Object.is(value, defined(dtype, pattern))) assert.is(value, defined(dtype, pattern), `pattern ${pattern}`);
    }
    const back = patternsOf(fromFloat32(dtype, values));
    for (const [i, value] of values.entries()) {
      // Any NaN may stand for another.
      if (Number.isNaN(value)) assert.ok(Number.isNaN(defined(dtype, back[i] ?? 0)));
      else if (back[i] !== i) assert.is(back[i], i);
    }
  });

  test(`${dtype}: rounding to nearest, ties to even`, async () => {
    const largest = dtype === 'F16' ? 0x7bff : 0x7f7f;
    const check = (x: number): void => {
      const pattern = patternsOf(fromFloat32(dtype, Float32Array.of(x)))[0] ?? 0;
      const distance = (other: number) => Math.abs(defined(dtype, other) - x);
      const magnitude = pattern & 0x7fff;
      if (magnitude > largest) {
        // Infinite from half a step beyond the largest value on.
        const step = defined(dtype, largest) - defined(dtype, largest - 1);
        assert.ok(Math.abs(x) >= defined(dtype, largest) + step / 2, `${x}`);
        return;
      }
      assert.is(Object.is(Math.sign(x), -1) || Object.is(x, -0), (pattern & 0x8000) > 0);
      for (const other of [pattern - 1, pattern + 1]) {
        if ((other & 0x7fff) > largest || magnitude + (other - pattern) < 0) continue;
        assert.ok(distance(pattern) <= distance(other), `${x}: ${pattern} is farther than ${other}`);
        if (distance(pattern) === distance(other)) assert.is(pattern & 1, 0, `${x}: a tie to an odd pattern`);
      }
    };
    await property(fc.float({ noNaN: true, noDefaultInfinity: true }), check, { runs: 2000 });
    // Halfway between neighbours, and the float32 values beside that.
    for (let pattern = 0; pattern < largest; pattern += dtype === 'F16' ? 13 : 11) {
      const half = Math.fround((defined(dtype, pattern) + defined(dtype, pattern + 1)) / 2);
      const bits = new Uint32Array(Float32Array.of(half).buffer);
      for (const change of [-1, 0, 1]) {
        const x = new Float32Array(Uint32Array.of(Math.max(0, (bits[0] ?? 0) + change)).buffer)[0] ?? 0;
        check(x);
        check(-x);
      }
    }
    for (const x of [0, -0, 65504, 65519.996, 65520, 3.4028234663852886e38, 2 ** -24, 2 ** -25, 2 ** -149]) check(x);
  });
}

test('F32: the same bytes, in memory of their own', () => {
  const values = Float32Array.of(1, -0, Number.NaN, 1e-45, Number.POSITIVE_INFINITY);
  const bytes = fromFloat32('F32', values);
  assert.is.not(bytes.buffer, values.buffer);
  const copy = toFloat32('F32', concat(Uint8Array.of(9), bytes).subarray(1));
  assert.equal(new Uint32Array(copy.buffer), new Uint32Array(values.buffer));
});

for (const isBigEndian of [false, true]) {
  test(`stored values cut anywhere, ${isBigEndian ? 'big' : 'little'}-endian`, async () => {
    const doubles = [1 / 3, -2e-310, 1e300, Number.NEGATIVE_INFINITY, 7];
    const view = new DataView(new ArrayBuffer(8 * doubles.length));
    doubles.forEach((value, i) => {
      view.setFloat64(8 * i, value, !isBigEndian);
    });
    const stored = new Uint8Array(view.buffer);
    await property(fc.array(fc.nat(stored.length), { maxLength: 8 }), (places) => {
      const cuts = [0, ...places.toSorted((a, b) => a - b), stored.length];
      const decoded = (dtype: 'F64' | 'F32' | 'F16') => {
        const decoder = decoderOf({ dtype, isBigEndian });
        const parts = cuts.slice(1).map((end, i) => stored.slice(cuts[i], end));
        return concat(...parts.map((part) => (decoder ? new Uint8Array(decoder.push(part)) : part)));
      };
      assert.equal(toFloat32('F32', decoded('F64')), Float32Array.from(doubles));
      const units = (width: number) => Array.from({ length: stored.length / width }, (_, i) => i * width);
      for (const [dtype, width] of [
        ['F32', 4],
        ['F16', 2],
      ] as const) {
        const expected = units(width).map((at) => {
          const unit = stored.slice(at, at + width);
          return isBigEndian ? unit.reverse() : unit;
        });
        assert.equal(decoded(dtype), concat(...expected));
      }
    });
  });
}

test.run();
