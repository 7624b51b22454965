/** The two wasm binaries, and which one an engine runs. */

/** `baseline` needs SIMD128 alone; `relaxed` also relaxed SIMD, for its fused multiply–add. */
export type Binary = 'baseline' | 'relaxed';

export const BINARIES: readonly Binary[] = ['baseline', 'relaxed'];

// (func (result v128) f32x4.relaxed_madd of three zero vectors)
const RELAXED_PROBE = Uint8Array.from(
  `0061736d 01000000 01050160 00017b03 0201000a 13011100 4100fd11 4100fd11 4100fd11 fd85020b`
    .replaceAll(' ', '')
    .match(/../g) as string[],
  (byte) => Number.parseInt(byte, 16),
);

/** True where the engine compiles relaxed SIMD (Chrome 114, Firefox 145, Node 22; Node 20 behind a flag). */
export const supportsRelaxed = (): boolean => WebAssembly.validate(RELAXED_PROBE);

/** The bytes of a binary that a Response holds. Throws one sentence where it holds none, or none any more. */
export async function wasmBytes(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const { ok, status, bodyUsed } = response;
  if (!ok || bodyUsed) {
    throw new TypeError(
      `wasm: expected a response of status 2xx, not yet read, got ${ok ? 'one read before' : status}.`,
    );
  }
  return new Uint8Array(await response.arrayBuffer());
}
