/** Makes one self-contained HTML page of benchmark results, with plots by uPlot. */

import type { BenchResult } from './measure.js';
import { threadsText } from './text.js';

// uPlot's script and style; build.mjs defines them.
declare const UPLOT_SCRIPT: string;
declare const UPLOT_STYLE: string;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --page: #fbfbfd; --line: #e3e6ee; --bar: #3563e9; --roof: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --soft: #98a1b3; --page: #14161c; --line: #2b303b; --bar: #7c9cff; --roof: #fb923c; } }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .25rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); } .big { font-size: 2rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .2rem .75rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line); } .n { text-align: right; }
.u-legend { color: var(--ink); font-size: .875rem; }
`;

// Runs in the page. Draws one chart of milliseconds, and one of GFLOP/s with the peak as a line.
const SCRIPT = `
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
for (const [i, { layers, peak }] of results.entries()) {
  const x = layers.map((_, j) => j + 1);
  const name = (_, v) => (v == null ? '' : layers[v - 1]?.name ?? '');
  const draw = (id, unit, values, roof) => {
    const bars = { label: unit, fill: css('--bar'), stroke: css('--bar'), paths: uPlot.paths.bars({ size: [0.7] }), points: { show: false }, value: (_, v) => v == null ? '' : v.toFixed(2) };
    const axis = { stroke: css('--soft'), grid: { stroke: css('--line') }, ticks: { stroke: css('--line') } };
    const series = [{ label: 'layer', value: name }, bars];
    const data = [x, values];
    if (roof) { series.push({ label: 'peak', stroke: css('--roof'), width: 2, points: { show: false }, value: (_, v) => v == null ? '' : v.toFixed(1) }); data.push(x.map(() => roof)); }
    const box = document.getElementById(id + i);
    const size = () => ({ width: box.clientWidth, height: 280 });
    const plot = new uPlot({ ...size(), scales: { x: { time: false, range: () => [0.4, layers.length + 0.6] }, y: { range: (_, lo, hi) => [0, hi * 1.08] } }, axes: [{ ...axis, label: 'layer' }, { ...axis, label: unit }], series }, data, box);
    addEventListener('resize', () => plot.setSize(size()));
  };
  draw('ms', 'ms', layers.map(({ ms }) => ms));
  draw('gflops', 'GFLOP/s', layers.map(({ gflops }) => gflops || null), peak);
}
`;

function section(
  { model, machine, info, ms, gflops, peak, rounds, batch, date, layers }: BenchResult,
  i: number,
): string {
  const rows = layers.map(
    (layer, j) =>
      `<tr><td class="n">${j + 1}<td>${escaped(layer.name)}<td>${layer.algorithm ?? layer.kind}<td>${layer.output}<td class="n">${layer.ms.toFixed(3)}<td class="n">${layer.gflops ? layer.gflops.toFixed(1) : ''}`,
  );
  return `<section><h2>${escaped(model)}</h2>
<p class="big">${ms.median.toFixed(1)} ms</p>
<p>Median of ${rounds} runs (${ms.min.toFixed(1)} to ${ms.max.toFixed(1)} ms), batch ${batch}; ${gflops.toFixed(1)} GFLOP/s, ${((100 * gflops) / peak).toFixed(0)} % of a peak of ${peak.toFixed(1)}.</p>
<p class="soft">${info.binary} binary, ${threadsText(info.threads)}; ${escaped(machine)}; ${escaped(date.slice(0, 16).replace('T', ' '))} UTC</p>
<h3>Time per layer</h3><div id="ms${i}"></div>
<h3>Speed per layer, and the peak of 128-bit multiply-adds</h3><div id="gflops${i}"></div>
<p class="soft">GFLOP/s count the operations of a convolution's definition. Winograd's algorithm takes fewer, so that a layer can exceed the peak.</p>
<details><summary>All layers</summary><div class="scroll"><table><thead><tr><th class="n">#<th>layer<th>by<th>output<th class="n">ms<th class="n">GFLOP/s</thead><tbody>${rows.join('')}</tbody></table></div></details></section>`;
}

/** Makes the page. */
export function benchPage(results: readonly BenchResult[]): string {
  // The data must not contain "</script>".
  const data = JSON.stringify(results).replaceAll('<', '\\u003c');
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>resnet-wasm bench</title><style>${UPLOT_STYLE}${STYLE}</style>
<h1>resnet-wasm bench</h1><p class="soft">Residual networks on the CPU, in WebAssembly</p>
${results.map(section).join('\n')}
<script>${UPLOT_SCRIPT}</script><script>const results = ${data};${SCRIPT}</script></html>
`;
}
