/** Packing of weights and 16-bit floats, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { uniform } from '../../bindings/weights/uniform.js';
import { eachBinary } from '../support/each-binary.js';
import { brain, half } from '../support/memory-weights.js';
import { property } from '../support/property.js';
import { assertSameBits, constant, Desk, edges, packedGroups, type Region } from '../support/records.js';

const anyMatrix = fc.record({
  groups: fc.integer({ min: 1, max: 4 }),
  perGroup: fc.integer({ min: 1, max: 20 }),
  inner: fc.integer({ min: 1, max: 12 }),
  taps: fc.constantFrom(1, 2, 9, 25),
  /** Rows in a piece. */
  piece: fc.integer({ min: 1, max: 50 }),
});

eachBinary('packing', (test) => {
  test('packedBytes counts whole panels', ({ core }) => {
    const columns = constant(core, 'NR');
    for (const n of edges(columns)) {
      assert.is(core.kernels.packedBytes(5, n), Math.ceil(n / columns) * 5 * columns * 4);
    }
  });

  test('rows of W[O, I, S] and of W[K, O], in pieces, become the same columns', async ({ core }) => {
    await property(anyMatrix, ({ groups, perGroup, inner, taps, piece }) => {
      const [outputs, k] = [groups * perGroup, inner * taps];
      const w = uniform('w', outputs * k, -1, 1);
      const expected = packedGroups(core, w, { outputs, perGroup, inner, taps });
      const desk = new Desk(core);
      const [oi, io] = [0, 1].map(() => desk.put(new Float32Array(expected.length))) as [Region, Region];
      const rows = desk.put(w, k);
      const kRows = new Float32Array(k * outputs);
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inner; i++)
          for (let s = 0; s < taps; s++) {
            kRows[(s * inner + i) * outputs + o] = w[(o * inner + i) * taps + s] as number;
          }
      const columns = desk.put(kRows, outputs);
      for (let o = 0; o < outputs; o += piece) {
        const count = Math.min(piece, outputs - o);
        core.kernels.packOI(rows.ptr + o * k * 4, oi.ptr, o, count, perGroup, inner, taps);
      }
      for (let row = 0; row < k; row += piece) {
        const count = Math.min(piece, k - row);
        core.kernels.packIO(columns.ptr + row * outputs * 4, io.ptr, row, count, outputs, perGroup, k);
      }
      desk.assertIntact('packing', oi, io);
      assertSameBits(desk.read(oi), expected, 'packOI');
      assertSameBits(desk.read(io), expected, 'packIO');
      desk.clear();
    });
  });

  test('columns are scaled, padding and all other columns stay', async ({ core }) => {
    await property(anyMatrix, ({ groups, perGroup, inner, taps }) => {
      const [outputs, k] = [groups * perGroup, inner * taps];
      const w = uniform('w', outputs * k, -1, 1);
      const scales = uniform('scales', outputs, -2, 2);
      const desk = new Desk(core);
      const b = desk.put(packedGroups(core, w, { outputs, perGroup, inner, taps }));
      const packedScales = packedGroups(core, scales, { outputs, perGroup, inner: 1, taps: 1 });
      const scale = desk.put(packedScales);
      core.kernels.scaleColumns(b.ptr, k, packedScales.length / constant(core, 'NR'), scale.ptr);
      desk.assertIntact('scaleColumns', b);
      const scaled = w.map((v, i) => v * (scales[Math.floor(i / k)] as number));
      assertSameBits(desk.read(b), packedGroups(core, scaled, { outputs, perGroup, inner, taps }), 'scaleColumns');
      desk.clear();
    });
  });
});

const COUNT = 65536;

eachBinary('16-bit floats', (test) => {
  for (const [name, value] of [
    ['f16ToF32', half],
    ['bf16ToF32', brain],
  ] as const) {
    test(`${name}: all ${COUNT}, beside their values and in the second half of their place`, ({ core }) => {
      const desk = new Desk(core);
      const all = Uint16Array.from({ length: COUNT }, (_, i) => i);
      const bytes = new Uint8Array(all.buffer);
      const beside = desk.scratch(COUNT * 2);
      core.arena.u8(beside, bytes.length).set(bytes);
      const [apart, shared] = [desk.room(1, COUNT), desk.room(1, COUNT)];
      core.kernels[name](beside, apart.ptr, COUNT);
      core.arena.u8(shared.ptr + COUNT * 2, bytes.length).set(bytes);
      core.kernels[name](shared.ptr + COUNT * 2, shared.ptr, COUNT);
      desk.assertIntact(name, apart, shared);
      for (const region of [apart, shared]) {
        const values = desk.read(region);
        const wrong = values.findIndex((v, bits) => !Object.is(v, value(bits)));
        assert.ok(wrong < 0, `${name}: expected ${value(wrong)} for ${wrong}, got ${values[wrong]}.`);
      }
      desk.clear();
    });
  }
});
