import jpegWasm from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import decodeJpeg, { init } from '@jsquash/jpeg/decode.js';
import { load } from 'resnet-wasm';

/** The model, which all requests of this Worker share. */
let model;

/** Loads the weights in public/. */
async function start(env, base) {
  await init(jpegWasm);
  return load('resnet18', { weights: await env.ASSETS.fetch(new URL('/resnet18.safetensors', base)) });
}

export default {
  async fetch(request, env) {
    if (request.method !== 'POST') return new Response('POST a JPEG.', { status: 405, headers: { allow: 'POST' } });
    model ??= start(env, request.url);
    const loaded = await model;
    try {
      const pixels = await decodeJpeg(await request.arrayBuffer());
      const [best] = await loaded.classify(pixels, { topK: 1 });
      const { threads, binary, memoryBytes } = loaded.info();
      return Response.json({ ...best, threads, binary, memoryBytes });
    } catch (error) {
      return Response.json({ error: error.message }, { status: 400 });
    }
  },
};
