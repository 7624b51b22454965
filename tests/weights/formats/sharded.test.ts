import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import { dictionary, legacyFile, storage, tensor, text } from '../../support/pickles.js';
import {
  type Entry,
  failure,
  pattern,
  readAll,
  rejection,
  safetensorsFile,
  utf8,
  withFiles,
} from '../../support/weight-files.js';

const f32 = (name: string, shape: number[], seed: number): Entry => ({
  name,
  dtype: 'F32',
  shape,
  bytes: pattern(4 * shape.reduce((product, n) => product * n, 1), seed),
});

const INDEX = 'net/model.safetensors.index.json';
const [ONE, TWO] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];

const first = [f32('module.conv1.weight', [4, 3, 3, 3], 1), f32('module.bn1.bias', [4], 2)];
const second = [
  f32('module.linear.weight', [5, 4], 3),
  { name: 'module.bn1.num_batches_tracked', dtype: 'I64', shape: [], bytes: pattern(8) },
];
const total = 4 * (4 * 27 + 4 + 20) + 8;

const placed = (entries: Entry[], path: string) => Object.fromEntries(entries.map(({ name }) => [name, path]));

const index = () => ({
  metadata: { total_size: total as unknown },
  weight_map: { ...placed(second, TWO), ...placed(first, ONE) } as Record<string, unknown>,
});

const expected = [...first, ...second.slice(0, 1)];

const filesOf = (json: unknown = index(), changes: Record<string, Uint8Array> = {}): Record<string, Uint8Array> => ({
  [INDEX]: utf8(JSON.stringify(json)),
  [`net/${ONE}`]: safetensorsFile(first, { format: 'pt' }),
  [`net/${TWO}`]: safetensorsFile(second),
  ...changes,
});

const fault = (json: unknown, changes: Record<string, Uint8Array> = {}) =>
  withFiles(filesOf(json, changes), () => failure(openWeights(INDEX).then(readAll)));

test('shards one after the other, in the order of their names', async () => {
  await withFiles(filesOf(), async () => {
    const file = await openWeights(INDEX);
    assert.is(file.format, 'shards');
    assert.is(file.total, total - 8);
    assert.equal(file.metadata, { format: 'pt' });
    assert.equal(
      file.tensors.map(({ name }) => name),
      expected.map(({ name }) => name),
    );
    assert.equal(await readAll(file), expected);
  });
});

test('an index without metadata, and one shard', async () => {
  const json = { weight_map: placed(first, ONE) };
  const names = async () => (await readAll(await openWeights(INDEX))).map(({ name }) => name);
  await withFiles(filesOf(json), async () => assert.equal(await names(), ['module.conv1.weight', 'module.bn1.bias']));
});

test('PyTorch files as shards', async () => {
  const values = pattern(400);
  const value = dictionary({ a: tensor(storage('0', 100), 0, [100], [1]) });
  const checkpoint = legacyFile({ value, keys: [text('0')], storages: [[100, values]] });
  const json = { metadata: { total_size: 400 }, weight_map: { a: 'pytorch_model.bin' } };
  const files = { 'x.json': utf8(JSON.stringify(json)), 'pytorch_model.bin': checkpoint };
  await withFiles(files, async () => {
    const entry = { name: 'a', dtype: 'F32', shape: [100], bytes: values };
    assert.equal(await readAll(await openWeights('x.json')), [entry]);
  });
});

test('over HTTP, the query kept', async () => {
  const served = new Map(Object.entries(filesOf()).map(([path, bytes]) => [`/${path}?download=true`, bytes]));
  const server = http.createServer((request, response) => {
    const bytes = served.get(request.url ?? '');
    if (bytes) response.end(bytes);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${INDEX}?download=true`;
    assert.equal(await readAll(await openWeights(url)), expected);
    served.delete(`/net/${TWO}?download=true`);
    assert.match(await failure(openWeights(url)), /of-00002\.safetensors\?download=true: expected status 2xx, got 404/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

/** [the fault, the index, the whole message or its form] */
const faults: [string, unknown, string | RegExp][] = [
  ['no JSON', undefined, /^net\/model\.safetensors\.index\.json: expected .+, got an empty file\.$/],
  ['no weight_map', { metadata: {} }, `${INDEX}: expected a weight_map of tensors' files, got other JSON.`],
  ['a list', { metadata: 1, weight_map: [] }, `${INDEX}: expected a weight_map of tensors' files, got other JSON.`],
  [
    'a path that leads away',
    { weight_map: { a: '../secret' } },
    `${INDEX}: weight_map: expected paths of files beside it, got "../secret".`,
  ],
  ['no path', { weight_map: { a: 7 } }, `${INDEX}: weight_map: expected paths of files beside it, got 7.`],
  [
    'itself as a shard',
    { weight_map: { a: INDEX.slice(4) } },
    /expected safetensors, PyTorch checkpoint, Keras HDF5 file or ONNX model, got a text that begins with/,
  ],
  [
    'too many files',
    { weight_map: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `f${i}`])) },
    `${INDEX}: weight_map: expected at most 1000 files, got 1001.`,
  ],
  ['a file that is missing', { weight_map: { a: 'none' } }, 'net/none: expected a file, got none.'],
  [
    'a tensor that is missing',
    { weight_map: { ...index().weight_map, gone: ONE } },
    `gone: ${ONE} does not hold it, as the index says.`,
  ],
  [
    'a tensor elsewhere',
    { weight_map: { ...index().weight_map, 'module.bn1.bias': TWO } },
    `module.bn1.bias: expected it in ${TWO}, got it in ${ONE}.`,
  ],
  [
    'a tensor too many',
    { weight_map: placed(first.slice(1), ONE) },
    `module.conv1.weight: the index does not name it, but it is in ${ONE}.`,
  ],
  [
    'another total',
    { ...index(), metadata: { total_size: 7 } },
    `${INDEX}: metadata: expected total_size ${total}, got 7.`,
  ],
  [
    'no number as a total',
    { ...index(), metadata: { total_size: '7' } },
    `${INDEX}: metadata: expected total_size ${total}, got "7".`,
  ],
];

test('an index that has a tensor twice is refused', async () => {
  const json = utf8(`{"weight_map":{"a":"${ONE}","\\u0061":"${TWO}"}}`);
  assert.is(await fault({}, { [INDEX]: json }), `${INDEX}: expected every name once, got "a" twice.`);
});

for (const [what, json, message] of faults) {
  test(`an index with ${what} is refused`, async () => {
    const got = await fault(json, json === undefined ? { [INDEX]: utf8('') } : {});
    if (typeof message === 'string') assert.is(got, message);
    else assert.match(got, message);
  });
}

test('shards that are damaged, or hold a tensor of another', async () => {
  const cut = safetensorsFile(second).subarray(0, -1);
  assert.match(
    await fault(index(), { [`net/${TWO}`]: cut }),
    /^net\/.+00002\.safetensors: expected \d+ bytes as its header/,
  );
  const both = { [`net/${TWO}`]: safetensorsFile([...second, ...first.slice(1)]) };
  assert.is(await fault(index(), both), `module.bn1.bias: expected it in ${ONE}, got it in ${TWO}.`);
});

test('a shard that is another when its turn comes is refused', async () => {
  const files = filesOf();
  await withFiles(files, async () => {
    const file = await openWeights(INDEX);
    files[`net/${TWO}`] = safetensorsFile([f32('module.linear.weight', [4, 5], 3), ...second.slice(1)]);
    assert.is(await failure(readAll(file)), `${TWO}: its tensors have changed since it was opened.`);
  });
});

test('without a place there are no shards', async () => {
  const message = await failure(openWeights(utf8(JSON.stringify(index()))));
  assert.is(message, 'weights: the shards lie beside the index; give its path or URL rather than its content.');
});

test('close, abort and leaving early close the shard that is open', async () => {
  await withFiles(filesOf(), async () => {
    const closed = await openWeights(INDEX);
    await closed.close();
    assert.is(await failure(readAll(closed)), `${INDEX}: this source is closed.`);
    for await (const _ of (await openWeights(INDEX)).pieces()) break;
    const controller = new AbortController();
    const pieces = (await openWeights(INDEX, { signal: controller.signal })).pieces();
    await pieces.next();
    const reason = new Error('enough');
    controller.abort(reason);
    assert.is(await rejection(pieces.next()), reason);
    await new Promise((resolve) => setTimeout(resolve, 0));
  });
});

test.run();
