/** The server as its callers see it: answers, refusals in one sentence, limits, metrics, spans, the end. */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { load, type Model, seededInput } from '../../bindings/index.node.js';
import { type LogEntry, type RunningServer, type ServeOptions, serve } from '../../server/index.js';
import { near } from '../support/near.js';
import { rejection } from '../support/weight-files.js';

const NAME = 'resnet20_cifar';
const open = (): Promise<Model> => load(NAME, { weights: { seed: 3 }, threads: 1, worker: true });
const photo = await readFile('tests/data/photos/chelsea.jpg');
const JPEG = { 'content-type': 'image/jpeg' };
const JSON_TYPE = { 'content-type': 'application/json' };

interface Context {
  server: RunningServer;
  model: Model;
  url: string;
  log: LogEntry[];
}

/** Serves with options for the time of `use`. */
async function withServer(options: Partial<ServeOptions>, use: (url: string, server: RunningServer) => Promise<void>) {
  const server = await serve({ models: { [NAME]: open }, workers: 1, port: 0, ...options });
  try {
    await use(`http://127.0.0.1:${server.port}`, server);
  } finally {
    await server.close(0);
  }
}

const test = suite<Context>('server');

test.before(async (context) => {
  context.log = [];
  context.server = await serve({
    models: { [NAME]: open },
    workers: 2,
    port: 0,
    log: (entry) => context.log.push(entry),
  });
  context.url = `http://127.0.0.1:${context.server.port}`;
  context.model = await load(NAME, { weights: { seed: 3 }, threads: 1 });
});

test.after(async ({ server, model }) => {
  await server.close();
  model.dispose();
});

async function post(url: string, body: BodyInit, headers: Record<string, string>) {
  const response = await fetch(url, { method: 'POST', body, headers });
  return { status: response.status, headers: response.headers, json: await response.json() };
}
const postJson = (url: string, value: unknown) => post(url, JSON.stringify(value), JSON_TYPE);

test('a picture as bytes or base64 gets the classes that the model gives it', async ({ url, model }) => {
  const expected = (await model.classify(photo, { topK: 3 })).map(({ index, probability }) => ({
    label: `LABEL_${index}`,
    score: probability,
  }));
  const path = `${url}/models/${NAME}`;
  const raw = await post(path, photo, JPEG);
  assert.equal([raw.status, raw.json.length, raw.json.slice(0, 3)], [200, 5, expected]);
  const inputs = photo.toString('base64');
  const coded = await postJson(path, { inputs, parameters: { top_k: 3 } });
  assert.equal([coded.status, coded.json], [200, expected]);
  const dataUrl = await postJson(path, { inputs: `data:image/jpeg;base64,${inputs}`, parameters: { top_k: 1 } });
  assert.equal(dataUrl.json, expected.slice(0, 1));
});

test('embeddings are those of the model, normalised if asked for', async ({ url, model }) => {
  const plain = Array.from(await model.embed(photo));
  const unit = Array.from(await model.embed(photo, { normalise: true }));
  assert.equal((await post(`${url}/embed`, photo, JPEG)).json, [plain]);
  const inputs = photo.toString('base64');
  assert.equal((await postJson(`${url}/embed`, { inputs: [inputs, inputs], normalize: true })).json, [unit, unit]);
  assert.is((await post(`${url}/embed?model=none`, photo, JPEG)).status, 404);
});

test('the Open Inference Protocol takes tensors and pictures', async ({ url, model }) => {
  const path = `${url}/v2/models/${NAME}`;
  const about = await (await fetch(path)).json();
  assert.equal(about.inputs, [{ name: 'input', datatype: 'FP32', shape: [-1, 3, 32, 32] }]);
  assert.equal(about.outputs, [{ name: 'output', datatype: 'FP32', shape: [-1, 10] }]);
  assert.equal(await (await fetch(`${url}/v2`)).json(), {
    name: 'resnet-wasm',
    version: model.info().version,
    extensions: ['classification'],
  });
  for (const health of ['health/live', 'health/ready', `models/${NAME}/ready`, `models/${NAME}/versions/1/ready`]) {
    assert.is((await fetch(`${url}/v2/${health}`)).status, 200, health);
  }

  const shape = [3, 3, 32, 32];
  const data = seededInput(shape);
  const tensor = { name: 'input', datatype: 'FP32', shape, data: Array.from(data) };
  const { status, json } = await postJson(`${path}/infer`, { id: '7', inputs: [tensor] });
  const { data: logits } = await model.run({ data, shape, layout: 'NCHW' });
  assert.equal([status, json.id, json.model_version, json.outputs[0].shape], [200, '7', '1', [3, 10]]);
  logits.forEach((value, i) => {
    near(json.outputs[0].data[i], value, 1e-5, `logit ${i}`);
  });
  const nested = { ...tensor, shape: [1, 3, 32, 32], data: [[[Array.from(data.subarray(0, 3072))]]] };
  near(
    (await postJson(`${path}/infer`, { inputs: [nested] })).json.outputs[0].data[0],
    logits[0] as number,
    1e-5,
    'nested',
  );

  const pictures = {
    name: 'input',
    datatype: 'BYTES',
    shape: [2],
    data: [photo, photo].map((p) => p.toString('base64')),
  };
  const wanted = { inputs: [pictures], outputs: [{ name: 'output', parameters: { classification: 2 } }] };
  const [best] = await model.classify(photo);
  const [output] = (await postJson(`${path}/versions/1/infer`, wanted)).json.outputs;
  assert.equal([output.datatype, output.shape], ['BYTES', [2, 2]]);
  for (const i of [0, 2]) assert.is(output.data[i].split(':')[1], String(best?.index));
});

test('what is wrong with a request is one sentence and its status', async ({ url }) => {
  const path = `/models/${NAME}`;
  const infer = `/v2/models/${NAME}/infer`;
  const tensor = { name: 'input', datatype: 'FP32', shape: [1, 3, 32, 32], data: [1, 2] };
  const cut = photo.subarray(0, 5000);
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
  const inputs = photo.toString('base64');
  const cases: readonly (readonly [string, BodyInit, Record<string, string>, number, RegExp])[] = [
    [path, '{', JSON_TYPE, 400, /^body: expected JSON/],
    [path, '[]', JSON_TYPE, 400, /^body: expected a JSON object/],
    [path, '{}', JSON_TYPE, 400, /^inputs: expected a picture in base64, got no text\.$/],
    [path, '{"inputs": "!"}', JSON_TYPE, 400, /^inputs: expected a picture in base64/],
    [path, '{"inputs": "/etc/passwd"}', JSON_TYPE, 415, /^inputs: expected JPEG/],
    [path, '{"inputs": "file:///etc/passwd"}', JSON_TYPE, 400, /got a URL, which this server does not fetch\.$/],
    [path, '{"inputs": "http://127.0.0.1/"}', JSON_TYPE, 400, /got a URL, which this server does not fetch\.$/],
    [path, JSON.stringify({ inputs, parameters: { top_k: 0 } }), JSON_TYPE, 400, /^parameters\.top_k: /],
    [
      path,
      JSON.stringify({ inputs, parameters: { topk: 1 } }),
      JSON_TYPE,
      400,
      /^parameters: expected top_k, got topk\.$/,
    ],
    [path, '', JPEG, 400, /^body: expected a picture, got nothing\.$/],
    [path, 'a picture', JPEG, 415, /^body: expected JPEG, PNG, WebP, GIF, AVIF or TIFF, got another format\.$/],
    [path, svg, { 'content-type': 'image/svg+xml' }, 415, /^body: expected JPEG/],
    [path, photo, { 'content-type': 'text/html' }, 415, /^content-type: expected image\/\* or application\/json/],
    [path, cut, JPEG, 422, /^image: expected a picture, got /],
    [path, Buffer.alloc(11 * 2 ** 20), JPEG, 413, /^body: expected at most 10485760 bytes, got more\.$/],
    ['/models/none', photo, JPEG, 404, /^model: expected one of resnet20_cifar, got none\.$/],
    ['/nothing', photo, JPEG, 404, /^There is no such path\.$/],
    ['/v2/health/live', photo, JPEG, 405, /^expected GET/],
    ['/embed', '{"inputs": []}', JSON_TYPE, 400, /^inputs: expected 1 to 64 pictures, got 0\.$/],
    ['/embed', '{"inputs": [1]}', JSON_TYPE, 400, /^inputs: expected a picture in base64, got no text\.$/],
    [infer, '{}', JSON_TYPE, 400, /^inputs: expected a list of tensors/],
    [infer, '{"inputs": []}', JSON_TYPE, 400, /^inputs: expected input, got none\.$/],
    [infer, JSON.stringify({ inputs: [tensor] }), JSON_TYPE, 400, /^input: expected 3072 numbers, got 2 values\.$/],
    [
      infer,
      JSON.stringify({ inputs: [{ ...tensor, shape: [1, 32, 32, 3] }] }),
      JSON_TYPE,
      400,
      /^input: expected the shape/,
    ],
    [
      infer,
      JSON.stringify({ inputs: [{ ...tensor, shape: [1e9, 3, 32, 32] }] }),
      JSON_TYPE,
      400,
      /expected 1 to 64 images/,
    ],
    [
      infer,
      JSON.stringify({ inputs: [{ ...tensor, datatype: 'INT8' }] }),
      JSON_TYPE,
      400,
      /^input: expected the datatype/,
    ],
    [
      infer,
      JSON.stringify({ inputs: [tensor], outputs: [{ name: 'x' }] }),
      JSON_TYPE,
      400,
      /^outputs: expected output/,
    ],
    [
      infer,
      JSON.stringify({ inputs: [{ ...tensor, data: Array(3072).fill(3e38) }] }),
      JSON_TYPE,
      422,
      /^resnet20_cifar: values are not finite/,
    ],
  ];
  for (const [where, body, headers, status, sentence] of cases) {
    const answer = await post(url + where, body, headers);
    const what = `${where} ${String(body).slice(0, 40)}`;
    assert.is(answer.status, status, `${what}: ${answer.json.error}`);
    assert.match(answer.json.error, sentence, what);
  }
  // It still answers.
  assert.is((await post(url + path, photo, JPEG)).status, 200);
});

test('a picture of too many pixels is refused before it is decoded', () =>
  withServer({ maxPixels: 100_000 }, async (url) => {
    const raw = { width: 500, height: 400, channels: 3 } as const;
    const png = await sharp(Buffer.alloc(600_000), { raw }).png().toBuffer();
    const { status, json } = await post(`${url}/models/${NAME}`, new Uint8Array(png), JPEG);
    assert.is(status, 413);
    assert.match(json.error, /^image: expected a picture of at most 100000 pixels, got 500x400\.$/);
  }));

test('a full queue answers 429 and when to come again, and what was accepted is answered', () =>
  withServer({ maxQueue: 2 }, async (url) => {
    const inputs = Array.from({ length: 40 }, () => post(`${url}/models/${NAME}`, photo, JPEG));
    const answers = await Promise.all(inputs);
    const count = (code: number) => answers.filter(({ status }) => status === code).length;
    assert.ok(count(200) > 0 && count(429) > 0, `${count(200)} and ${count(429)}`);
    assert.is(count(200) + count(429), 40);
    const refused = answers.find(({ status }) => status === 429);
    assert.match(refused?.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    assert.match(refused?.json.error, /^resnet20_cifar: the queue is full; try again in \d+ s\.$/);
  }));

test('a body that does not come is cut off, as is one that stops', () =>
  withServer({ timeoutMs: 500 }, async (url, { port }) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `POST /models/${NAME} HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 1000\r\n\r\nabc`,
    );
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    await once(socket, 'close');
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /body: expected all of it within 0\.5 s\./);

    const gone = connect(port, '127.0.0.1');
    gone.write(
      `POST /models/${NAME} HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 1000\r\n\r\nabc`,
    );
    await delay(50);
    gone.destroy();
    assert.is((await post(`${url}/models/${NAME}`, photo, JPEG)).status, 200);
  }));

test('metrics count requests, pictures and times', async ({ url }) => {
  await post(`${url}/models/${NAME}`, photo, JPEG);
  const text = await (await fetch(`${url}/metrics`)).text();
  for (const line of [
    /^resnet_wasm_requests_total\{route="\/models\/:model",model="resnet20_cifar",status="200"\} [1-9]/m,
    /^resnet_wasm_errors_total\{.*status="415"\} [1-9]/m,
    /^resnet_wasm_images_total\{model="resnet20_cifar"\} [1-9]/m,
    /^resnet_wasm_queue_length\{model="resnet20_cifar"\} 0$/m,
    /^resnet_wasm_decode_seconds_count\{model="resnet20_cifar"\} [1-9]/m,
    /^resnet_wasm_run_seconds_bucket\{le="10",model="resnet20_cifar"\} [1-9]/m,
    /^process_resident_memory_bytes \d/m,
  ]) {
    assert.match(text, line);
  }
  assert.not.match(text, /model="none".*status="200"/);
});

test('requests are spans of the trace that their headers name', async ({ url }) => {
  const { trace, propagation, ROOT_CONTEXT } = await import('@opentelemetry/api');
  const spans: { name: string; parent: unknown; attributes: Record<string, unknown> }[] = [];
  const key = Symbol('parent');
  const tracer = {
    startSpan(name: string, _: unknown, within: typeof ROOT_CONTEXT) {
      const span = { name, parent: within.getValue(key) ?? trace.getSpan(within), attributes: {} };
      spans.push(span);
      return {
        setAttributes: (more: object) => Object.assign(span.attributes, more),
        setStatus() {},
        end() {},
        name,
      };
    },
  };
  trace.setGlobalTracerProvider({ getTracer: () => tracer } as never);
  propagation.setGlobalPropagator({
    extract: (context: typeof ROOT_CONTEXT, { traceparent }: { traceparent?: string }) =>
      context.setValue(key, traceparent),
    inject() {},
    fields: () => [],
  } as never);
  await post(`${url}/models/${NAME}`, photo, { ...JPEG, traceparent: '00-1-2-01' });
  trace.disable();
  propagation.disable();
  assert.equal(
    spans.map(({ name }) => name),
    [`POST /models/${NAME}`, 'decode', 'run'],
  );
  assert.is(spans[0]?.parent, '00-1-2-01');
  assert.is(spans[0]?.attributes['http.response.status_code'], 200);
});

test('the log has a line per request', async ({ url, log }) => {
  log.length = 0;
  await post(`${url}/models/${NAME}`, 'a picture', JPEG);
  const [{ time, ms, ...line }] = log as [LogEntry];
  assert.ok(!Number.isNaN(Date.parse(time)) && typeof ms === 'number');
  assert.equal(line, {
    level: 'info',
    message: 'request',
    method: 'POST',
    path: `/models/${NAME}`,
    status: 415,
    model: NAME,
    error: 'body: expected JPEG, PNG, WebP, GIF, AVIF or TIFF, got another format.',
  });
});

test('what was accepted is answered before the end, and nothing after', async () => {
  const server = await serve({ models: { [NAME]: open }, workers: 1, port: 0 });
  const url = `http://127.0.0.1:${server.port}`;
  const asked = Array.from({ length: 20 }, () =>
    post(`${url}/models/${NAME}`, photo, JPEG).then(
      ({ status }) => status,
      // Its connection waited to be accepted.
      (reason: Error) => (reason.cause as NodeJS.ErrnoException).code,
    ),
  );
  await Promise.race(asked);
  await server.close();
  const statuses = await Promise.all(asked);
  assert.ok(
    statuses.every((status) => [200, 503, 'ECONNREFUSED', 'ECONNRESET'].includes(status as number)),
    statuses.join(),
  );
  assert.ok(statuses.includes(200));
  assert.ok((await rejection(fetch(`${url}/v2/health/live`))) instanceof TypeError);
});

test('a worker that dies is replaced, and its request is answered', async () => {
  const opened: Model[] = [];
  const models = {
    [NAME]: async () => {
      opened.push(await open());
      return opened.at(-1) as Model;
    },
  };
  await withServer({ models }, async (url) => {
    const [first] = opened as [Model];
    const { ResnetError } = await import('../../bindings/index.node.js');
    const died = new ResnetError('worker', 'The worker ended without a response.');
    Object.assign(first, { classify: () => Promise.reject(died) });
    assert.is((await post(`${url}/models/${NAME}`, photo, JPEG)).status, 200);
    assert.is(opened.length, 2);
  });
});

test('a port in use, wrong options and a model that does not load are one sentence', async ({ server }) => {
  const models = { [NAME]: open };
  const said = async (options: ServeOptions): Promise<string> => ((await rejection(serve(options))) as Error).message;
  assert.is(await said({ models, port: server.port }), `127.0.0.1:${server.port}: this port is in use.`);
  assert.match(await said({ models, workers: 0, port: 0 }), /^workers: expected a whole number from 1/);
  assert.is(await said({ models: {} }), 'models: expected one or more, got none.');
  const broken = () => load(NAME, { weights: 'none.safetensors', worker: true });
  assert.is(await said({ models: { [NAME]: broken }, port: 0 }), 'none.safetensors: no such file.');
});

test.run();
