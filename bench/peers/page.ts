/** The page's side: chromium.ts calls `measure` in it. */

import type { Places, TfWasm } from './engines.js';
import { measure, type Task, type Timing } from './measure.js';

const packages = new URL('/bench/peers/node_modules/', location.href).href;

/** Scripts that put their exports on the global `tf`, the second onto the first's. */
async function loadTf(): Promise<TfWasm> {
  for (const file of ['tfjs-core/dist/tf-core.min.js', 'tfjs-backend-wasm/dist/tf-backend-wasm.min.js']) {
    await new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${file}: expected a script, got none.`));
      script.src = `${packages}@tensorflow/${file}`;
      document.head.append(script);
    });
  }
  return (globalThis as unknown as { tf: TfWasm }).tf;
}

const places: Places = {
  api: new URL('/dist/web.js', location.href).href,
  packages,
  folder: packages,
  loadTf,
  ortModule: 'ort.wasm.min.mjs',
};

declare global {
  var runTask: (task: Task) => Promise<Timing[]>;
}

globalThis.runTask = (task) => {
  // TensorFlow.js caps its threads at half of what the browser says; the others are told their number outright.
  Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 * task.threads });
  return measure(task, places);
};
