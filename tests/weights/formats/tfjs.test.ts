import http from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import { property } from '../../support/property.js';
import { conv, dense, type Layer, type Model, model, norm, type Weight, weight } from '../../support/tfjs-models.js';
import {
  concat,
  failure,
  memoryFiles,
  pattern,
  readAll,
  rejection,
  utf8,
  withFiles,
} from '../../support/weight-files.js';

/** Two groups: 272 bytes in three shards, 48 in one. */
const small = (): Model =>
  model(
    [conv('conv1', 2), norm('bn_conv1'), dense('fc1000')],
    {
      paths: ['g1-1.bin', 'g1-2.bin', 'g1-3.bin'],
      weights: [
        weight('bn_conv1/gamma', [3]),
        weight('bn_conv1/moving_variance', [3]),
        weight('conv1/kernel', [3, 2, 2, 5]),
        weight('conv1/bias:0', [2]),
      ],
    },
    { paths: ['sub/g2.bin'], weights: [weight('fc1000/kernel', [4, 2]), weight('fc1000/bias', [4])] },
  );

const values = [pattern(272, 1), pattern(48, 2)] as const;

const smallFiles = (changes: Record<string, Uint8Array | undefined> = {}, json: unknown = small()) => {
  const files: Record<string, Uint8Array | undefined> = {
    'net/model.json': utf8(typeof json === 'string' ? json : JSON.stringify(json)),
    'net/g1-1.bin': values[0].slice(0, 101),
    'net/g1-2.bin': values[0].slice(101, 202),
    'net/g1-3.bin': values[0].slice(202),
    'net/sub/g2.bin': values[1],
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(files).filter((entry): entry is [string, Uint8Array] => entry[1] !== undefined),
  );
};

const readSmall = async (source: string | URL = 'net/model.json') => readAll(await openWeights(source));

/** The failure of opening and reading the small model with these changes. */
const fault = (changes: Record<string, Uint8Array | undefined>) =>
  withFiles(smallFiles(changes), () => failure(readSmall()));

/** The failure of opening it, shards untouched, with this change of model.json. */
const malformed = (change: (json: Model) => unknown) => {
  const json = small();
  const changed = change(json) ?? json;
  return withFiles(smallFiles({}, changed), () => failure(openWeights('net/model.json')));
};

const expected = [
  { name: 'bn_conv1.weight', dtype: 'F32', shape: [3], bytes: values[0].slice(0, 12) },
  { name: 'bn_conv1.running_var', dtype: 'F32', shape: [3], bytes: values[0].slice(12, 24) },
  { name: 'conv1.weight', dtype: 'F32', shape: [5, 2, 3, 2], bytes: values[0].slice(24, 264) },
  { name: 'conv1.bias', dtype: 'F32', shape: [2], bytes: values[0].slice(264) },
  { name: 'fc1000.weight', dtype: 'F32', shape: [2, 4], bytes: values[1].slice(0, 32) },
  { name: 'fc1000.bias', dtype: 'F32', shape: [4], bytes: values[1].slice(32) },
];

test('tensors in file order across shards and groups, with torch shapes, and config', async () => {
  await withFiles(smallFiles(), async () => {
    const file = await openWeights('net/model.json');
    assert.is(file.format, 'layers-model');
    assert.is(file.total, 320);
    assert.equal(file.config, { batchNormEps: 0.001, convBias: true, strideIn: undefined });
    assert.equal(
      file.tensors.map(({ order }) => order),
      ['OI', 'OI', 'IO', 'OI', 'IO', 'OI'],
    );
    assert.equal(await readAll(file), expected);
  });
});

test('shards cut anywhere', async () => {
  await property(
    fc.array(fc.nat(272), { maxLength: 6 }),
    async (places) => {
      const cuts = [0, ...places.toSorted((a, b) => a - b), 272];
      const json = small();
      const shards = cuts.slice(1).map((end, i) => [`s${i}.bin`, values[0].slice(cuts[i], end)] as const);
      Object.assign(json.weightsManifest[0] ?? {}, { paths: shards.map(([path]) => path) });
      const files = smallFiles(Object.fromEntries(shards.map(([path, bytes]) => [`net/${path}`, bytes])), json);
      await withFiles(files, async () => assert.equal(await readSmall(), expected));
    },
    { runs: 50 },
  );
});

test('beside a file: URL, and over HTTP with the query kept', async () => {
  const files = Object.entries(smallFiles());
  const local = Object.fromEntries(files.map(([path, bytes]) => [`file:///a%20b/${path}`, bytes]));
  await withFiles(local, async () => assert.equal(await readSmall('file:///a%20b/net/model.json'), expected));

  const served = new Map(files.map(([path, bytes]) => [`/${path}?token=1`, bytes]));
  const server = http.createServer((request, response) => {
    const bytes = served.get(request.url ?? '');
    if (bytes) response.end(bytes);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/net/model.json?token=1`;
    assert.equal(await readSmall(url), expected);
    assert.equal(await readAll(await openWeights(await fetch(url))), expected);
    served.delete('/net/g1-2.bin?token=1');
    assert.is(
      await failure(readSmall(url)),
      `${url.replace('model.json', 'g1-2.bin')}: expected status 2xx, got 404 Not Found.`,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('without a place there are no shards', async () => {
  const json = utf8(JSON.stringify(small()));
  const message = 'weights: the shards lie beside model.json; give its path or URL rather than its content.';
  for (const source of [json, new Blob([json]), new Response(json)]) {
    assert.is(await failure(openWeights(source)), message);
  }
});

test('shards missing, too short, too long', async () => {
  assert.is(await fault({ 'net/g1-2.bin': undefined }), 'net/g1-2.bin: expected a file, got none.');
  assert.is(await fault({ 'net/sub/g2.bin': values[1].slice(1) }), 'sub/g2.bin: expected 48 bytes, got 47.');
  assert.is(
    await fault({ 'net/sub/g2.bin': concat(values[1], pattern(1)) }),
    'sub/g2.bin: expected 48 bytes, got more.',
  );
  assert.is(await fault({ 'net/g1-3.bin': values[0].slice(203) }), 'g1-3.bin: expected 70 bytes, got 69.');
  assert.is(await fault({ 'net/g1-3.bin': pattern(71) }), 'g1-3.bin: expected 70 bytes, got more.');
  assert.is(await fault({ 'net/g1-1.bin': pattern(300) }), 'g1-1.bin: expected 272 bytes, got more.');
  assert.is(await fault({ 'net/g1-3.bin': pattern(0) }), 'g1-3.bin: expected 70 bytes, got 0.');
});

test('a shard whose known size is wrong is not read at all', async () => {
  for (const changes of [
    { 'net/g1-1.bin': pattern(300) },
    { 'net/g1-3.bin': values[0].slice(203) },
    { 'net/sub/g2.bin': pattern(49) },
  ]) {
    const memory = memoryFiles(smallFiles(changes));
    try {
      await failure(readSmall());
      assert.not.ok(memory.opened.includes(Object.keys(changes)[0] ?? ''));
    } finally {
      memory.restore();
    }
  }
});

test('of many shards, the one that differs is to blame', async () => {
  const json = small();
  const paths = ['a', 'b', 'c', 'd', 'e'];
  Object.assign(json.weightsManifest[0] ?? {}, { paths });
  const shards = (sizes: number[]) =>
    smallFiles(Object.fromEntries(paths.map((path, i) => [`net/${path}`, pattern(sizes[i] ?? 0)])), json);
  const blame = (sizes: number[]) => withFiles(shards(sizes), () => failure(readSmall()));
  assert.is(await blame([60, 60, 50, 60, 32]), 'c: expected 60 bytes, got 50.');
  assert.is(await blame([59, 60, 60, 60, 32]), 'a: expected 60 bytes, got 59.');
  assert.is(await blame([60, 61, 60, 60, 32]), 'b: expected 60 bytes, got more.');
  assert.is(await blame([60, 60, 60, 60, 31]), 'e: expected 32 bytes, got 31.');
  assert.is(await blame([10, 20, 30, 40, 171]), 'e: expected 172 bytes, got 171.');
});

test('a shard of unknown length that is too short or too long', async () => {
  const sizes: Record<string, number> = {};
  const server = http.createServer((request, response) => {
    const path = request.url ?? '';
    if (path === '/model.json') return response.end(JSON.stringify(small()));
    response.write(pattern(30));
    return setTimeout(() => response.end(pattern((sizes[path] ?? 101) - 30)), 2);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.json`;
    const blame = (last: number, second: number) => {
      Object.assign(sizes, { '/g1-3.bin': last, '/sub/g2.bin': second });
      return failure(readSmall(url));
    };
    assert.is(await blame(69, 48), 'g1-3.bin: expected 70 bytes, got 69.');
    assert.is(await blame(71, 48), 'g1-3.bin: expected 70 bytes, got more.');
    assert.is(await blame(70, 47), 'sub/g2.bin: expected 48 bytes, got 47.');
    assert.is(await blame(70, 49), 'sub/g2.bin: expected 48 bytes, got more.');
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('manifests that cannot be', async () => {
  const other = 'net/model.json: expected modelTopology and weightsManifest of a TensorFlow.js model, got other JSON.';
  assert.is(await malformed(() => ({})), other);
  assert.is(await malformed((json) => ({ ...json, modelTopology: null })), other);
  assert.match(
    await malformed((json) => json.weightsManifest),
    /got a manifest of weights alone, as face-api\.js's are, /,
  );
  assert.is(await malformed((json) => ({ ...json, weightsManifest: {} })), other);
  assert.match(await malformed((json) => JSON.stringify(json).slice(0, -9)), /^net\/model\.json: expected JSON, got/);
  assert.is(
    await malformed((json) => ({ ...json, format: 'graph-model' })),
    'net/model.json: expected a layers-model, got a "graph-model".',
  );
  assert.match(await malformed((json) => ({ ...json, weightsManifest: [null] })), /weightsManifest\[0\]: expected/);
  for (const path of ['', '/etc/passwd', '../x', 'a/../../x', 'C:x', 'https://h/x', 'a\\..\\x', 'a\0', '\ud800', 7]) {
    const message = await malformed((json) => {
      json.weightsManifest[1]?.paths.push(path as string);
    });
    assert.match(message, /^net\/model\.json: weightsManifest: expected paths of files beside it, got /);
  }
});

/** [change of the first weight, message] */
const weights: [Partial<Record<keyof Weight, unknown>> | null, string | RegExp][] = [
  [{ name: 3 }, 'net/model.json: weightsManifest: expected weights {name, shape, dtype}, got an object.'],
  [{ dtype: 'int32' }, 'bn_conv1/gamma: only values of floating point can be read.'],
  [{ dtype: 'complex64' }, 'bn_conv1/gamma: expected dtype "float32", got "complex64".'],
  [{ dtype: undefined }, 'bn_conv1/gamma: expected dtype "float32", got undefined.'],
  [
    { quantization: { dtype: 'int4', scale: 1, min: 0 } },
    'bn_conv1/gamma: expected quantization to float16, uint8 or uint16, got "int4".',
  ],
  [
    { quantization: { dtype: 'uint8', scale: 1 } },
    'bn_conv1/gamma: expected a scale and a min of uint8, got 1 and undefined.',
  ],
  [{ shape: undefined }, 'bn_conv1/gamma: expected a shape of whole numbers from 0, got undefined.'],
  [{ shape: [-3] }, 'bn_conv1/gamma: expected a shape of whole numbers from 0, got [-3].'],
  [{ shape: [1e300] }, 'bn_conv1/gamma: expected a shape of whole numbers from 0, got [1e+300].'],
  [{ shape: [2 ** 52] }, 'bn_conv1/gamma: expected a shape of at most 2^53 bytes, got [4503599627370496].'],
  [{ shape: [2 ** 50, 3] }, /^bn_conv1\/gamma: expected a shape of at most 2\^53 bytes/],
  [{ name: 'bn_conv1/moving_variance' }, /^bn_conv1\.running_var: "bn_conv1.+ and "bn_conv1.+ are both this tensor\.$/],
  [{ name: 'conv1_bn/gamma' }, 'conv1_bn/gamma: the topology has no such layer.'],
  [{ name: 'fc1000/kernel', shape: [1, 2, 3] }, /^fc1000\/kernel: expected a kernel .+, got \[1, 2, 3\]\.$/],
  [{ name: 'fc1000/kernel', shape: [1] }, /^fc1000\/kernel: expected a kernel .+, got \[1\]\.$/],
  [{ name: 'fc1000/kernel', shape: [1, 1, 1, 1, 1] }, /^fc1000\/kernel: expected a kernel/],
  ...['bn_conv1', 'bn_conv1/delta', 'bn_conv1/toString', '/gamma', ''].map((name): [object, string] => [
    { name },
    `${name || '""'}: only variables called kernel, bias, gamma, beta, moving_mean or moving_variance can be read.`,
  ]),
];

for (const [change, message] of weights) {
  test(`a weight with ${JSON.stringify(change)}`, async () => {
    const got = await malformed((json) => {
      Object.assign(json.weightsManifest[0]?.weights[0] ?? {}, change);
    });
    if (typeof message === 'string') assert.is(got, message);
    else assert.match(got, message);
  });
}

test('more bytes than can be counted', async () => {
  const message = await malformed((json) => {
    for (const { weights } of json.weightsManifest)
      for (const w of weights) w.shape = w.shape.map((n, i) => (i ? n : 2 ** 48));
  });
  assert.match(message, /^net\/model\.json: expected at most 2\^53 bytes|^conv1\/kernel: expected a shape of at most/);
});

test('topologies that cannot be', async () => {
  const layers = (change: (list: Layer[]) => unknown) =>
    malformed((json) => {
      const { config } = json.modelTopology.model_config;
      config.layers = (change(config.layers) ?? config.layers) as Layer[];
    });
  const set = (i: number, config: object) => layers((list) => void Object.assign(list[i]?.config ?? {}, config));
  assert.match(
    await layers(() => 7),
    /^net\/model\.json: modelTopology: expected model_config\.config\.layers, got 7\.$/,
  );
  assert.match(await layers((list) => [...list, {}]), /^net\/model\.json: modelTopology: expected layer 3 to be/);
  assert.match(await layers((list) => [...list, list[0]]), /^conv1: two layers of the topology have this name\.$/);
  assert.is(await set(1, { epsilon: -1 }), 'bn_conv1: expected epsilon above 0, got -1.');
  assert.is(await set(1, { epsilon: '1e-3' }), 'bn_conv1: expected epsilon above 0, got "1e-3".');
  assert.is(await set(0, { use_bias: 1 }), 'conv1: expected use_bias to be true or false, got 1.');
  assert.is(
    await layers((list) => [
      ...list,
      { class_name: 'BatchNormalization', config: { name: 'bn2a_branch1', epsilon: 1e-5 } },
    ]),
    'bn2a_branch1: expected epsilon 0.001 as in bn_conv1, got 0.00001.',
  );
  assert.is(
    await layers((list) => [...list, { class_name: 'Conv2D', config: { name: 'res2a_branch1', use_bias: false } }]),
    'res2a_branch1: expected use_bias true as in conv1, got false.',
  );
});

test('a topology as TensorFlow.js itself saves it, and a Sequential one of old', async () => {
  const { config } = small().modelTopology.model_config;
  for (const modelTopology of [{ class_name: 'Model', config }, { model_config: { config: config.layers } }]) {
    await withFiles(smallFiles({}, { ...small(), modelTopology }), async () =>
      assert.equal(await readSmall(), expected),
    );
  }
});

test('abort in the middle of a shard: the reason, and the shard is closed', async () => {
  const reason = new Error('enough');
  await withFiles(smallFiles(), async () => {
    const controller = new AbortController();
    const file = await openWeights('net/model.json', { signal: controller.signal });
    const pieces = file.pieces();
    await pieces.next();
    controller.abort(reason);
    assert.is(await rejection(pieces.next()), reason);
    await new Promise((resolve) => setTimeout(resolve, 0));
  });
});

test('leaving the loop early closes the shard', async () => {
  await withFiles(smallFiles(), async () => {
    for await (const { tensor } of (await openWeights('net/model.json')).pieces())
      if (tensor.name === 'conv1.bias') break;
  });
});

test.run();
