/** Lets Node 20 run the relaxed binary, so that the suite covers both on every Node. */
import { setFlagsFromString } from 'node:v8';

if (Number.parseInt(process.versions.node, 10) < 22) setFlagsFromString('--experimental-wasm-relaxed-simd');
