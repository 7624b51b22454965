/** The rules of the house, read from the import lines: who may use whom, and that no files use each other in a circle. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** One row per room: its files, and what they may import beside each other. Type imports count. */
interface Room {
  readonly name: string;
  readonly files: RegExp;
  /** Rooms by name, files of a room (`engine/core`), or packages. */
  readonly may: readonly string[];
}

const ENTRIES = ['entries'];

const rooms: readonly Room[] = [
  { name: 'assembly', files: /^assembly\//, may: [] },
  { name: 'errors', files: /^models\/errors\.ts$/, may: [] },
  { name: 'models', files: /^models\//, may: [] },
  { name: 'util', files: /^bindings\/util\//, may: [] },
  { name: 'assets', files: /^bindings\/(assets|inline-binaries)\.ts$/, may: [] },
  { name: 'platform', files: /^bindings\/platform\//, may: ['util'] },
  { name: 'compile', files: /^bindings\/compile\//, may: ['models'] },
  { name: 'stream', files: /^bindings\/weights\/stream\//, may: ['platform', 'util'] },
  {
    name: 'formats',
    files: /^bindings\/weights\/formats\//,
    may: [
      'weights/types',
      'weights/dtype',
      'weights/metadata',
      'weights/torch-names',
      'stream',
      'models',
      'platform',
      'util',
    ],
  },
  { name: 'weights', files: /^bindings\/weights\/[^/]+$/, may: ['formats', 'stream', 'models', 'platform', 'util'] },
  {
    name: 'engine',
    files: /^bindings\/engine\//,
    may: ['compile', 'weights/types', 'weights/dtype', 'weights/uniform', 'models', 'platform', 'util'],
  },
  { name: 'image', files: /^bindings\/image\//, may: ['engine/core', 'engine/kernels', 'models', 'platform', 'util'] },
  {
    name: 'learning',
    files: /^bindings\/learning\//,
    may: ['engine/row-matrix', 'model', 'weights', 'models', 'platform', 'util'],
  },
  {
    name: 'model',
    files: /^bindings\/model\//,
    may: ['compile', 'engine', 'image', 'weights', 'stream', 'models', 'platform', 'util'],
  },
  { name: 'browser', files: /^bindings\/browser\//, may: ['assets', 'platform', 'util'] },
  {
    name: 'worker',
    files: /^bindings\/worker\//,
    may: [
      'model',
      'stream',
      'engine/binary',
      'engine/peak',
      'engine/thread-loop',
      'engine/whole-numbers',
      'weights/fitted',
      'weights/prefix',
      'weights/random',
      'engine/wasm-bytes',
      'weights/write',
      'formats',
      'assets',
      'browser',
      'node/platform',
      'node:',
      'models',
      'platform',
      'util',
    ],
  },
  {
    name: 'node',
    files: /^bindings\/node\//,
    may: [
      'assets',
      'model',
      'stream',
      'weights/open',
      'engine/thread-loop',
      'models',
      'platform',
      'util',
      'node:',
      'sharp',
      'tar',
    ],
  },
  {
    name: 'entries',
    files: /^bindings\/index(\.node|\.web|\.static|\.workerd)?\.ts$/,
    may: 'assets browser compile engine formats image learning model models node platform stream util weights worker build/relaxed.wasm build/int8-relaxed.wasm build/more.wasm'.split(
      ' ',
    ),
  },
  {
    name: 'server',
    files: /^server\//,
    may: [
      ...ENTRIES,
      'node:',
      'hono',
      'hono/utils/http-status',
      '@hono/node-server',
      '@opentelemetry/api',
      'prom-client',
    ],
  },
  {
    name: 'cli',
    files: /^cli\//,
    may: [...ENTRIES, 'server', 'node:', 'commander', 'cli-progress', 'bullmq', 'ioredis', 'tar'],
  },
  {
    name: 'page scripts',
    files: /^web\/scripts\//,
    may: [...ENTRIES, 'web', 'node:', 'esbuild', 'sirv', 'playwright-core', 'puppeteer-core'],
  },
  { name: 'web', files: /^web\/(?!scripts\/)/, may: [...ENTRIES, 'uplot'] },
];

/** Rooms that may use everything but what stands here. */
const free: readonly { readonly files: RegExp; readonly not: RegExp }[] = [
  { files: /^bench\//, not: /^tests\// },
  { files: /^tests\//, not: /^bench\// },
];

const MAKES_VIEWS = 'bindings/engine/arena.ts';
// The buffer of a memory may be measured anywhere, but used by the arena alone.
const VIEW = /\bmemory\.buffer\b(?!\.byteLength)|\{[^{}]*\bbuffer\b[^{}]*\}\s*=\s*[\w.#]*\bmemory\b/i;

const INSTANTIATES = 'bindings/engine/core.ts';
const INSTANCE = /\bWebAssembly\.(instantiate\w*|Instance)\(/;

/** The files and packages that a file imports; files as paths from the root. */
const importsOf = (file: string, text: string): string[] =>
  ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) =>
      fileName.startsWith('.') ? posix.join(posix.dirname(file), fileName).replace(/\.js$/, '.ts') : fileName,
    );

/** Whether a room's row names what `target` is. Errors are everybody's. */
function isAllowed(may: readonly string[], target: string): boolean {
  const home = rooms.find(({ files }) => files.test(target))?.name;
  if (home === 'errors') return true;
  return may.some((allowed) =>
    home === undefined
      ? target === allowed || (allowed.endsWith(':') && target.startsWith(allowed))
      : allowed === home || target === `bindings/${allowed}.ts`,
  );
}

/** Every breach in one file of the repository. Paths have forward slashes. */
function breaches(file: string, text: string): string[] {
  const room = rooms.find(({ files }) => files.test(file));
  const all = free.find(({ files }) => files.test(file));
  if (!room && !all) return [`${file}: expected a rule for its folder, got none.`];
  const found: string[] = [];
  for (const target of importsOf(file, text)) {
    const isInside = room?.files.test(/^assembly\//.test(target) ? `${target}.ts` : target);
    const isFine = all ? !all.not.test(target) : isInside || isAllowed(room?.may ?? [], target);
    if (!isFine) found.push(`${file}: expected imports that its room allows, got ${target}.`);
  }
  const view = file === MAKES_VIEWS ? undefined : VIEW.exec(text)?.[0];
  if (view) found.push(`${file}: expected views of linear memory from ${MAKES_VIEWS} alone, got ${view}.`);
  const isFree = file === INSTANTIATES || !file.startsWith('bindings/');
  const instance = isFree ? undefined : INSTANCE.exec(text)?.[0];
  if (instance) found.push(`${file}: expected instances of binaries from ${INSTANTIATES} alone, got ${instance}.`);
  return found;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const folders = ['assembly', 'models', 'bindings', 'server', 'cli', 'web', 'bench', 'tests'];

const sources: ReadonlyMap<string, string> = new Map(
  folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((file) => !file.includes('/node_modules/'))
      .map((file): [string, string] => [file, readFileSync(join(root, file), 'utf8')]),
  ),
);

/** The files of one circle of imports, the first again at the end; undefined if there is none. */
function circleOf(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const target of imports.get(file) ?? []) {
      const circle = visit(target);
      if (circle) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file);
    if (circle) return circle;
  }
  return undefined;
}

test('every file keeps the rules of its room', () => {
  for (const room of [...rooms, ...free]) {
    assert.ok(
      [...sources.keys()].some((file) => room.files.test(file)),
      `expected files of ${room.files}`,
    );
  }
  const found = [...sources].flatMap(([file, text]) => breaches(file, text));
  assert.equal(found, []);
});

test('no files import each other in a circle, types counted', () => {
  const imports = new Map([...sources].map(([file, text]) => [file, importsOf(file, text)]));
  const arrows = [...imports.values()].flat().filter((target) => sources.has(target));
  assert.ok(arrows.length > sources.size, `expected more arrows than ${sources.size} files, got ${arrows.length}`);
  assert.is(circleOf(imports)?.join(' -> '), undefined);
});

test('a circle is found', () => {
  const imports = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['d', ['b']],
  ]);
  assert.equal(circleOf(imports), ['b', 'd', 'b']);
});

// Quoted apart, so that these lines are no imports of this file's own.
const from = (specifier: string) => [`import { x }`, `'${specifier}';`].join(' from ');
const awaited = (specifier: string) => ['const x = await import', `('${specifier}');`].join('');
const buffer = ['memory', 'buffer'].join('.');

for (const [file, text] of [
  ['assembly/pool.ts', from('../models/graph')],
  ['models/vgg.ts', from('../bindings/engine/arena.js')],
  ['models/vgg.ts', from('node:fs')],
  ['models/vgg.ts', ['export *', `'../cli/main.js';`].join(' from ')],
  ['bindings/compile/plan.ts', from('../engine/core.js')],
  ['bindings/engine/executor.ts', from('node:fs')],
  ['bindings/engine/executor.ts', awaited('node:fs/promises')],
  ['bindings/engine/executor.ts', from('../index.node.js')],
  ['bindings/engine/executor.ts', from('../weights/open.js')],
  ['bindings/engine/executor.ts', ['WebAssembly', 'instantiate(module, imports);'].join('.')],
  ['bindings/engine/executor.ts', from('sharp')],
  ['bindings/engine/core.ts', from('../../assembly/step')],
  ['bindings/weights/stream/open.ts', from('../types.js')],
  ['bindings/weights/formats/keras/tfjs.ts', from('../../../node/npm-package.js')],
  ['bindings/image/preprocess.ts', from('../engine/arena.js')],
  ['bindings/browser/platform.ts', from('node:fs')],
  ['cli/main.ts', from('../bindings/engine/arena.js')],
  ['cli/main.ts', from('../models/index.js')],
  ['cli/main.ts', from('sharp')],
  ['server/pool.ts', from('../cli/failure.js')],
  ['server/pool.ts', from('../bindings/model/load.js')],
  ['web/scripts/build.ts', from('../../tests/support/reference.js')],
  ['bench/gemm.ts', from('../tests/support/reference.js')],
  ['tests/assembly/gemm.test.ts', from('../../bench/shapes.js')],
  ['bindings/engine/vectors.ts', ['new WebAssembly', 'Instance(module);'].join('.')],
  ['bindings/engine/executor.ts', `const view = new Float32Array(core.arena.${buffer}, ptr, n);`],
  ['tests/assembly/gemm.test.ts', `const bytes = Buffer.from(${buffer});`],
  ['bench/gemm.ts', ['const { buffer }', 'core.arena.memory;'].join(' = ')],
  ['elsewhere/x.ts', ''],
] as const) {
  test(`a breach is found: ${file}: ${text.replaceAll('\n', ' ')}`, () => {
    assert.is(breaches(file, text).length, 1);
  });
}

for (const [file, text] of [
  ['assembly/conv/conv2d.ts', from('../gemm/gemm')],
  ['models/vgg.ts', from('./graph.js')],
  ['bindings/engine/executor.ts', from('../../models/index.js')],
  ['bindings/engine/core.ts', ['WebAssembly', 'instantiate(module, imports);'].join('.')],
  ['bindings/image/preprocess.ts', from('../engine/core.js')],
  ['bindings/node/npm-package.ts', from('tar')],
  ['bindings/node/decode-image.ts', awaited('sharp')],
  ['cli/main.ts', `${from('node:process')}${from('commander')}${from('../bindings/index.node.js')}`],
  ['web/main.ts', from('../bindings/index.web.js')],
  ['web/scripts/build.ts', `${from('esbuild')}${from('../../bindings/index.node.js')}`],
  ['bench/gemm.ts', from('../bindings/engine/core.js')],
  ['bench/memory.ts', `console.log(core.arena.${buffer}.byteLength);`],
  ['bindings/engine/arena.ts', `new Float32Array(this.${buffer}, ptr, length);`],
] as const) {
  test(`what is allowed passes: ${file}: ${text}`, () => {
    assert.equal(breaches(file, text), []);
  });
}

test.run();
