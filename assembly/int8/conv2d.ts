import { packPanel } from '../gemm/f32/pack';
import { panelsOf } from '../gemm/macro-kernel';
import { joined, partition } from '../partition';
import { NR } from '../tile';
import { perWordOf } from './dot';
import { factorOf, mapOf, newQuantGemm, quantGemm, rowBytes, rowsOf, rowTableOf, wordsOf } from './gemm';
import { packedQuantBytes } from './pack';
import { isBytesOf, QuantGemm, QuantStep } from './quant';
import { quantise } from './quantise';

/**
 * The convolution of conv/conv2d.ts on whole numbers. A linear layer is a convolution whose kernel is the whole map.
 * Pieces are as there.
 */
export function quantConv2d(step: usize, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<QuantStep>(step);
  const isBytes = isBytesOf(s);
  const channels = s.ic / s.groups;
  const words = wordsOf(isBytes, s.kh * s.kw, channels);
  const n = s.oc / s.groups;
  const pixels = s.oh * s.ow;
  const m = s.batch * pixels;
  const panels = (n + NR - 1) / NR;
  let m0 = 0, m1 = m, j0 = 0, j1 = panels;
  if (n > 4 * m) {
    pieces = joined(pieces, n / 128);
    j0 = partition(panels, piece, pieces);
    j1 = partition(panels, piece + 1, pieces);
  } else {
    pieces = joined(pieces, m / 32);
    const tiles = (m + s.mr - 1) / s.mr;
    m0 = partition(tiles, piece, pieces) * s.mr;
    m1 = min(m, partition(tiles, piece + 1, pieces) * s.mr);
  }
  if (piece >= pieces || m0 >= m1 || j0 >= j1) return;

  const g = newQuantGemm(s, n, words, scratchPtr);
  g.m0 = m0;
  g.m1 = m1;
  g.j0 = j0;
  g.j1 = j1;
  const packedBytes = packedQuantBytes(isBytes, words, n);
  g.scaleOffset = s.weightPtr + packedBytes * s.groups - s.biasPtr;
  const isInside = s.kh == 1 && s.kw == 1 && s.padTop == 0 && s.padLeft == 0 &&
    (s.oh - 1) * s.strideH < s.ih && (s.ow - 1) * s.strideW < s.iw;
  for (let group = 0; group < s.groups; group++) {
    const column = <usize>(group * n) << 2;
    g.aPtr = s.inPtr + (<usize>(group * channels) << 2);
    g.bPtr = s.weightPtr + packedBytes * group;
    g.biasPtr = s.biasPtr + column;
    g.cPtr = s.outPtr + column;
    g.residualPtr = s.residualPtr + column;
    if (isInside) quantGemm<Pixels>(g, pixels);
    else quantGemm<Patches>(g, pixels);
  }
}

/** Packs pixels of the map, through the step's pre-activation if it has one: A of a 1×1 kernel of any stride, no padding. */
@final
@unmanaged
class Pixels {
  // @ts-ignore: decorator
  @inline
  pack(g: QuantGemm, image: i32): void {
    packPixels(g, image);
  }
}

/** Packs blocks of the patch matrix. */
@final
@unmanaged
class Patches {
  // @ts-ignore: decorator
  @inline
  pack(g: QuantGemm, image: i32): void {
    packPatches(g, image);
  }
}

function packPixels(g: QuantGemm, image: i32): void {
  const s = changetype<QuantStep>(g.step);
  const channels = s.ic / s.groups;
  const factor = factorOf(g.inScale);
  const tablePtr = rowTableOf(g), rowsPtr = rowsOf(g);
  const stride = <usize>rowBytes(g.k);
  const panels = panelsOf(g);
  const pixel0 = image * s.oh * s.ow;
  let packedPtr = g.packedPtr;
  for (let i = 0; i < panels; i++) {
    const row0 = partition(g.rows, i, panels);
    const rows = partition(g.rows, i + 1, panels) - row0;
    for (let r = 0; r < rows; r++) {
      const pixel = g.i0 + row0 + r - pixel0;
      const oy = pixel / s.ow;
      const y = image * s.ih + oy * s.strideH, x = (pixel - oy * s.ow) * s.strideW;
      const inPtr = g.aPtr + g.aStride * (y * s.iw + x);
      const outPtr = rowsPtr + stride * r;
      quantise(s, inPtr, channels, factor, outPtr);
      store<usize>(tablePtr + <usize>r * sizeof<usize>(), outPtr);
    }
    packedPtr = packPanel(tablePtr, rows, g.k, packedPtr);
  }
}

function packPatches(g: QuantGemm, image: i32): void {
  const s = changetype<QuantStep>(g.step);
  const isBytes = isBytesOf(s);
  const perWord = perWordOf(isBytes);
  const channels = s.ic / s.groups;
  const pixelWords = (channels + perWord - 1) / perWord;
  const width = mapWidth(s.ow, s.kw, s.strideW, s.dilationW);
  const first = g.i0 - image * s.oh * s.ow;
  const oy0 = first / s.ow, oy1 = (first + g.rows - 1) / s.ow;
  const height = mapWidth(oy1 - oy0 + 1, s.kh, s.strideH, s.dilationH);
  const mapPtr = mapOf(g);
  quantiseMap(g, image, oy0 * s.strideH - s.padTop, height, width, pixelWords, mapPtr);

  const tablePtr = rowTableOf(g), basesPtr = rowsOf(g);
  const rowWords = width * pixelWords;
  const isMerged = s.dilationW == 1;
  const runs = isMerged ? 1 : s.kw;
  const runWords = isMerged ? s.kw * pixelWords : pixelWords;
  const panels = panelsOf(g);
  let packedPtr = g.packedPtr;
  let oy = 0, ox = first - oy0 * s.ow;
  for (let i = 0; i < panels; i++) {
    const rows = partition(g.rows, i + 1, panels) - partition(g.rows, i, panels);
    for (let r: usize = 0; r < <usize>rows; r++) {
      const word = oy * s.strideH * rowWords + ox * s.strideW * pixelWords;
      store<usize>(basesPtr + r * sizeof<usize>(), mapPtr + (<usize>word << 2));
      if (++ox == s.ow) {
        ox = 0;
        oy++;
      }
    }
    for (let ky = 0; ky < s.kh; ky++) {
      for (let run = 0; run < runs; run++) {
        const offset = <usize>(ky * s.dilationH * rowWords + run * s.dilationW * pixelWords) << 2;
        for (let r: usize = 0; r < <usize>rows; r++) {
          store<usize>(tablePtr + r * sizeof<usize>(), load<usize>(basesPtr + r * sizeof<usize>()) + offset);
        }
        packedPtr = packPanel(tablePtr, rows, runWords, packedPtr);
      }
    }
  }
}

/** Pixels that `outputs` outputs in a row read, from the first to the last. */
// @ts-ignore: decorator
@inline
function mapWidth(outputs: i32, kernel: i32, stride: i32, dilation: i32): i32 {
  return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
}

/** Bytes that `quantiseMap` fills for a block of up to `rows` outputs. */
export function quantMapBytes(
  rows: i32, oh: i32, ow: i32, kh: i32, kw: i32, strideH: i32, strideW: i32, dilationH: i32, dilationW: i32, pixelWords: i32,
): i32 {
  const outputRows = min(oh, (rows + ow - 2) / ow + 1);
  return mapWidth(outputRows, kh, strideH, dilationH) * mapWidth(ow, kw, strideW, dilationW) * (pixelWords << 2) + 32;
}

/**
 * Writes `height` rows of an image from row y0 on as whole numbers, each pixel in whole words, padding included: each value
 * becomes a whole number once, however many taps read it, and no tap lies outside.
 */
function quantiseMap(
  g: QuantGemm, image: i32, y0: i32, height: i32, width: i32, pixelWords: i32, mapPtr: usize,
): void {
  const s = changetype<QuantStep>(g.step);
  const channels = s.ic / s.groups;
  const factor = factorOf(g.inScale);
  const pixelBytes = <usize>pixelWords << 2;
  const rowBytes = pixelBytes * width;
  const isDense = s.ldIn == channels && channels == pixelWords * perWordOf(isBytesOf(s));
  const x0 = max(0, s.padLeft), x1 = min(width, s.iw + s.padLeft);
  for (let row = 0; row < height; row++) {
    const y = y0 + row;
    const rowPtr = mapPtr + rowBytes * row;
    if (<u32>y >= <u32>s.ih || x1 <= x0) {
      memory.fill(rowPtr, 0, rowBytes);
      continue;
    }
    memory.fill(rowPtr, 0, pixelBytes * x0);
    let inPtr = g.aPtr + g.aStride * ((image * s.ih + y) * s.iw);
    let outPtr = rowPtr + pixelBytes * x0;
    if (isDense) quantise(s, inPtr, channels * (x1 - x0), factor, outPtr);
    else {
      for (let x = x0; x < x1; x++) {
        // What is in the rest of a pixel's last word meets weights of zero.
        quantise(s, inPtr, channels, factor, outPtr);
        inPtr += g.aStride;
        outPtr += pixelBytes;
      }
    }
    memory.fill(rowPtr + pixelBytes * x1, 0, rowBytes - pixelBytes * x1);
  }
}
