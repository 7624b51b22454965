/** Where pictures and weight files come from: a file dialog, samples, and what is dropped on the page or pasted. */

import type { App } from './app.js';
import { h } from './dom.js';
import { HEAD_BYTES, isPicture } from './sniff.js';
import { weightsOf } from './weights.js';

const SAMPLES = [
  { file: 'photos/chelsea.jpg', name: 'the cat', alt: 'A tabby cat that looks into the camera' },
  { file: 'photos/coffee.jpg', name: 'the cup', alt: 'A cup of espresso on a saucer, with a spoon' },
] as const;

/** Text in the place of the picture, until there is one. */
export const PROMPT = 'Choose a picture, drop one anywhere on this page, or paste one.';

/** Shows one of the sample photographs. */
export async function setSample(app: App, index = 0): Promise<void> {
  const sample = SAMPLES[index] ?? SAMPLES[0];
  const response = await fetch(new URL(sample.file, document.baseURI));
  if (!response.ok) throw new Error(`${sample.file}: expected status 200, got ${response.status}.`);
  await app.setPicture(await response.blob(), sample.name);
}

/** A button that opens a file dialog. */
export function fileButton(label: string, accept: string, take: (file: File) => void, quiet = false): HTMLElement {
  const input = h('input', { type: 'file', accept, hidden: true });
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    // The same file may be chosen again.
    input.value = '';
    if (file) take(file);
  });
  return h(
    'span',
    {},
    h('button', { class: quiet ? 'button quiet' : 'button', type: 'button', onclick: () => input.click() }, label),
    input,
  );
}

export function pictureButton(app: App): HTMLElement {
  return fileButton('Choose a picture', 'image/*', (file) => takePicture(app, file));
}

/** The sample photographs, to click. */
export function samples(app: App): HTMLElement {
  return h(
    'div',
    { class: 'samples', role: 'group', 'aria-label': 'Sample photographs' },
    h('span', { class: 'soft small', 'aria-hidden': 'true' }, 'or a sample'),
    SAMPLES.map(({ file, alt }, i) =>
      h(
        'button',
        { type: 'button', onclick: () => setSample(app, i).catch((reason) => app.report(reason)) },
        h('img', { src: file, alt, width: 64, height: 44 }),
      ),
    ),
  );
}

function takePicture(app: App, file: Blob, name = 'the picture'): void {
  app.clearProblem();
  app.setPicture(file, file instanceof File && file.name ? file.name : name).catch((reason) => app.report(reason));
}

/** Takes a weight file: it can be chosen from then on, and is. */
export async function takeWeights(app: App, file: File): Promise<void> {
  app.clearProblem();
  const before = app.chosen;
  try {
    const weights = await weightsOf(file);
    app.offer(weights);
    app.choose({}, weights);
    await app.ensureModel().catch((reason) => {
      if (app.chosen === weights && app.loading === undefined) app.withdraw(weights, before);
      throw reason;
    });
  } catch (reason) {
    app.report(reason);
  }
}

async function take(app: App, file: File): Promise<void> {
  const isNamed = file.type.startsWith('image/');
  if (isNamed || isPicture(await headOf(file))) takePicture(app, file);
  else await takeWeights(app, file);
}

/** The first bytes of a file; none if it cannot be read, which those who need the rest will tell. */
const headOf = async (file: File): Promise<Uint8Array> =>
  new Uint8Array(
    await file
      .slice(0, HEAD_BYTES)
      .arrayBuffer()
      .catch(() => new ArrayBuffer(0)),
  );

/** Pictures and weight files may be dropped anywhere on the page, and pictures pasted. */
export function takeDropsAndPastes(app: App): void {
  let depth = 0;
  const mark = (change: number) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle('dropping', depth > 0);
  };
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragenter', (event) => hasFiles(event) && mark(1));
  document.addEventListener('dragleave', (event) => hasFiles(event) && mark(-1));
  document.addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    const file = event.dataTransfer?.files[0];
    if (file) void take(app, file);
  });
  document.addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    void take(app, file);
  });
}
