/** Serves the handler: node server.js. NETWORK, WEIGHTS and PORT are read from the environment. */

import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { createHandler } from './handler.js';

const { NETWORK = 'resnet50', WEIGHTS, PORT = '8080' } = process.env;
const handle = await createHandler(NETWORK, { weights: WEIGHTS });

function requestOf(incoming) {
  const { method, url, headers } = incoming;
  const body = method === 'GET' || method === 'HEAD' ? undefined : Readable.toWeb(incoming);
  return new Request(`http://localhost${url}`, { method, headers, body, duplex: 'half' });
}

const server = createServer(async (incoming, outgoing) => {
  try {
    const response = await handle(requestOf(incoming));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  } catch (error) {
    // A request that breaks off, or that is none.
    console.error(error.message);
    outgoing.writeHead(400).end();
  }
});

server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://localhost:${server.address().port}/`));
