import { load } from 'resnet-wasm';

const [picture, progress, answer] = ['picture', 'progress', 'answer'].map((id) => document.getElementById(id));

/** Shows what a promise comes to, or why it failed. */
async function show(promise) {
  try {
    answer.textContent = (await promise) ?? '';
  } catch (error) {
    answer.textContent = error.message;
  }
}

async function start() {
  // From public/. The model runs in a Web Worker of its own, so that the page stays responsive.
  const model = await load('resnet18', {
    weights: 'resnet18.safetensors',
    onProgress: ({ loaded, total }) => {
      progress.value = loaded / total;
    },
  });
  picture.addEventListener('change', () => show(classify(model, picture.files[0])));
  picture.disabled = false;
}

async function classify(model, file) {
  const [best] = await model.classify(file, { topK: 1 });
  const { threads, binary } = model.info();
  const label = best.label ?? `class ${best.index}`;
  return `${label}, ${(100 * best.probability).toFixed(2)} % (threads: ${threads}, binary: ${binary})`;
}

show(start());
