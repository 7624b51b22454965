/** Every network against PyTorch's logits, the largest too, and a table of the differences: npm run test:large [NAME…]. */

import { BINARIES } from '../bindings/engine/binary.js';
import { networkNames } from '../bindings/index.node.js';
import { error, TOLERANCE } from './support/logits.js';

const [, , ...given] = process.argv;
const columns = BINARIES.flatMap((binary) => [true, false].map((winograd) => ({ binary, winograd })));
const row = (name: string, cells: readonly string[]): void =>
  console.log(name.padEnd(24) + cells.map((cell) => cell.padStart(22)).join(''));

row(
  'largest difference',
  columns.map(({ binary, winograd }) => `${binary}, ${winograd ? 'Winograd' : 'definition'}`),
);
let failed = 0;
for (const name of given.length > 0 ? given : networkNames()) {
  const cells: string[] = [];
  for (const { binary, winograd } of columns) {
    const distance = await error(name, { binary, winograd });
    const isFar = !(distance <= TOLERANCE);
    failed += isFar ? 1 : 0;
    cells.push(`${isFar ? 'TOO FAR ' : ''}${distance.toExponential(1)}`);
  }
  row(name, cells);
}
console.log(`${failed} of the differences are too large.`);
process.exitCode = failed > 0 ? 1 : 0;
