/** The routes, and what each request has in common: time limit, errors as JSON, metrics, spans, a line of the log. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { CLIENT_GONE, HttpError, httpErrorOf } from './http-error.js';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';
import { infer, metadataOf, VERSION } from './open-inference.js';
import { classifyPicture, embedPictures } from './pictures.js';
import type { Call, Service } from './service.js';
import type { Tracer } from './tracing.js';

export interface AppOptions {
  readonly service: Service;
  readonly timeoutMs: number;
  readonly metrics: Metrics | undefined;
  readonly tracer: Tracer | undefined;
  readonly log: Log;
  /** Whether the server takes no more work. */
  readonly isDraining: () => boolean;
}

type App = Hono<{ Bindings: HttpBindings }>;
type AppContext = Context<{ Bindings: HttpBindings }>;
type Work = (call: Call, model: string) => Promise<unknown>;

/** Aborts when the caller closes the connection before the answer, or when the time is up. */
function callSignal(incoming: IncomingMessage, outgoing: ServerResponse, timeoutMs: number) {
  const controller = new AbortController();
  const late = (): void => {
    const message = `The answer took longer than ${timeoutMs / 1000} s.`;
    controller.abort(
      incoming.complete
        ? new HttpError(504, message)
        : new HttpError(408, `body: expected all of it within ${timeoutMs / 1000} s.`, { connection: 'close' }),
    );
  };
  const gone = (): void => {
    if (!outgoing.writableFinished) controller.abort(new HttpError(CLIENT_GONE, 'The caller closed the connection.'));
  };
  const timer = setTimeout(late, timeoutMs);
  outgoing.once('close', gone);
  const end = (): void => {
    clearTimeout(timer);
    outgoing.off('close', gone);
  };
  return { signal: controller.signal, end };
}

/** Adds the routes to `app`. */
export function addRoutes(app: App, options: AppOptions): void {
  const { service, timeoutMs, metrics, tracer, log, isDraining } = options;

  const answered = async (context: AppContext, route: string, model: string, work: Work): Promise<Response> => {
    const { incoming, outgoing } = context.env;
    const { method, path } = context.req;
    const start = performance.now();
    const { signal, end } = callSignal(incoming as IncomingMessage, outgoing as ServerResponse, timeoutMs);
    const span = tracer?.begin(method, path, incoming.headers);
    const batches: number[] = [];
    const call: Call = {
      incoming: incoming as IncomingMessage,
      signal,
      answered(name, { timing }) {
        batches.push(timing.batch);
        metrics?.answered(name, timing);
        span?.answered(timing);
      },
    };
    let status = 200;
    let response: Response;
    let error: string | undefined;
    try {
      if (isDraining()) throw new HttpError(503, 'The server is shutting down.', { connection: 'close' });
      response = context.json((await work(call, model)) as object);
    } catch (reason) {
      const { status: code, message, headers } = httpErrorOf(reason);
      status = code;
      error = status >= 500 && reason instanceof Error ? reason.message : message;
      const sent = status === CLIENT_GONE ? 400 : status;
      response = context.json({ error: message }, sent as ContentfulStatusCode, { ...headers });
    }
    end();
    // A connection that is kept would hold the end of the server.
    if (isDraining()) response.headers.set('connection', 'close');
    const ms = performance.now() - start;
    // A name that is none would make a series of its own.
    const known = service.pools.has(model) ? model : 'none';
    metrics?.requested(route, known, status, ms / 1000);
    span?.end(status, { 'http.route': route });
    const level = status >= 500 ? 'error' : 'info';
    const more = { method, path, status, ms: Math.round(10 * ms) / 10, model: known, ...(error && { error }) };
    log(level, 'request', { ...more, ...(batches.length > 0 && { batch: Math.max(...batches) }) });
    return response;
  };

  const modelIn = (context: AppContext): string => context.req.param('model') ?? '';
  const route = (path: string, modelOf: (context: AppContext) => string, work: Work): void => {
    app.post(path, (context) => answered(context, path.replace(/\{.+\}$/, ''), modelOf(context), work));
  };
  route('/models/:model{.+}', modelIn, (call, model) => classifyPicture(service, call, model));
  route(
    '/embed',
    (context) => context.req.query('model') ?? service.defaultModel,
    (call, model) => embedPictures(service, call, model),
  );
  for (const path of ['/v2/models/:model', `/v2/models/:model/versions/${VERSION}`]) {
    route(`${path}/infer`, modelIn, (call, model) => infer(service, call, model));
    app.get(path, (context) => context.json(metadataOf(modelIn(context), service.pool(modelIn(context)).model)));
    app.get(`${path}/ready`, (context) => {
      service.pool(modelIn(context));
      return context.json({ ready: true });
    });
  }
  app.get('/v2', (context) =>
    context.json({ name: 'resnet-wasm', version: service.version, extensions: ['classification'] }),
  );
  app.get('/v2/health/live', (context) => context.json({ live: true }));
  app.get('/v2/health/ready', (context) => {
    const ready = service.isReady && !isDraining();
    return context.json({ ready }, ready ? 200 : 503);
  });
  app.get('/metrics', async (context) => {
    if (!metrics) throw new HttpError(501, 'Metrics need the package prom-client: npm install prom-client.');
    const { type, text } = await metrics.render();
    return context.body(text, 200, { 'content-type': type });
  });

  const methods = new Map(app.routes.map(({ path, method }) => [path, method]));
  for (const [path, method] of methods) {
    app.all(path, () => {
      throw new HttpError(405, `expected ${method}, got another method.`, { allow: method });
    });
  }
  app.notFound((context) => context.json({ error: 'There is no such path.' }, 404));
  app.onError((reason, context) => {
    const { status, message, headers } = httpErrorOf(reason);
    if (status >= 500) log('error', 'failure', { path: context.req.path, error: reason.message });
    return context.json({ error: message }, status as ContentfulStatusCode, { ...headers });
  });
}
