/** Builds the wasm binaries into build/, and the JavaScript bundles, their types and the licences in them into dist/. */
import { spawnSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { fileURLToPath } from 'node:url';
import { main as asc } from 'assemblyscript/asc';
import { build } from 'esbuild';
import { mergeChunks } from './merge-chunks.mjs';

/** The source of each binary: three builds of the core, and one or three of each set of further kernels. */
const sources = {
  baseline: 'core',
  relaxed: 'core',
  wide: 'core',
  more: 'more',
  'int8-baseline': 'int8',
  'int8-relaxed': 'int8',
  'int8-wide': 'int8',
};
for (const [target, source] of Object.entries(sources)) {
  const entry = source === 'core' ? 'assembly/index.ts' : `assembly/${source}/index.ts`;
  const { error, stderr } = await asc([entry, '--config', 'asconfig.json', '--target', target]);
  if (error) {
    process.stderr.write(stderr.toString());
    throw error;
  }
}

const root = fileURLToPath(new URL('.', import.meta.url));
const { peerDependencies } = JSON.parse(await readFile('package.json', 'utf8'));

// dist/ is as deep as bindings/, so that `new URL('../build/…', import.meta.url)` holds in both; so `../dist/worker.js`.
const options = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning', metafile: true };
const minified = {
  ...options,
  platform: 'browser',
  minifyWhitespace: true,
  minifyIdentifiers: true,
  minifySyntax: true,
};

// Bundlers read comments for their hints.
const forBundlers = { ...minified, minifyWhitespace: false };

/** Lets CommonJS packages in a bundle require Node's own modules: esbuild leaves a `require` that ES modules do not have. */
const requireBuiltins = {
  name: 'require-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /.*/ }, ({ path, kind, namespace }) => {
      if (!isBuiltin(path)) return undefined;
      if (kind === 'require-call') return { path, namespace: namespace === 'required' ? 'imported' : 'required' };
      return undefined;
    });
    // In two steps: a package gets the module itself, rather than the object of exports that esbuild makes of an import.
    const contents =
      (text) =>
      ({ path }) => ({ contents: text.replace('NAME', path) });
    onLoad({ filter: /.*/, namespace: 'required' }, contents(`module.exports = require('NAME').default;`));
    onLoad({ filter: /.*/, namespace: 'imported' }, contents(`export { default } from 'NAME';`));
  },
};

/**
 * Makes one script of the worker, as Vite 5 to 7 and Parcel want it: they make a classic script of a worker, in which
 * nothing can be split off. The modules in bindings/worker/more.ts are in a script that these leave as it is.
 */
const loadMore = {
  name: 'load-more',
  setup({ onResolve, resolve }) {
    onResolve(
      {
        filter:
          /\/(fitted|h5|impostors|int8|more-networks|more-ops|prefix|random|reader|sharded|tfjs|whole-numbers)\.js$/,
      },
      ({ kind }) =>
        kind === 'dynamic-import'
          ? resolve('./load-more.ts', { resolveDir: `${root}bindings/worker`, kind })
          : undefined,
    );
  },
};

// For pages that cannot find the files: all in one script, as text.
const { outputFiles } = await build({ ...minified, entryPoints: ['bindings/worker/entry.ts'], write: false });
const base64 = async (name) => JSON.stringify(await readFile(`build/${name}.wasm`, 'base64'));
const uplot = async (name) => JSON.stringify(await readFile(`node_modules/uplot/dist/${name}`, 'utf8'));
const binaries = {
  BASELINE_WASM: await base64('baseline'),
  RELAXED_WASM: await base64('relaxed'),
  MORE_WASM: await base64('more'),
  INT8_BASELINE_WASM: await base64('int8-baseline'),
  INT8_RELAXED_WASM: await base64('int8-relaxed'),
};

/** Leaves the binaries as text in a file of their own, which all entries share. */
const shareBinaries = {
  name: 'share-binaries',
  setup({ onResolve }) {
    onResolve({ filter: /\/inline-binaries\.js$/ }, () => ({ path: './inline-binaries.js', external: true }));
  },
};

/** Leaves `resnet-wasm/static` in its own file. */
const shareStatic = {
  name: 'share-static',
  setup({ onResolve }) {
    onResolve({ filter: /\/index\.static\.js$/ }, () => ({ path: './static.js', external: true }));
  },
};
// Threads of Node are of one script too, so that it may be moved or made a data: URL.
const [thread] = (
  await build({ ...options, platform: 'node', entryPoints: ['bindings/node/thread-entry.ts'], write: false })
).outputFiles;

await rm('dist', { recursive: true, force: true });
const results = await Promise.all([
  build({
    ...forBundlers,
    entryPoints: { web: 'bindings/index.web.ts' },
    outdir: 'dist',
    write: false,
    splitting: true,
    chunkNames: 'web-[hash]',
    define: { WORKER_SCRIPT: JSON.stringify(outputFiles[0].text) },
    plugins: [shareBinaries],
  }),
  build({ ...minified, entryPoints: { static: 'bindings/index.static.ts' }, outdir: 'dist', plugins: [shareBinaries] }),
  build({
    ...minified,
    entryPoints: { workerd: 'bindings/index.workerd.ts' },
    outdir: 'dist',
    external: ['*.wasm'],
    plugins: [shareStatic],
  }),
  build({
    ...minified,
    entryPoints: { 'inline-binaries': 'bindings/inline-binaries.ts' },
    outdir: 'dist',
    define: binaries,
  }),
  build({ ...minified, entryPoints: { worker: 'bindings/worker/entry.ts' }, outdir: 'dist', plugins: [loadMore] }),
  build({ ...minified, entryPoints: { 'worker-more': 'bindings/worker/more.ts' }, outdir: 'dist' }),
  build({
    ...options,
    entryPoints: {
      node: 'bindings/index.node.ts',
      cli: 'cli/main.ts',
      server: 'server/index.ts',
      'worker.node': 'bindings/worker/entry.node.ts',
    },
    outdir: 'dist',
    splitting: true,
    chunkNames: 'node-[hash]',
    platform: 'node',
    external: Object.keys(peerDependencies),
    plugins: [requireBuiltins, shareBinaries],
    define: {
      THREAD_SCRIPT: JSON.stringify(thread.text),
      UPLOT_SCRIPT: await uplot('uPlot.iife.min.js'),
      UPLOT_STYLE: await uplot('uPlot.min.css'),
    },
  }),
]);
await writeFile('dist/thread.node.js', thread.contents);
for (const [file, text] of await mergeChunks(results[0], 'dist/web.js', 'web.core.js', forBundlers)) {
  await writeFile(`dist/${file}`, text);
}

// esbuild drops the comments by which bundlers leave an import as it is.
const worker = await readFile('dist/worker.js', 'utf8');
const hints = '/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */';
const [found, ...others] = worker.match(/\bimport\((?=[\w$]+\(\)\.href\))/g) ?? [];
if (!found || others.length > 0) throw new Error('dist/worker.js: expected one import of worker-more.js.');
await writeFile('dist/worker.js', worker.replace(/\bimport\((?=[\w$]+\(\)\.href\))/, `import(${hints} `));

/**
 * The folders of packages in the bundles, with their dependencies, which tar brings within its own file. uPlot comes in as
 * text, which esbuild does not know of.
 */
const bundled = new Set();
async function addBundled(folder) {
  if (bundled.has(folder)) return;
  bundled.add(folder);
  const { dependencies = {} } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
  for (const name of Object.keys(dependencies)) await addBundled(`node_modules/${name}`);
}
await addBundled('node_modules/uplot');
for (const { metafile } of results) {
  for (const path of Object.keys(metafile.inputs)) {
    const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    if (name) await addBundled(`node_modules/${name}`);
  }
}

/** The name, version and licence of a package, and the licence's text. */
async function licenceOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
  const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
  if (!file) throw new Error(`${name}: no licence file to put into dist/THIRD-PARTY-LICENSES.txt.`);
  const text = await readFile(`${folder}/${file}`, 'utf8');
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
}

const licences = await Promise.all([...bundled].sort().map(licenceOf));
await writeFile(
  'dist/THIRD-PARTY-LICENSES.txt',
  ['The files in dist/ contain these packages.\n', ...licences].join(`\n${'-'.repeat(80)}\n\n`),
);

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const types = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], { stdio: 'inherit' });
process.exitCode = types.status ?? 1;
