import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeNpy, encodeNpy, readNpy, writeNpy } from '../../cli/npy.js';
import { property } from '../support/property.js';

const test = suite<{ folder: string }>('npy');
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'npy-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

/** A file as its specification (NEP 1) has it, with any header. */
function npy(header: string, values: Uint8Array, version = 1): Buffer {
  const size = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) size.writeUInt16LE(header.length);
  else size.writeUInt32LE(header.length);
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.from([version, 0]),
    size,
    Buffer.from(header),
    values,
  ]);
}

const header = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

const bytesOf = (array: Float32Array | Float64Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

test('what is encoded is decoded, whatever the shape', async () => {
  await property(fc.tuple(fc.array(fc.nat(5), { maxLength: 5 }), fc.integer()), ([shape, seed]) => {
    const data = Float32Array.from({ length: size(shape) }, (_, i) => Math.sin(i + seed) * 2 ** (seed % 100));
    const bytes = encodeNpy({ data, shape });
    assert.is((bytes.length - data.byteLength) % 64, 0);
    assert.equal(decodeNpy('x', bytes), { data, shape });
  });
});

test('the bytes are those that NumPy 2.4 writes', () => {
  // numpy.save of numpy.array([[1.5, -2]], numpy.float32)
  const numpy = Buffer.from(
    '934e554d5059010076007b276465736372273a20273c6634272c2027666f727472616e5f6f72646572273a2046616c73652c20277368617065' +
      `273a2028312c2032292c207d${'20'.repeat(58)}0a0000c03f000000c0`,
    'hex',
  );
  const array = { data: Float32Array.of(1.5, -2), shape: [1, 2] };
  assert.equal(decodeNpy('x', numpy), array);
  assert.equal(Buffer.from(encodeNpy(array)).toString('hex'), numpy.toString('hex'));
});

test('all versions, any order of entries, odd lengths of header, float64', () => {
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  const array = { data: values, shape: [2, 3] };
  for (const version of [1, 2, 3]) {
    for (const spaces of ['', ' ', '  ', '   ']) {
      assert.equal(decodeNpy('x', npy(header('<f4', '(2, 3)') + spaces, bytesOf(values), version)), array);
    }
  }
  const other = "{'shape':(2L,3L,),'fortran_order':False,'descr':'<f8'}";
  assert.equal(decodeNpy('x', npy(other, bytesOf(Float64Array.from(values)))), array);
  assert.equal(decodeNpy('x', npy(header('<f4', '()'), bytesOf(Float32Array.of(7)))).shape, []);
  // One dimension is in both orders at once, as NumPy says of it.
  assert.equal(decodeNpy('x', npy(header('<f4', '(6,)', 'True'), bytesOf(values))).shape, [6]);
});

test('what is no such file is refused in one sentence', () => {
  const f4 = (count: number) => new Uint8Array(4 * count);
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(0), 'x: expected a .npy file, got another kind.'],
    [Buffer.from('\x93NUMPY\x01', 'latin1'), 'x: expected a .npy file, got another kind.'],
    [Buffer.from('PK\x03\x04 an .npz archive'), 'x: expected a .npy file, got another kind.'],
    [npy(header('<f4', '(1,)'), f4(1), 4), 'x: expected .npy version 1.0, 2.0 or 3.0, got 4.0.'],
    [npy(header('<f4', '(1,)'), f4(1)).subarray(0, 40), 'x: expected a header of 58 bytes, got 30.'],
    [npy('', f4(0), 2).subarray(0, 11), 'x: expected a header of 0 bytes, got 0.'],
    [npy(header('>f4', '(1,)'), f4(1)), 'x: expected values of type <f4 or <f8 (numpy.float32, float64), got >f4.'],
    [npy(header('|u1', '(1,)'), f4(1)), 'x: expected values of type <f4 or <f8 (numpy.float32, float64), got |u1.'],
    [
      npy(header('<f4', '(2, 2)', 'True'), f4(4)),
      'x: expected C order (numpy.ascontiguousarray makes it), got Fortran order.',
    ],
    [npy(header('<f4', '(2, 3)'), f4(5)), 'x: expected 24 bytes of values for [2, 3], got 20.'],
    [npy(header('<f4', '(2, 3)'), f4(7)), 'x: expected 24 bytes of values for [2, 3], got 28.'],
    [
      npy(header('<f4', '(9999999999, 9999999999)'), f4(1)),
      'x: expected 399999999920000000000 bytes of values for [9999999999, 9999999999], got 4.',
    ],
    [npy(header('<f4', '(2,,3)'), f4(6)), 'x: expected a shape of at most 32 whole numbers, got (2,,3).'],
    [npy(header('<f4', '(2, -3)'), f4(6)), 'x: expected shape of one plain array in the header, got none.'],
    [
      npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", f4(1)),
      'x: expected descr of one plain array in the header, got none.',
    ],
    [
      npy(header('<f4', '(1,)').replace('}', "'more': 1}"), f4(1)),
      'x: expected descr, fortran_order and shape alone in the header, got more.',
    ],
  ];
  for (const [bytes, message] of cases) {
    try {
      decodeNpy('x', bytes);
      assert.unreachable(message);
    } catch (error) {
      assert.is((error as Error).message, message);
    }
  }
});

test('any bytes end in an array or a sentence', async () => {
  const start = npy(header('<f4', '(1, 2)'), bytesOf(Float32Array.of(1, 2)));
  await property(fc.array(fc.tuple(fc.nat(start.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
    const bytes = Buffer.from(start);
    for (const [at, value] of changes) bytes[at] = value;
    try {
      const { data, shape } = decodeNpy('x', bytes);
      assert.is(data.length, size(shape));
    } catch (error) {
      assert.match((error as Error).message, /^x: expected .*, got .*\.$/s);
    }
  });
});

test('a file is replaced whole, through links, and left alone by a failure', async ({ folder }) => {
  const [path, link] = [join(folder, 'y.npy'), join(folder, 'link.npy')];
  writeFileSync(path, 'before');
  symlinkSync(path, link);
  const array = { data: Float32Array.of(1, 2, 3), shape: [3] };
  await writeNpy(link, array);
  assert.equal(await readNpy(path), array);
  assert.equal(readdirSync(folder).sort(), ['link.npy', 'y.npy']);

  const before = readFileSync(path);
  const broken = { shape: [3], data: new Proxy(array.data, {}) };
  await writeNpy(path, broken).then(
    () => assert.unreachable(),
    () => {},
  );
  assert.equal(readFileSync(path), before);
  await writeNpy(join(folder, 'missing', 'y.npy'), array).then(
    () => assert.unreachable(),
    () => {},
  );
  assert.equal(readdirSync(folder).sort(), ['link.npy', 'y.npy']);
});

test('a device is written to, not replaced', async () => {
  await writeNpy('/dev/null', { data: Float32Array.of(1), shape: [1] });
  assert.is(readFileSync('/dev/null').length, 0);
});

test.run();
