/** The rules of the house, read from the import lines: who may use whom, and who may look into linear memory. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

interface Rule {
  /** The files that the rule is for; the first rule that matches a file counts. */
  readonly files: RegExp;
  /** What they may import: paths from the root of the repository, or packages. */
  readonly may: readonly RegExp[];
}

const BUILTIN = /^node:/;
// What only Node can run: no other file of bindings/ may import these, so that the core bundles for browsers.
const NODE_ONLY = /^bindings\/(hub|node|npm|pull|sharp|thread\.node)\.[jt]s$/;
const BINDINGS_CORE = /^bindings\/(?!(hub|node|npm|pull|sharp|thread\.node)\.[jt]s$)/;
const LOADER = /^@assemblyscript\/loader$/;
const OTHER_PACKAGES = /^(?!@assemblyscript\/loader$)(?!\.)[@\w]/;

const rules: readonly Rule[] = [
  { files: /^assembly\//, may: [/^assembly\//] },
  { files: /^models\//, may: [/^models\//] },
  { files: NODE_ONLY, may: [/^bindings\//, /^models\//, BUILTIN, /^(sharp|tar)$/] },
  { files: /^bindings\/wasm\.ts$/, may: [BINDINGS_CORE, /^models\//, LOADER] },
  { files: /^bindings\//, may: [BINDINGS_CORE, /^models\//] },
  {
    files: /^cli\//,
    may: [/^cli\//, /^bindings\/(index|node)\.js$/, /^models\//, BUILTIN, /^(commander|cli-progress)$/],
  },
  {
    files: /^web\/(build|serve)\.ts$/,
    may: [/^web\//, /^bindings\/node\.js$/, /^models\//, BUILTIN, /^(esbuild|sirv)$/],
  },
  { files: /^web\//, may: [/^web\//, /^bindings\/(index|web)\.js$/, /^models\//, /^uplot$/] },
  { files: /^(bench|tests)\//, may: [/^(bench|bindings|build|cli|dist|models|tests|web)\//, BUILTIN, OTHER_PACKAGES] },
];

const MAKES_VIEWS = 'bindings/arena.ts';
// The buffer of a memory may be measured anywhere, but used by the arena alone.
const VIEW = /\bmemory\.buffer\b(?!\.byteLength)|\{[^{}]*\bbuffer\b[^{}]*\}\s*=\s*[\w.#]*\bmemory\b/i;

/** Every breach in one file of the repository. Paths have forward slashes. */
function breaches(file: string, text: string): string[] {
  const rule = rules.find(({ files }) => files.test(file));
  if (!rule) return [`${file}: expected a rule for its folder, got none.`];
  const found: string[] = [];
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    const target = fileName.startsWith('.') ? posix.join(posix.dirname(file), fileName) : fileName;
    if (!rule.may.some((allowed) => allowed.test(target))) {
      found.push(`${file}: expected imports that its layer allows, got ${fileName}.`);
    }
  }
  const view = file === MAKES_VIEWS ? undefined : VIEW.exec(text)?.[0];
  if (view) found.push(`${file}: expected views of linear memory from ${MAKES_VIEWS} alone, got ${view}.`);
  return found;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const folders = ['assembly', 'models', 'bindings', 'cli', 'web', 'bench', 'tests'];

const sources = folders.flatMap((folder) => {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((file) => !file.includes('/node_modules/'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
});

test('every file keeps the rules of its layer', () => {
  for (const folder of ['assembly', 'models', 'bindings', 'tests']) {
    assert.ok(
      sources.some((file) => file.startsWith(`${folder}/`)),
      `expected sources in ${folder}/`,
    );
  }
  const found = sources.flatMap((file) => breaches(file, readFileSync(join(root, file), 'utf8')));
  assert.equal(found, []);
});

// Quoted apart, so that these lines are no breaches of this file's own.
const from = (specifier: string) => `import { x } from '${specifier}';`;
const buffer = ['memory', 'buffer'].join('.');

for (const [file, text] of [
  ['assembly/pool.ts', from('../models/graph')],
  ['models/vgg.ts', from('../../bindings/engine/arena.js')],
  ['models/vgg.ts', from('node:fs')],
  ['models/vgg.ts', `export * from '../../cli/main.js';`],
  ['models/vgg.ts', `import {\n  x,\n} from '../../bindings/engine/arena.js';`],
  ['bindings/session.ts', from('node:fs')],
  ['bindings/session.ts', `const { readFile } = await import('node:fs/promises');`],
  ['bindings/session.ts', from('./node.js')],
  ['bindings/weights/tfjs.ts', from('../pull.js')],
  ['bindings/session.ts', from('@assemblyscript/loader')],
  ['bindings/session.ts', from('sharp')],
  ['bindings/wasm.ts', from('../assembly/step')],
  ['cli/main.ts', from('../../bindings/engine/arena.js')],
  ['cli/main.ts', from('sharp')],
  ['web/main.ts', from('../../bindings/index.node.js')],
  ['bench/gemm.ts', from('../../elsewhere/x.js')],
  ['tests/gemm.test.ts', from('@assemblyscript/loader')],
  ['bindings/session.ts', `const view = new Float32Array(core.arena.${buffer}, ptr, n);`],
  ['tests/gemm.test.ts', `const bytes = Buffer.from(${buffer});`],
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
  ['bindings/session.ts', from('../../models/index.js')],
  ['bindings/wasm.ts', from('@assemblyscript/loader')],
  ['bindings/pull.ts', from('tar')],
  ['bindings/sharp.ts', `const sharp = await import('sharp');`],
  ['cli/main.ts', `${from('node:process')}${from('commander')}${from('../../bindings/index.node.js')}`],
  ['web/main.ts', from('../../bindings/index.web.js')],
  ['web/build.ts', `${from('esbuild')}${from('../../bindings/index.node.js')}`],
  ['bench/gemm.ts', from('../../bindings/engine/core.js')],
  ['bench/memory.ts', `console.log(core.arena.${buffer}.byteLength);`],
  ['bindings/arena.ts', `new Float32Array(this.${buffer}, ptr, length);`],
] as const) {
  test(`what is allowed passes: ${file}: ${text}`, () => {
    assert.equal(breaches(file, text), []);
  });
}

test.run();
