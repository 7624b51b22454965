/** `classify --cam`: draws a heat map over a picture, of where the network saw a class. */

import { extname } from 'node:path';
import { type Cam, type CamMap, encodeImage, heatmap, type Model, type Pixels } from '../bindings/index.node.js';
import { writeOutput } from './output.js';

/** Formats by extension. */
export const CAM_FORMATS = { '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg', '.webp': 'webp' } as const;

const plain = (label: string): string => label.toLowerCase().replaceAll(' ', '_');

/**
 * Finds a class by its index or its label in any case; undefined if none is wanted. Throws if there is none, or several
 * of that label.
 */
export function camClass(
  { graph }: Model,
  labels: readonly string[] | undefined,
  wanted: string | undefined,
): number | undefined {
  if (wanted === undefined) return undefined;
  const classes = graph.nodes[graph.outputs[0].node]?.shape.c ?? 0;
  if (/^\d+$/.test(wanted) && Number(wanted) < classes) return Number(wanted);
  const found = (labels ?? []).flatMap((label, index) => (plain(label) === plain(wanted) ? [index] : []));
  if (found.length > 1) {
    throw new Error(`--cam-class: expected one class, got ${wanted}, which is ${found.join(' and ')}; give an index.`);
  }
  const [index] = found;
  if (index === undefined) throw new Error(`--cam-class: expected the index or label of a class, got ${wanted}.`);
  return index;
}

/** Draws the picture on white, as the network sees it, and the heat map over its crop. */
function overlay({ data, width, height }: Pixels, { data: map }: CamMap, { shape, crop }: Cam): Pixels {
  const from = data.length / (width * height);
  const pixels = new Uint8ClampedArray(width * height * 3);
  const blend = (pixel: number, colours: ArrayLike<number>, at: number, share: number): void => {
    for (let i = 0; i < 3; i++) {
      const under = pixels[pixel * 3 + i] as number;
      pixels[pixel * 3 + i] = under + ((colours[at + i] as number) - under) * share;
    }
  };
  pixels.fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    blend(pixel, data, pixel * from, from === 4 ? (data[pixel * 4 + 3] as number) / 255 : 1);
  }
  const [left, top] = [Math.round(crop.x), Math.round(crop.y)];
  const heat = heatmap(map, shape, Math.round(crop.width), Math.round(crop.height));
  for (let y = Math.max(0, top); y < Math.min(height, top + heat.height); y++) {
    for (let x = Math.max(0, left); x < Math.min(width, left + heat.width); x++) {
      const at = ((y - top) * heat.width + x - left) * 4;
      blend(y * width + x, heat.data, at, (heat.data[at + 3] as number) / 255);
    }
  }
  return { data: pixels, width, height, channels: 3 };
}

/** Writes the picture with the first of its maps, in the format that the file's extension names. */
export async function drawCam(file: string, pixels: Pixels, cam: Cam): Promise<void> {
  const format = CAM_FORMATS[extname(file).toLowerCase() as keyof typeof CAM_FORMATS];
  await writeOutput(file, await encodeImage(overlay(pixels, cam.maps[0] as CamMap, cam), format));
}
