import { type SpawnOptions, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { summary } from '../../bindings/compile/summary.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { seededInput } from '../../bindings/weights/uniform.js';
import { decodeNpy, encodeNpy } from '../../cli/npy.js';
import { summaryTable } from '../../cli/summary.js';
import { buildNetwork, networkNames } from '../../models/index.js';

/** What the package's bin runs: npm run build makes it. */
const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

interface Context {
  /** Weights of resnet20_cifar, made of their names, and pictures. */
  folder: string;
  weights: string;
  good: string;
  other: string;
  bad: string;
}

const test = suite<Context>('cli');

test.before(async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cli-'));
  const weights = join(folder, 'resnet20.safetensors');
  await writeFile(weights, seededWeights(buildNetwork('resnet20_cifar')));
  const [good, other, bad] = ['good.png', 'other.png', 'bad.jpg'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const [path, seed] of [
    [good, 1],
    [other, 7],
  ] as const) {
    const raw = { width: 40, height: 32, channels: 3 } as const;
    await sharp(
      Uint8Array.from({ length: 40 * 32 * 3 }, (_, i) => (i * seed) >> 3),
      { raw },
    )
      .png()
      .toFile(path);
  }
  writeFileSync(bad, 'no picture');
  Object.assign(context, { folder, weights, good, other, bad });
});

test.after(({ folder }) => rmSync(folder, { recursive: true }));

const start = (args: readonly string[], options: SpawnOptions = {}) =>
  spawn(process.execPath, [CLI, ...args], { stdio: 'pipe', ...options });

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

function run(...args: string[]): Promise<Result> {
  return ended(start(args));
}

function ended(child: ReturnType<typeof start>): Promise<Result> {
  const result = { code: null as number | null, stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      result[name] += text;
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ ...result, code })));
}

test('help is on stdout where it was asked for, and says how each command is used', async () => {
  const commands = ['classify', 'embed', 'models', 'summary', 'pull', 'infer'];
  const { code, stdout, stderr } = await run('--help');
  assert.is(code, 0);
  assert.is(stderr, '');
  for (const command of commands) assert.match(stdout, new RegExp(`^ {2}${command}\\b`, 'm'));
  const helps = await Promise.all(commands.map((command) => run(command, '--help')));
  helps.forEach((help, i) => {
    assert.is(help.code, 0);
    assert.match(help.stdout, new RegExp(`^Usage: resnet-wasm ${commands[i]} `));
    assert.match(help.stdout, new RegExp(`^Examples:\\n  resnet-wasm ${commands[i]}`, 'm'));
  });
});

test('the version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.equal(await run('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('usage errors exit with 2 and say on stderr what is wrong', async ({ good, weights }) => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage: resnet-wasm/],
    [['clasify', good], /^error: unknown command 'clasify'/],
    [['classify'], /^error: missing required argument 'pictures'/],
    [['classify', good, '--topp', '3'], /^error: unknown option '--topp'/],
    ...['0', '-1', 'x', '1.5', '1e9x', ''].map((top): [string[], RegExp] => [
      ['classify', good, `--top-k=${top}`],
      /^error: option '--top-k <n>' argument '.*' is invalid\. Expected a whole number from 1\.$/m,
    ]),
    [['classify', good, '--threads', 'many'], /^error: option '--threads <n>' argument 'many' is invalid/],
    [['classify', good, '--binary', 'fast'], /^error: option '--binary <name>' argument 'fast' is invalid/],
    [
      ['classify', good, '--model', 'resnet51'],
      /^error: .*'resnet51' is invalid\. Expected a network, .*; resnet-wasm models lists them\.$/m,
    ],
    [['classify', good, '--model', 'plain18'], /^error: plain18 needs --weights, since none are published; /],
    ...(
      [
        ['--mean', '1,2'],
        ['--mean', 'a'],
        ['--mean', '1,,3'],
        ['--std', '0'],
        ['--std', '1,1,-1'],
        ['--size', '0'],
        ['--preset', 'pytorch'],
        ['--interpolation', 'cubic'],
        ['--activation', 'relu'],
        ['--max-pixels', '0'],
      ] as const
    ).map(([name, value]): [string[], RegExp] => [
      ['classify', good, `${name}=${value}`],
      new RegExp(
        `^error: option '${name} <[^>]+>' argument '${value}' is invalid\\. (Expected|Allowed choices are) .*\\.$`,
        'm',
      ),
    ]),
    [['classify', '-', '/dev/stdin'], /^error: standard input can be read once, not twice$/m],
    [['classify', '-', '--weights', '-'], /^error: standard input can be read once, not twice$/m],
    [['embed', good, '--out', 'x.txt'], /^error: option '--out <file>' argument 'x\.txt' is invalid\. .* \.npy\.$/m],
    [['summary'], /^error: missing required argument 'name'/],
    [['summary', 'resnet18', 'resnet34'], /^error: too many arguments/],
    [['summary', 'resnet18', '--size', '0'], /^error: option '--size <n>' argument '0' is invalid/],
    [
      ['pull', 'plain18'],
      /^error: .*'plain18' is invalid .*Expected a network with weights, .*; resnet-wasm pull --help lists them\.$/m,
    ],
    [['infer', '--model', 'resnet20_cifar', '--weights', weights], /^error: required option '--input <file>' not/],
  ];
  const results = await Promise.all(cases.map(([args]) => run(...args)));
  results.forEach(({ code, stdout, stderr }, i) => {
    assert.is(code, 2, cases[i]?.[0].join(' '));
    assert.is(stdout, '');
    assert.match(stderr, cases[i]?.[1] as RegExp);
  });
});

test('models are listed, for people and for programs', async () => {
  const [text, json] = await Promise.all([run('models'), run('models', '--json')]);
  assert.match(text.stdout, /^resnet50 +25,557,032 +4\.09 +224x224x3 +yes /m);
  const rows = JSON.parse(json.stdout);
  assert.equal(
    rows.map(({ name }: { name: string }) => name),
    networkNames(),
  );
  const { input, parameters, macs, weights } = rows.find(({ name }: { name: string }) => name === 'resnet50');
  assert.equal(
    { input, parameters, weights },
    { input: { h: 224, w: 224, c: 3 }, parameters: 25557032, weights: true },
  );
  assert.is((macs / 1e9).toFixed(2), '4.09');
});

test('a summary is the library’s', async () => {
  const [text, json, small] = await Promise.all([
    run('summary', 'resnet18'),
    run('summary', 'resnet18', '--json'),
    run('summary', 'resnet18', '--json', '--size', '96', '--classes', '10'),
  ]);
  const counts = summary(buildNetwork('resnet18'));
  assert.is(text.stdout, `${summaryTable(counts)}\n`);
  assert.equal(JSON.parse(json.stdout), counts);
  assert.equal(JSON.parse(small.stdout), summary(buildNetwork('resnet18', { size: 96, classes: 10 })));
});

test('pictures are classified in one load, and answers are the same on every binary', async (context) => {
  const { weights, good, other } = context;
  const flags = ['--model', 'resnet20_cifar', '--weights', weights, '--json', '--top-k', '3'];
  const [relaxed, baseline] = await Promise.all([
    run('classify', ...flags, '--binary', 'relaxed', good, other, good),
    run('classify', ...flags, '--binary', 'baseline', '--threads', '1', good, other, good),
  ]);
  assert.is(relaxed.stderr, '');
  assert.is(relaxed.code, 0);
  const answers = JSON.parse(relaxed.stdout);
  assert.equal(
    answers.map(({ image }: { image: string }) => image),
    [good, other, good],
  );
  for (const answer of answers) {
    assert.equal(Object.keys(answer), ['image', 'model', 'topK', 'ms']);
    assert.is(answer.model, 'resnet20_cifar');
    // Pictures that share a run are done together.
    assert.ok(answer.ms >= 0);
    assert.is(answer.topK.length, 3);
    const probabilities = answer.topK.map(({ probability }: { probability: number }) => probability);
    assert.equal(probabilities, probabilities.toSorted?.((a: number, b: number) => b - a) ?? probabilities);
    assert.ok(probabilities[0] > 0.1 && probabilities[0] <= 1);
  }
  assert.equal(answers[2].topK, answers[0].topK);
  assert.not.equal(answers[1].topK, answers[0].topK);
  JSON.parse(baseline.stdout).forEach(({ topK }: { topK: { index: number; probability: number }[] }, i: number) => {
    assert.is(topK.length, 3);
    topK.forEach(({ index, probability }, k) => {
      assert.is(index, answers[i].topK[k].index);
      assert.ok(Math.abs(probability - answers[i].topK[k].probability) < 1e-4);
    });
  });
});

test('for people, a picture has its name, its labels with percentages, and the time', async ({
  weights,
  good,
  other,
}) => {
  const flags = ['--model', 'resnet20_cifar', '--weights', weights, '--top-k', '2'];
  const { code, stdout, stderr } = await run('classify', ...flags, good, other);
  assert.is(code, 0);
  assert.is(stderr, '');
  const row = '  class \\d +\\d+\\.\\d\\d %.*\\n';
  const answer = (name: string) => `.*${name}  \\(\\d+ ms\\)\\n${row}${row}`;
  assert.match(stdout, new RegExp(`^${answer('good.png')}\\n${answer('other.png')}$`));
});

test('a bad picture among good ones is reported in a line, the rest answered, the exit code 1', async (context) => {
  const { folder, weights, good, bad } = context;
  const flags = ['--model', 'resnet20_cifar', '--weights', weights, '--json'];
  const [missing, empty] = [join(folder, 'missing.jpg'), join(folder, 'empty')];
  mkdirSync(empty);
  const { code, stdout, stderr } = await run('classify', ...flags, bad, empty, missing, good);
  assert.is(code, 1);
  assert.equal(
    JSON.parse(stdout).map(({ image }: { image: string }) => image),
    [good],
  );
  const lines = stderr.trimEnd().split('\n').sort();
  assert.is(lines.length, 3, stderr);
  assert.match(lines[0] ?? '', `${bad}: expected a picture, got `);
  assert.is(lines[1], `${empty}: expected a picture in this folder, got none.`);
  assert.is(lines[2], `${missing}: no such file.`);
});

test('a failure is one line on stderr and exit code 1', async ({ folder, weights, good, bad }) => {
  const cifar = ['--model', 'resnet20_cifar', '--weights', weights];
  const [x, y] = [join(folder, 'failure-x.npy'), join(folder, 'failure-y.npy')];
  writeFileSync(x, encodeNpy({ data: new Float32Array(6), shape: [1, 6] }));
  const cases: [string[], RegExp][] = [
    [['classify', join(folder, 'two\nlines')], /two lines: no such file\.$/],
    [
      ['classify', good, '--model', 'resnet20_cifar', '--weights', bad],
      /^.*bad\.jpg: expected .*, got a text that begins with "no picture"\.$/,
    ],
    [['classify', good, '--model', 'resnet20_cifar', '--weights', join(folder, 'no')], /no: no such file\.$/],
    [['classify', good, '--weights', folder], /: expected a file, got a folder\.$/],
    [['classify', ''], /^"": no such file\.$/],
    [['classify', good, '--model', 'resnet32_cifar', '--weights', weights], /: expected .*, got .*\.$/],
    [['classify', good, ...cifar, '--classes', '7'], /^fc\.weight: expected \[7, 64\], got \[10, 64\]/],
    [['infer', ...cifar, '--input', join(folder, 'no'), '--output', y], /no: no such file .*\(ENOENT\)\.$/],
    [['infer', ...cifar, '--input', good, '--output', y], /good\.png: expected a \.npy file, got another kind\.$/],
    [
      ['infer', ...cifar, '--input', x, '--output', y],
      /x\.npy: expected \[N, C, H, W\], none of them 0, got \[1, 6\]\.$/,
    ],
  ];
  const results = await Promise.all(cases.map(([args]) => run(...args)));
  results.forEach(({ code, stdout, stderr }, i) => {
    assert.is(code, 1, cases[i]?.[0].join(' '));
    assert.is(stdout, '');
    assert.match(stderr.replace(/\n$/, ''), cases[i]?.[1] as RegExp);
    assert.is(stderr.split('\n').length, 2, stderr);
  });
  assert.not(existsSync(y));
});

test('infer gives the logits that PyTorch has, image by image', async ({ folder, weights }) => {
  const { input, output } = JSON.parse(
    readFileSync(new URL('../data/logits/resnet20_cifar.json', import.meta.url), 'utf8'),
  ) as { input: number[]; output: number[] };
  const one = seededInput(input);
  // More than run at once; the images differ, so that none can stand for another.
  const count = 11;
  const data = new Float32Array(count * one.length);
  for (let i = 0; i < count; i++) data.set(i === 0 || i === 9 ? one : one.map((v) => v / (i + 1)), i * one.length);
  const [x, y] = [join(folder, 'x.npy'), join(folder, 'y.npy')];
  writeFileSync(x, encodeNpy({ data, shape: [count, ...input.slice(1)] }));
  writeFileSync(y, 'an older file');
  const flags = ['--model', 'resnet20_cifar', '--weights', weights, '--input', x, '--output', y];
  for (const binary of ['baseline', 'relaxed']) {
    assert.equal(await run('infer', ...flags, '--binary', binary), { code: 0, stdout: '', stderr: '' });
    const logits = decodeNpy('y', readFileSync(y));
    assert.equal(logits.shape, [count, output.length]);
    const largest = Math.max(...output.map(Math.abs));
    for (const image of [0, 9]) {
      output.forEach((expected, i) => {
        const got = logits.data[image * output.length + i] as number;
        assert.ok(Math.abs(got - expected) <= 2e-5 * largest, `${binary}, image ${image}: ${got} for ${expected}`);
      });
    }
    assert.not.equal(logits.data.slice(0, 10), logits.data.slice(10, 20));
  }
});

test('infer writes as many classes as a network has', async ({ folder }) => {
  const many = join(folder, 'many.safetensors');
  const [x, y] = ['few.npy', 'many.npy'].map((name) => join(folder, name)) as [string, string];
  const classes = 21_841;
  writeFileSync(
    many,
    Buffer.concat(await Readable.from(seededWeights(buildNetwork('resnet20_cifar', { classes }))).toArray()),
  );
  writeFileSync(x, encodeNpy({ data: new Float32Array(9 * 3 * 32 * 32), shape: [9, 3, 32, 32] }));
  const flags = ['--model', 'resnet20_cifar', '--weights', many, '--classes', `${classes}`];
  const { code } = await run('infer', ...flags, '--input', x, '--output', y);
  assert.is(code, 0);
  assert.equal(decodeNpy(y, readFileSync(y)).shape, [9, classes]);
});

test('a failing infer leaves what was in the place of its output', async ({ folder, bad }) => {
  const [x, y] = ['x.npy', 'y.npy'].map((name) => join(folder, name)) as [string, string];
  const bytes = encodeNpy({ data: new Float32Array(3 * 32 * 32), shape: [1, 3, 32, 32] });
  for (const path of [x, y]) writeFileSync(path, bytes);
  const files = readdirSync(folder);
  const { code } = await run('infer', '--model', 'resnet20_cifar', '--weights', bad, '--input', x, '--output', y);
  assert.is(code, 1);
  assert.equal(new Uint8Array(readFileSync(y)), bytes);
  assert.equal(readdirSync(folder), files);
});

test('an output that is an input, by whatever name, is refused and left alone', async ({ folder, weights, good }) => {
  const [picture, linked, hard] = ['in.png', 'linked.png', 'hard.png'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  copyFileSync(good, picture);
  symlinkSync(picture, linked);
  linkSync(picture, hard);
  const [own, alike] = [join(folder, 'own.png'), join(folder, 'alike.npy')];
  linkSync(weights, own);
  linkSync(picture, alike);
  const x = join(folder, 'in.npy');
  writeFileSync(x, encodeNpy({ data: new Float32Array(3 * 32 * 32), shape: [1, 3, 32, 32] }));
  const cifar = ['--model', 'resnet20_cifar', '--weights', weights];
  const cases: [string[], string, string][] = [
    [['classify', picture, ...cifar, '--cam', picture], '--cam', picture],
    [['classify', picture, ...cifar, '--cam', linked], '--cam', linked],
    [['classify', picture, ...cifar, '--cam', hard], '--cam', hard],
    [['classify', picture, ...cifar, '--cam', own], '--cam', own],
    [['classify', picture, ...cifar, '--labels', own, '--cam', own], '--cam', own],
    [['classify', pathToFileURL(picture).href, ...cifar, '--cam', hard], '--cam', hard],
    [['embed', folder, ...cifar, '--out', alike], '--out', alike],
    [['infer', ...cifar, '--input', x, '--output', x], '--output', x],
    [['convert', weights, weights], '<out>', weights],
  ];
  const before = [picture, weights, x].map((path) => readFileSync(path));
  for (const [args, option, path] of cases) {
    assert.equal(await run(...args), {
      code: 1,
      stdout: '',
      stderr: `${option}: expected a file that is not an input, got ${path}.\n`,
    });
  }
  assert.equal(
    [picture, weights, x].map((path) => readFileSync(path)),
    before,
  );
});

test('an output that cannot be written is named: a folder, no folder, a full disk', async ({
  folder,
  weights,
  good,
}) => {
  const nowhere = join(folder, 'nowhere');
  const cifar = ['--model', 'resnet20_cifar', '--weights', weights];
  const cases: [string[], string][] = [
    [['convert', weights, folder], `<out>: expected a file to write, got the folder ${folder}.`],
    [['convert', weights, join(nowhere, 'x')], `${nowhere}/x: there is no folder ${nowhere} to write into.`],
    [
      ['embed', good, ...cifar, '--out', join(nowhere, 'x.npy')],
      `${nowhere}/x.npy: there is no folder ${nowhere} to write into.`,
    ],
    [['convert', weights, ''], '<out>: expected the path of a file, got an empty one.'],
    // A device that is always full.
    [['convert', weights, '/dev/full'], '/dev/full: no space left on device (ENOSPC).'],
  ];
  for (const [args, message] of cases) {
    assert.equal(await run(...args), { code: 1, stdout: '', stderr: `${message}\n` });
  }
});

test('a reader that stops early is no error', async () => {
  const child = start(['summary', 'resnet152', '--json']);
  const result = ended(child);
  // Before the program can have written anything.
  child.stdout?.destroy();
  const { code, stderr } = await result;
  assert.is(stderr, '');
  assert.is(code, 0);
});

test('Ctrl-C during a pull exits with 130 and leaves no file', async ({ folder }) => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  // Writes a little, as npm does, and then hangs.
  const npm = `#!${process.execPath}
    const folder = process.argv[process.argv.indexOf('--cache') + 1];
    require('node:fs').mkdirSync(folder, { recursive: true });
    require('node:fs').writeFileSync(folder + '/part', 'x'.repeat(1000));
    const parent = process.ppid;
    setInterval(() => process.ppid === parent || process.exit(1), 20);`;
  writeFileSync(join(bin, 'npm'), npm);
  chmodSync(join(bin, 'npm'), 0o755);
  const cache = join(folder, 'cache');
  const { npm_execpath: _, ...env } = process.env;
  const child = start(['pull', 'resnet50'], {
    env: { ...env, PATH: `${bin}${delimiter}${env.PATH}`, XDG_CACHE_HOME: cache },
  });
  const result = ended(child);
  const parts = () => (existsSync(cache) ? readdirSync(cache, { recursive: true }) : []).map(String);
  while (!parts().some((path) => path.endsWith('part'))) {
    assert.is(child.exitCode, null);
    await delay(20);
  }
  child.kill('SIGINT');
  const { code, stdout } = await result;
  assert.is(code, 130);
  assert.is(stdout, '');
  assert.equal(parts(), ['resnet-wasm']);
});

test.run();
