/** `batch`: pictures by the million, over a queue in Redis that any number of machines work on. */

import { createServer } from 'node:http';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Metrics, openMetrics } from '../server/metrics.js';
import { ModelPool } from '../server/pool.js';
import { collect } from './batch/collect.js';
import { openQueue, type QueueFlags, type Task } from './batch/queue.js';
import { type Status, statusOf } from './batch/status.js';
import { submit } from './batch/submit.js';
import { work } from './batch/work.js';
import { isModelGiven, needWeights } from './load-model.js';
import {
  type ClassFlags,
  checkMean,
  classOptions,
  type ModelFlags,
  type PictureFlags,
  pictureOptions,
  port,
  positive,
  pretrainedOrNetwork,
} from './options.js';
import { checkOutput } from './output.js';
import { showPictures, timeText } from './progress.js';
import { replicaOpener, replicaOptions } from './replicas.js';
import { isStdin } from './stdin.js';
import { bar, digits, isTerminal, threadsText } from './text.js';

const NOTES = `
Examples, each command on any machine that reaches the Redis and the pictures:
  resnet-wasm batch submit /data/photos --queue redis://queue.local
  resnet-wasm batch work --queue redis://queue.local --model resnet50
  resnet-wasm batch status --queue redis://queue.local
  resnet-wasm batch collect --out results.ndjson --follow --queue redis://queue.local
  resnet-wasm batch retry --queue redis://queue.local

Needs the packages bullmq and ioredis (npm install bullmq ioredis), and a Redis or Valkey from 6.2 on, which must not drop
keys (maxmemory-policy noeviction) and should keep them (appendonly yes). docs/scale.md goes through it step by step.
Whoever can write to the Redis can have workers read any file and URL: give it a password, and no open port.`;

const SUBMIT_NOTES = `
A source is a picture, a folder, a glob in quotes, a .tar archive, a .txt or .lst file that lists sources (or - for stdin),
or a URL. Paths are made absolute: workers find the pictures by the same paths. Submitting the same again adds nothing.`;

const WORK_NOTES = `
Ctrl-C or SIGTERM finishes the jobs at hand. A worker that is killed loses nothing: others take its jobs over.
A picture that cannot be read is a result with its sentence; what may pass (a file or server that is away) is tried again.`;

const COLLECT_NOTES = `
Each picture is one line of JSON: {"image", "task", "model", "topK"}, {..., "embedding"} or {"image", "task", "error"}.
The file may be there already, from an earlier collect that was stopped or killed: it goes on.`;

/** Adds the options that say where a queue is. */
const ofQueue = (command: Command): Command =>
  command
    .addOption(new Option('--queue <url>', 'the Redis').env('REDIS_URL').default('redis://127.0.0.1:6379'))
    .addOption(
      new Option('--name <name>', 'the queue, if there are several').default('pictures').argParser((text) => {
        if (/^[\w.-]+$/.test(text)) return text;
        throw new InvalidArgumentError('Expected letters, digits, dots and dashes.');
      }),
    );

const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface SubmitFlags extends QueueFlags {
  readonly task: Task['kind'];
  readonly topK: number;
  readonly normalize?: boolean;
  readonly maxJobs: number;
}

const submitCommand = (signal: AbortSignal): Command =>
  ofQueue(new Command('submit').description('Put pictures into the queue').argument('<sources...>'))
    .addOption(new Option('--task <name>', 'what is wanted').choices(['classify', 'embed']).default('classify'))
    .option('--top-k <n>', 'classes per picture', positive, 5)
    .option('--normalize', 'divide embeddings by their Euclidean norm')
    .option(
      '--max-jobs <n>',
      'jobs, of 31 pictures on average, that may wait before this command does',
      positive,
      10_000,
    )
    .addHelpText('after', SUBMIT_NOTES)
    .action(async (sources: string[], flags: SubmitFlags) => {
      const { task: kind, topK, normalize = false, maxJobs } = flags;
      const task: Task = kind === 'embed' ? { kind, normalise: normalize } : { kind, topK };
      await using connection = await openQueue(flags);
      const onWaiting = (jobs: number): void =>
        say(`${digits(jobs)} jobs wait already; submitting goes on as they are done`);
      const { pictures, jobs, known } = await submit(connection, sources, { task, maxJobs, signal, onWaiting });
      if (jobs + known === 0) throw new Error(`${sources.join(', ')}: expected pictures, got none.`);
      const before = known > 0 ? `; ${digits(known)} jobs were submitted before` : '';
      say(`${digits(pictures)} pictures in ${digits(jobs)} jobs submitted${before}`);
    });

interface WorkFlags extends QueueFlags, ModelFlags, PictureFlags, ClassFlags {
  readonly workers?: number;
  readonly concurrency?: number;
  readonly takeover: number;
  readonly metricsPort?: number;
}

/** Serves metrics on a port. Rejects with one sentence if it is in use. */
async function serveMetrics(metrics: Metrics, port: number) {
  const server = createServer(async (_, response) => {
    const { type, text } = await metrics.render();
    response.setHeader('content-type', type).end(text);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const why = code === 'EADDRINUSE' ? 'this port is in use' : message;
      reject(new Error(`--metrics-port ${port}: ${why}.`));
    });
    server.listen(port, resolve);
  });
  return server;
}

async function runWorker(flags: WorkFlags, isGiven: boolean, signal: AbortSignal): Promise<void> {
  const { model: name, weights, workers = availableParallelism(), maxPixels, takeover, metricsPort } = flags;
  // While one job ends, the models have pictures of the next.
  const { concurrency = Math.max(2, Math.ceil(workers / 8)) } = flags;
  const model = weights === undefined ? name : basename(weights);
  await using connection = await openQueue(flags);
  let pool: ModelPool | undefined;
  const metrics = await openMetrics({ queued: () => ({ [model]: pool?.queued ?? 0 }) });
  if (metricsPort !== undefined && !metrics)
    throw new Error('Metrics need the package prom-client: npm install prom-client.');
  const server = metrics && metricsPort !== undefined ? await serveMetrics(metrics, metricsPort) : undefined;
  try {
    const open = replicaOpener(flags, isGiven, signal);
    pool = await ModelPool.open({ open, workers, maxBatch: 8, windowMs: 0 });
    say(`working on ${flags.name} with ${model}: ${pool.workers} × ${threadsText(pool.model.info().threads)}`);
    await work(connection, {
      ...{ pool, model, concurrency, maxPixels, signal, takeoverSeconds: takeover },
      onAnswer: ({ timing }) => metrics?.answered(model, timing),
      onFailure: () => metrics?.failed(model),
      onMessage: say,
    });
    // The jobs at hand are done: that is no failure.
    process.exitCode = 0;
  } finally {
    pool?.close();
    server?.close();
  }
}

function workCommand(signal: AbortSignal): Command {
  const command = ofQueue(new Command('work').description('Answer the jobs of the queue until Ctrl-C'))
    .option('--model <name>', 'network, or its weights by name', pretrainedOrNetwork, 'resnet50')
    .option('--workers <n>', 'models that run beside each other (default: one per core)', positive)
    .option('--concurrency <n>', 'jobs at a time (default: 2, or one per 8 workers if that is more)', positive)
    .option('--takeover <seconds>', 'how long a worker may be silent before others take its jobs', positive, 30)
    .option('--metrics-port <n>', 'serve numbers for Prometheus at this port (with the package prom-client)', port);
  for (const option of [...replicaOptions(), ...pictureOptions(), ...classOptions()]) command.addOption(option);
  return command.addHelpText('after', WORK_NOTES).action(async (flags: WorkFlags) => {
    needWeights(command, flags);
    checkMean(command, flags);
    if (flags.weights !== undefined && isStdin(flags.weights)) {
      command.error("error: option '--weights <file>' takes a file or URL here, since each worker reads it", {
        exitCode: 2,
      });
    }
    await runWorker(flags, isModelGiven(command), signal);
  });
}

/** The lines of a status. On a terminal the first has a bar. */
function statusText(name: string, status: Status): string {
  const { pictures, done, failed, picturesPerSecond, secondsLeft, jobs, uncollected, reasons } = status;
  const part = pictures > 0 ? done / pictures : 0;
  const drawn = isTerminal(process.stdout) ? `${bar(part, 30).padEnd(30, '░')} ` : '';
  const left = secondsLeft === undefined || done === pictures ? '' : `, ${timeText(secondsLeft)} left`;
  const of = `${digits(done)} of ${digits(pictures)} pictures (${Math.floor(100 * part)} %)`;
  return [
    `${name}  ${drawn}${of}, ${picturesPerSecond.toFixed(1)} pictures/s${left}`,
    `jobs: ${jobs.waiting} waiting, ${jobs.active} running, ${jobs.delayed} to try again, ${jobs.failed} failed`,
    `pictures that cannot be answered: ${digits(failed)}; jobs to collect: ${digits(uncollected)}`,
    ...reasons.map((reason) => `  ${reason}`),
    ...(jobs.failed > 0 ? ['resnet-wasm batch retry tries failed jobs again'] : []),
    '',
  ].join('\n');
}

interface StatusFlags extends QueueFlags {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const statusCommand = (signal: AbortSignal): Command =>
  ofQueue(new Command('status').description('Show how far the queue is'))
    .option('--json', 'print JSON')
    .option('--watch', 'show it every second until all is done')
    .action(async (flags: StatusFlags) => {
      const { name, json = false, watch = false } = flags;
      await using connection = await openQueue(flags);
      for (;;) {
        const status = await statusOf(connection);
        process.stdout.write(json ? `${JSON.stringify(status)}\n` : statusText(name, status));
        if (!watch || status.done === status.pictures) return;
        await delay(1000, undefined, { signal });
      }
    });

interface CollectFlags extends QueueFlags {
  readonly out: string;
  readonly follow?: boolean;
}

const collectCommand = (signal: AbortSignal): Command =>
  ofQueue(new Command('collect').description('Take results out of the queue into a file of JSON lines'))
    .requiredOption('--out <file>', 'file to write, or to go on with')
    .option('--follow', 'go on until all that was submitted is done')
    .addHelpText('after', COLLECT_NOTES)
    .action(async (flags: CollectFlags) => {
      const { out, follow = false } = flags;
      await checkOutput(out, '--out');
      await using connection = await openQueue(flags);
      const { pictures: total } = await statusOf(connection);
      const view = showPictures(total);
      const { lines, added } = await collect(connection, { out, follow, signal, onProgress: view.update }).finally(
        view.stop,
      );
      const { pictures, jobs } = await statusOf(connection);
      say(`${digits(added)} pictures collected; ${out} has ${digits(lines)} of ${digits(pictures)}`);
      if (jobs.failed > 0) throw new Error(`${jobs.failed} jobs failed: resnet-wasm batch retry tries them again.`);
    });

const retryCommand = (): Command =>
  ofQueue(new Command('retry').description('Try failed jobs again')).action(async (flags: QueueFlags) => {
    await using connection = await openQueue(flags);
    const { queue } = connection;
    const failed = await queue.getFailedCount();
    if (failed > 0) await queue.retryJobs({ state: 'failed' });
    say(`${digits(failed)} jobs are tried again`);
  });

export function batchCommand(signal: AbortSignal): Command {
  const command = new Command('batch').description('Classify or embed pictures by the million, over a queue in Redis');
  const commands = [
    submitCommand(signal),
    workCommand(signal),
    statusCommand(signal),
    collectCommand(signal),
    retryCommand(),
  ];
  for (const each of commands) command.addCommand(each);
  return command.addHelpText('after', NOTES);
}
