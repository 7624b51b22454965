import { load } from './node_modules/resnet-wasm/dist/static.js';

let loading;

/** Loads the model when it is first needed. A browser ends a service worker that rests for half a minute, and the model with it. */
function model() {
  loading ??= load('resnet18', { weights: chrome.runtime.getURL('resnet18.safetensors') });
  return loading;
}

async function answer(picture) {
  try {
    const network = await model();
    const [best] = await network.classify(picture, { topK: 1 });
    const { threads, binary } = network.info();
    const label = best.label ?? `class ${best.index}`;
    return `${label}, ${(100 * best.probability).toFixed(2)} % (threads: ${threads}, binary: ${binary})`;
  } catch (error) {
    return error.message;
  }
}

chrome.runtime.onMessage.addListener((picture, _, respond) => {
  answer(picture).then(respond);
  // The response comes later.
  return true;
});
