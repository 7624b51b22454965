/** A handler of the fetch kind, which Node (see server.js), Deno, Bun and frameworks such as Hono can run. */

import { load } from 'resnet-wasm';

const MOST_BYTES = 20e6;

const failure = (status, error, headers) => Response.json({ error }, { status, headers });

/** The body of a request, or undefined if it is larger than a picture should be. */
async function bodyOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return new Blob(chunks);
}

/** Loads a model; the handler answers a POSTed picture with the model's five most probable classes. */
export async function createHandler(network, options) {
  const model = await load(network, options);
  return async (request) => {
    if (request.method !== 'POST') return failure(405, 'POST a picture.', { allow: 'POST' });
    const picture = await bodyOf(request);
    if (!picture) return failure(413, `A picture has at most ${MOST_BYTES} bytes here.`);
    try {
      return Response.json({ network: model.name, classes: await model.classify(picture, { topK: 5 }) });
    } catch (error) {
      return failure(400, error.message);
    }
  };
}
