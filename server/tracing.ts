/** OpenTelemetry spans, if the application has the package @opentelemetry/api and a provider in it. */

import type { IncomingHttpHeaders } from 'node:http';
import { optionalPeer } from './peer.js';
import type { Timing } from './pool.js';

/** The span of one request. */
export interface RequestSpan {
  /** Adds spans of what an answer took. */
  answered(timing: Timing): void;
  end(status: number, attributes: Readonly<Record<string, string | number>>): void;
}

export interface Tracer {
  /** Begins the span of a request, within the caller's trace if its headers tell of one. */
  begin(method: string, path: string, headers: IncomingHttpHeaders): RequestSpan;
}

/** Makes a tracer, or undefined if @opentelemetry/api is not installed. */
export async function openTracer(): Promise<Tracer | undefined> {
  const otel = await optionalPeer(() => import('@opentelemetry/api'));
  if (!otel) return undefined;
  const { context, propagation, trace, SpanKind, SpanStatusCode } = otel;
  return {
    begin(method, path, headers) {
      const tracer = trace.getTracer('resnet-wasm');
      const parent = propagation.extract(context.active(), headers);
      const attributes = { 'http.request.method': method, 'url.path': path };
      const span = tracer.startSpan(`${method} ${path}`, { kind: SpanKind.SERVER, attributes }, parent);
      const within = trace.setSpan(parent, span);
      return {
        answered({ opening, opened, begun, done, batch }) {
          tracer.startSpan('decode', { startTime: opening }, within).end(opened);
          const run = { startTime: begun, attributes: { 'resnet_wasm.batch': batch } };
          tracer.startSpan('run', run, within).end(done);
        },
        end(status, more) {
          span.setAttributes({ ...more, 'http.response.status_code': status });
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
  };
}
