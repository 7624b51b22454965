/** `classify --cam`: draws a heat map over a picture, of where the network saw a class. */

import {
  type Cam,
  type CamMap,
  decodeImage,
  encodePng,
  heatmap,
  type Model,
  type Pixels,
} from '../bindings/index.node.js';
import { writeOutput } from './output.js';

/** Finds a class by its index or its label in any case; the most probable class if none is wanted. */
function mapOf({ maps }: Cam, wanted: string | undefined): CamMap {
  const name = wanted?.toLowerCase().replaceAll(' ', '_');
  const found = maps.find(({ index, label }) => {
    return name === undefined || name === String(index) || name === label?.toLowerCase().replaceAll(' ', '_');
  });
  if (!found) throw new Error(`--cam-class: expected the index or label of a class, got ${wanted}.`);
  return found;
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

/** Writes the PNG. Returns the class that it shows. */
export async function drawCam(model: Model, image: string, path: string, wanted: string | undefined): Promise<CamMap> {
  const pixels = await decodeImage(image);
  const cam = await model.cam(pixels, { topK: wanted === undefined ? 1 : Number.MAX_SAFE_INTEGER });
  const map = mapOf(cam, wanted);
  await writeOutput(path, await encodePng(overlay(pixels, map, cam)));
  return map;
}
